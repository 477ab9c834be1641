"""POST /v1/responses: OpenAI's Responses API, which keeps answers where there is a desk for them."""

from __future__ import annotations

from gateway.agents.desk import RunDesk
from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.api.opening_door import OpeningDoor
from gateway.api.responses_door import ResponsesDoor
from gateway.dialects.openai_responses import OPENAI_RESPONSES

PATH = "/v1/responses"


def endpoint(edge: Edge, desk: RunDesk | None = None) -> Door:
    """Give the ASGI endpoint; without a desk every call is stateless."""
    return OpeningDoor(edge, OPENAI_RESPONSES) if desk is None else ResponsesDoor(edge, desk)
