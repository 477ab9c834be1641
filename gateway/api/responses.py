"""POST /v1/responses: OpenAI's Responses API, stateless."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.openai_responses import OPENAI_RESPONSES

PATH = "/v1/responses"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, OPENAI_RESPONSES)
