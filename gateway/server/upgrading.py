"""A request that is for another protocol than HTTP: a WebSocket is taken where it is served, every other offer is left aside."""

import asyncio
import math
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from gateway.server import head as heads
from gateway.server.asgi import ASGIApp
from gateway.server.refusal import Refused
from gateway.server.stalling import StallingProtocol
from gateway.server.state import EdgeState
from gateway.server.web_socket import WebSocket


class UpgradingProtocol(StallingProtocol):
    """A connection whose request may be such a one. Between the end of its head and the end of the read that it came with, `_upgrade` is set."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        edge: EdgeState,
    ) -> None:
        super().__init__(config, server_state, app_state, loop, edge)
        self.deadline = math.inf
        self._running: RequestResponseCycle | None = None
        self._upgrade: bytes | None = None  # what accepts a WebSocket; b"" for an offer that is not taken

    @property
    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _check_upgrade(self) -> None:
        """Look at the head of such a request. Raises Refused."""
        self._upgrade = heads.check_upgrade(self.parser.get_method(), self.url, self.headers, self.edge)
        if self._upgrade and (self._answering or self.pipeline):
            raise Refused(400, "invalid_websocket", "Wait for answers before you open a WebSocket.")

    def _take_upgrade(self, rest: bytes) -> None:
        """Become a WebSocket, or go on without what was offered. `rest` is what came behind the head."""
        if self._upgrade:
            self._become_socket(self._upgrade, rest)
            return
        # Java's client offers h2c. The request is read again without it: the parser would skip its body.
        self._upgrade = None
        head = heads.without_upgrade(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(head + rest)

    def _become_socket(self, accept: bytes, rest: bytes) -> None:
        path, _, query = self.url.partition(b"?")
        own = {"type": "websocket", "path": path.decode("ascii"), "raw_path": path, "query_string": query}
        socket = WebSocket({**self.scope, **own}, accept, self._wire, self.edge, self.server_state)
        self.connections.discard(self)
        self.deadline = math.inf
        # Nothing is left to the garbage collector: the proxy refers to us.
        self.transport = self._wire
        socket.begin(cast("ASGIApp", self.app), rest)
