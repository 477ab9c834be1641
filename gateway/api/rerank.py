"""POST /v1/rerank: Reranking, in the shape that Cohere, Jina and vLLM share."""

from __future__ import annotations

from gateway.api.door import Door
from gateway.api.edge import Edge
from gateway.dialects.rerank import RERANK

PATH = "/v1/rerank"


def endpoint(edge: Edge) -> Door:
    """Give the ASGI endpoint."""
    return Door(edge, RERANK)
