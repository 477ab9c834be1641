"""POST /v1/embeddings: OpenAI's Embeddings API."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS

PATH = "/v1/embeddings"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, OPENAI_EMBEDDINGS)
