"""A client that takes nothing of what is written to it: the connection's other deadline."""

import asyncio
import math
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.server.state import EdgeState


class StallingProtocol(HttpToolsProtocol):
    """Arms `write_deadline` while the client takes less than is written. `edge` is shared by all connections."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        edge: EdgeState,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.edge = edge
        self.write_deadline = math.inf
        self._now = loop.time
        self._wire: asyncio.Transport = None  # type: ignore[assignment] # set in connection_made, before any use
        self._unsent = 0

    def _cut_if_stalled(self, now: float) -> None:
        unsent = self._wire.get_write_buffer_size()
        if unsent >= self._unsent:
            self._wire.abort()
            return
        self._unsent = unsent
        self.write_deadline = now + self.edge.options.idle_timeout

    def pause_writing(self) -> None:
        """The client takes less than we write: it has `idle_timeout` to take something."""
        super().pause_writing()
        self._unsent = self._wire.get_write_buffer_size()
        self.write_deadline = self._now() + self.edge.options.idle_timeout

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self.write_deadline = math.inf
