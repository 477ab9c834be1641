"""POST /slack/interactions: what Slack sends when somebody clicks. Its signature is the only key; what a click does is `gateway.slack`'s business."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.body import read_body
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint

PATH = "/slack/interactions"

_MOST_BYTES = 256 * 1024

Take = Callable[[Mapping[bytes, bytes], bytes], Awaitable[dict[str, Any] | None]]
"""Takes headers and body, and gives the document to answer with. Raises Unauthenticated and InvalidRequest."""


def endpoint(edge: Edge, take: Take) -> AsgiApp:
    """Give the endpoint."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        body = await read_body(receive, _MOST_BYTES)
        answer = await take(dict(scope["headers"]), body)
        return Document(body=b"" if answer is None else msgspec.json.encode(answer))

    return PlainEndpoint(edge, compute, methods=("POST",), public=True)
