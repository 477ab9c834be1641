"""POST /v1/messages/count_tokens: Anthropic's token counting."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS

PATH = "/v1/messages/count_tokens"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, ANTHROPIC_COUNT_TOKENS)
