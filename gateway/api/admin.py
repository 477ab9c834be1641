"""POST /admin/reload: puts the configuration on disk into force, or says why not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint, json_document

RELOAD_PATH = "/admin/reload"

Reload = Callable[[], Awaitable[dict[str, object]]]
"""Reloads and gives the report as JSON: `status` is applied, unchanged or refused."""


def reload_endpoint(edge: Edge, reload: Reload) -> PlainEndpoint:
    """Give the endpoint. A refused document is a 422, with every fault in the reply."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        report = await reload()
        return json_document(report, status=422 if report["status"] == "refused" else 200)

    return PlainEndpoint(edge, compute, methods=("POST",))
