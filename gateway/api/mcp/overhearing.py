"""The stream of a session (GET, 2025-11-25): that lists are others than before, and that a resource which the session watches is. It ends when its client leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import anyio
import structlog

from gateway.api.asgi import AsgiSend, Receive, Scope
from gateway.api.edge import is_draining
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.seen import offers_of
from gateway.api.mcp.sessions import Session
from gateway.api.mcp.speaking import event
from gateway.api.mcp.watches import Watches
from gateway.core.caller import Caller
from gateway.core.errors import LimitExceeded, StoreUnavailable
from gateway.core.items import Json
from gateway.tools.changes import ChangeKind

log = structlog.get_logger()

MOST: Final = 1024
"""Streams of all sessions together, in each replica."""
MOST_OF_ONE: Final = 16
"""Streams of one caller."""
_BUFFERED: Final = 64
_LOOK: Final = 5.0
"""Seconds between two looks at what a session watches, for it may have said so to another replica, and whether its caller still may."""
_STILL_THERE: Final = 15.0
_DRAINING: Final = 0.5
_METHODS: Final[dict[ChangeKind, str]] = {
    "tools": "notifications/tools/list_changed",
    "resources": "notifications/resources/list_changed",
    "prompts": "notifications/prompts/list_changed",
}
_UPDATED: Final = "notifications/resources/updated"


class Overhearing:
    """All such streams of one process."""

    def __init__(self, desk: McpDesk) -> None:
        self._desk = desk
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Hold a place for a stream. Raises LimitExceeded."""
        who = (caller.tenant, caller.id)
        if self._open[who] >= MOST_OF_ONE or self._open.total() >= MOST:
            msg = f"More than {MOST_OF_ONE} streams of one caller are not kept open."
            raise LimitExceeded(msg, limit="mcp.streams", window="now", retry_after=60.0)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    async def answer(self, scope: Scope, receive: Receive, send: AsgiSend, caller: Caller, session: Session) -> None:
        """Say what there is to say until the client leaves, the session is over or this server goes down."""
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as tasks:
            stream = _Stream(self._desk, send, caller, session)
            for work in (stream.say, stream.keep, stream.watch):
                tasks.start_soon(work)
            tasks.start_soon(_left, receive, tasks.cancel_scope)
            while not is_draining(scope) and self._desk.sessions.lasts(session):  # noqa: ASYNC110 nobody tells requests of it
                await anyio.sleep(_DRAINING)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


class _Stream:
    """One stream. What is to be said is kept once however often it is: a client asks again what is there."""

    def __init__(self, desk: McpDesk, send: AsgiSend, caller: Caller, session: Session) -> None:
        self._desk = desk
        self._watches = Watches(offers_of(desk))
        self._send = send
        self._caller = caller
        self._session = session
        self._waiting: dict[tuple[str, str], None] = {}
        self._news = anyio.Event()

    def tell(self, method: str, uri: str = "") -> None:
        """Have something said."""
        if len(self._waiting) < _BUFFERED + len(_METHODS) or not uri:
            self._waiting[method, uri] = None
        self._news.set()

    async def say(self) -> None:
        """Say what waits to be said."""
        stop = self._desk.changes.subscribe(lambda kind: self.tell(_METHODS[kind]))
        try:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                while self._waiting:
                    method, uri = next(iter(self._waiting))
                    del self._waiting[method, uri]
                    message: dict[str, Json] = {"jsonrpc": "2.0", "method": method}
                    await self._write(event(message | ({"params": {"uri": uri}} if uri else {})))
        finally:
            stop()

    async def keep(self) -> None:
        """Say from time to time that the stream is there."""
        while True:
            await self._write(b": \r\n\r\n")
            await anyio.sleep(_STILL_THERE)

    async def watch(self) -> None:
        """Watch what the session watches."""
        sessions, before = self._desk.sessions, frozenset[str]()
        with ExitStack() as watching:
            while True:
                changed = sessions.change_of(self._session.id)
                wanted = self._watches.allowed(self._caller, await self._wanted())
                if wanted != before:
                    before = wanted
                    watching.close()
                    watching.enter_context(self._watches.enter(wanted, lambda uri: self.tell(_UPDATED, uri)))
                with anyio.move_on_after(_LOOK):
                    await changed.wait()

    async def _wanted(self) -> Sequence[str]:
        notes = self._desk.sessions.notes
        try:
            return () if notes is None else await notes.resources(self._session.id)
        except StoreUnavailable as error:
            log.info("mcp.watched_unknown", reason=str(error))
            return ()

    async def _write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})


async def _left(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
