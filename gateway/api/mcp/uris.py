"""URIs of resources as MCP clients know them: each leads to one server, whatever URIs the servers choose. Pure.

Two servers may have the same URI, and which of them came first is no way to tell them apart. So a client's URI is the scheme, the server's
label, a slash, and the server's own URI as it stands, nothing of it encoded: a template stays a template whose expansions lead to the expansions of the
server's, and the way back is to cut off the front. A label holds no slash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.core.items import Json

SCHEME: Final = "switchgear://"


class Uris:
    """The URIs of one generation. `bare` is the one server whose URIs clients see as they are; empty where there is none."""

    def __init__(self, bare: str = "") -> None:
        self._bare = bare

    def outer(self, server: str, uri: str) -> str:
        """Give a server's URI, or template of URIs, as clients know it. No two have the same."""
        if server == self._bare and not uri.startswith(SCHEME):
            return uri
        return f"{SCHEME}{server}/{uri}"

    def inner(self, uri: str) -> tuple[str, str] | None:
        """Give the server and its own URI; None for what leads to no server."""
        if not uri.startswith(SCHEME):
            return (self._bare, uri) if self._bare else None
        server, slash, own = uri[len(SCHEME) :].partition("/")
        return (server, own) if slash and server else None

    def linked(self, server: str, block: Json, may_read: Callable[[str], bool]) -> Json:
        """Give a block of a result of a server's, its links as clients can read them; one that may not be read stays as the server wrote it, unless it would lead to another server."""
        if not isinstance(block, dict):
            return block
        if block.get("type") == "resource_link":
            return self.named(server, block, may_read)
        if block.get("type") == "resource" and "resource" in block:
            return {**block, "resource": self.named(server, block.get("resource"), may_read)}
        return block

    def named(self, server: str, of: Json, may_read: Callable[[str], bool]) -> Json:
        """Give something that has a `uri` of a server's with the one that clients can read."""
        uri = of.get("uri") if isinstance(of, dict) else None
        if not isinstance(of, dict) or not isinstance(uri, str):
            return of
        # One that looks like ours would lead to another server: it is this server's word, and stays with it.
        if not may_read(uri) and not uri.startswith(SCHEME):
            return of
        return {**of, "uri": self.outer(server, uri)}
