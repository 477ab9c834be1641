"""What every connection of one server shares: its limits, its renderer, and whether it drains. No behaviour."""

from collections import Counter
from typing import Protocol

import anyio

from gateway.server.options import ServerOptions
from gateway.server.refusal import RenderError


class Draining(Protocol):
    """A WebSocket, as far as it is everybody's business."""

    def begin_drain(self) -> None:
        """Tell the application that the server goes down."""
        ...


class EdgeState:
    """Shared by EdgeServer, which changes it, and its connections, which read it; applications read `draining`.

    `refused` counts by error code the requests that the edge answered itself. `emptied` is set when the last connection
    is gone. `sockets` are the WebSockets that are open.
    """

    __slots__ = ("draining", "emptied", "options", "refused", "render_error", "sockets")

    def __init__(self, options: ServerOptions, render_error: RenderError) -> None:
        self.options = options
        self.render_error = render_error
        self.draining = False
        self.emptied = anyio.Event()
        self.refused: Counter[str] = Counter()
        self.sockets: set[Draining] = set()
