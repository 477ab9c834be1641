"""POST /v1/chat/completions: OpenAI's Chat Completions API."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.openai_chat import OPENAI_CHAT

PATH = "/v1/chat/completions"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, OPENAI_CHAT)
