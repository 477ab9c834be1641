"""What every connection of one server shares: its limits, its renderer, and whether it drains. No behaviour."""

from collections import Counter

import anyio

from gateway.server.options import ServerOptions
from gateway.server.refusal import RenderError


class EdgeState:
    """Shared by EdgeServer, which changes it, and its connections, which read it; applications read `draining`.

    `refused` counts by error code the requests that the edge answered itself. `emptied` is set when the last connection
    is gone.
    """

    __slots__ = ("draining", "emptied", "options", "refused", "render_error")

    def __init__(self, options: ServerOptions, render_error: RenderError) -> None:
        self.options = options
        self.render_error = render_error
        self.draining = False
        self.emptied = anyio.Event()
        self.refused: Counter[str] = Counter()
