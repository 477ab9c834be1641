"""GET /.well-known/oauth-protected-resource (RFC 9728): where the tokens for /mcp come from. It asks for no key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.edge import Edge
from gateway.api.mcp_door.entrance import WELL_KNOWN, Entrance
from gateway.api.plain import Document, PlainEndpoint
from gateway.config.mcp_door_settings import MCP_PATH
from gateway.core.errors import NotFound

# Clients in browsers read it from pages of their own; there is nothing secret in it.
_OPEN: Final = ((b"access-control-allow-origin", b"*"), (b"cache-control", b"max-age=300"))


def endpoints(edge: Edge, entrance: Callable[[], Entrance]) -> dict[str, AsgiApp]:
    """Give the endpoints by path: clients look below the path of /mcp first, and then at the root."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        document = entrance().metadata
        if document is None:
            raise NotFound("/mcp takes no tokens: `mcp.authorization` is not configured. It takes keys.")
        return Document(body=msgspec.json.encode(document), headers=_OPEN)

    endpoint = PlainEndpoint(edge, compute, public=True)
    return {f"{WELL_KNOWN}{MCP_PATH}": endpoint, WELL_KNOWN: endpoint}
