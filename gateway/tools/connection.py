"""The port to one server of tools: what is opened, listed and called. MCP servers are behind it, and whatever else has tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol

import anyio
import msgspec

from gateway.core.items import Json
from gateway.core.tools import Refusal, Tool, ToolOutput
from gateway.tools.definitions import Listed
from gateway.tools.logged import Hearing
from gateway.tools.progress import Progress

ServerKind = Literal["stdio", "http", "openapi"]


class CannotConnect(Exception):
    """A server cannot be opened, or its tools cannot be listed; the message says why. It holds no secret."""


class ToolCallAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A call on its way. `arguments` are checked, and hold the idempotency key where the tool takes it as one.

    It may take `seconds`, from now. `answers`, `refused`, `state`, `progress`, `hearing` and `client` are those of `ToolAsked`.
    """

    tool: Tool
    arguments: dict[str, Json]
    key: str
    run: str = ""
    trace: str | None = None
    seconds: float
    answers: dict[str, Json] = {}
    refused: dict[str, Refusal] = {}
    state: str | None = None
    progress: Progress | None = None
    hearing: Hearing | None = None
    client: dict[str, Json] | None = None


CALM: Final = 0.25
"""Seconds between two looks at lists of which a server says that they are others."""


class Signals:
    """What a connection tells who holds it: that it is `broken`, with the reason, and that its lists should be read again.

    `changed` is for the tools, `offered` for all else: who waits for one of them puts a new event in its place before it looks. `updated` is called
    with the URI of a resource that the server says is another now.
    """

    def __init__(self) -> None:
        self.broken = anyio.Event()
        self.changed = anyio.Event()
        self.offered = anyio.Event()
        self.reason = ""
        self.updated: Callable[[str], None] = lambda uri: None

    def breaks(self, reason: str) -> None:
        """The connection is of no use any more. The first reason counts: what comes after it is its consequence."""
        if not self.broken.is_set():
            self.reason = reason
            self.broken.set()
            self.look_again()

    def look_again(self) -> None:
        """Its lists may be others, or the server gone."""
        self.changed.set()
        self.offered.set()

    async def calm_down(self) -> None:
        """Wait for a moment, or for the end of the connection: who tells of changes without pause is looked at with one."""
        with anyio.move_on_after(CALM):
            await self.broken.wait()


class Connection(Protocol):
    """An open connection. Any number of calls may be on it at once, each in a task of its own."""

    @property
    def signals(self) -> Signals:
        """What it tells."""
        ...

    async def list(self) -> Sequence[Listed]:
        """Give the tools that the server lists. Raises CannotConnect."""
        ...

    async def call(self, asked: ToolCallAsked) -> ToolOutput:
        """Call a tool; that time is up, or the task cancelled, is told to the server. Raises ToolNotReached and ToolLost."""
        ...


class Connector(Protocol):
    """Opens connections to one server. What it gives is entered and left by one and the same task."""

    @property
    def kind(self) -> ServerKind:
        """How the server is reached."""
        ...

    def open(self) -> AbstractAsyncContextManager[Connection]:
        """Open a connection. Entering it raises CannotConnect."""
        ...
