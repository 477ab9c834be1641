"""POST /v1/completions: OpenAI's legacy Completions API."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS

PATH = "/v1/completions"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, OPENAI_COMPLETIONS)
