"""What is said to an MCP server, each request with the capabilities of who asks: in 2026-07-28 these are of a request, and not of a connection."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from mcp.client._transport import WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import CLIENT_CAPABILITIES_META_KEY, JSONRPCRequest

from gateway.core.items import Json
from gateway.tools.delivery import KEY


class Stamped:
    """What is said to a server: each request names the capabilities of who asks. `of` gives those of a call, by its key."""

    def __init__(self, inner: WriteStream[SessionMessage], of: Callable[[Json], dict[str, Json]]) -> None:
        self._inner = inner
        self._of = of

    async def send(self, item: SessionMessage) -> None:
        """Send a message."""
        await self._inner.send(self._stamped(item))

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        """Open it."""
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        """Close it."""
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)

    def _stamped(self, item: SessionMessage) -> SessionMessage:
        said = item.message
        if not isinstance(said, JSONRPCRequest) or said.params is None:
            return item
        params = dict(said.params)
        if said.method == "initialize" and isinstance(capable := params.get("capabilities"), dict):
            # Of changes nothing is known here.
            params["capabilities"] = {**capable, **({"roots": {}} if "roots" in capable else {})}
        elif isinstance(meta := params.get("_meta"), dict) and CLIENT_CAPABILITIES_META_KEY in meta:
            params["_meta"] = {**meta, CLIENT_CAPABILITIES_META_KEY: self._of(meta.get(KEY))}
        else:
            return item
        return SessionMessage(said.model_copy(update={"params": params}), item.metadata)
