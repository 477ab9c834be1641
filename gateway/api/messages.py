"""POST /v1/messages: Anthropic's Messages API."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES

PATH = "/v1/messages"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, ANTHROPIC_MESSAGES)
