"""POST /v1/moderations: OpenAI's Moderations API: passed to an upstream that has it."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.openai_moderations import OPENAI_MODERATIONS

PATH = "/v1/moderations"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, OPENAI_MODERATIONS)
