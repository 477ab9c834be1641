"""GET /metrics: Prometheus text."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def endpoint(edge: Edge, render: Callable[[], bytes]) -> PlainEndpoint:
    """Give the endpoint; `render` gives the exposition text."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        return Document(body=render(), content_type=CONTENT_TYPE)

    return PlainEndpoint(edge, compute)
