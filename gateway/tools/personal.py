"""The connections to one server of tools that people have with accounts of their own: one a person, never lent to another, and closed when nobody uses it.

Where a person has not connected an account yet, the tool is not called: its output is a wish that says where to go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.tools import ToolOutput, Wish
from gateway.stores.tool_grants import Holder
from gateway.tools.connection import CannotConnect, Connection, ToolCallAsked
from gateway.tools.content import failure
from gateway.tools.hub import ToolNotReached, ToolUnauthorized
from gateway.tools.oauth.bearer import Bearer
from gateway.tools.oauth.wire import AuthorizationFailed
from gateway.tools.offers import OfferAsked, Offering, OfferRefused

log = structlog.get_logger()

_NO_SUCH_METHOD: Final = -32_601

KEY: Final = "authorize"
"""Of the wish that a person connects an account."""


def holder_of(caller: Caller, server: str) -> Holder | None:
    """Give whose account is used for a caller: the user's, or that of a key that is no user's; None for one that is not known."""
    if caller.kind == "anonymous":
        return None
    person = f"user:{caller.user}" if caller.user else f"{caller.kind}:{caller.id}"
    return Holder(server=server, tenant=caller.tenant, person=person)


class OfPerson(Protocol):
    """What opens a person's connections: a Connector with the bearer of that person."""

    @property
    def bearer(self) -> Bearer | None:
        """Gives the person's tokens."""
        ...

    def open(self) -> AbstractAsyncContextManager[Connection]:
        """Open a connection. Entering it raises CannotConnect."""
        ...


class _Link:
    """One person's connection: `ready` when it is open or `reason` says why it is not, `over` when it is to be closed."""

    def __init__(self, connector: OfPerson) -> None:
        self.connector = connector
        self.ready = anyio.Event()
        self.over = anyio.Event()
        self.used = anyio.Event()
        self.connection: Connection | None = None
        self.reason = ""
        self.calls = 0


class Personal:
    """Those of one server. `of` gives what opens a person's; `most` are open at once, and one that nobody uses for `idle` seconds is closed."""

    def __init__(
        self, server: str, of: Callable[[Holder], OfPerson], *, most: int, idle: float, start_timeout: float
    ) -> None:
        self._server = server
        self._of = of
        self._most = most
        self._idle = idle
        self._start_timeout = start_timeout
        self._links: dict[Holder, _Link] = {}
        self._tasks: TaskGroup | None = None

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._links)

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    async def call(self, caller: Caller, asked: ToolCallAsked) -> ToolOutput:
        """Call a tool for a person. Raises ToolNotReached and ToolLost."""
        try:
            async with self._of_caller(caller, asked.seconds) as connection:
                return await connection.call(asked)
        except ToolUnauthorized:
            return self._asks(caller, asked)

    async def ask(self, asked: OfferAsked, seconds: float) -> dict[str, Json]:
        """Ask the server for a person. Raises OfferRefused, ToolUnauthorized, which says where to connect an account, and ToolNotReached."""
        try:
            async with self._of_caller(asked.caller, seconds) as connection:
                if not isinstance(connection, Offering):
                    raise OfferRefused(f"The server {self._server!r} has tools, and nothing else.", rpc=_NO_SUCH_METHOD)
                return await connection.ask(asked, seconds)
        except ToolUnauthorized as error:
            raise ToolUnauthorized(self._where_to(asked.caller)) from error

    @asynccontextmanager
    async def _of_caller(self, caller: Caller, seconds: float) -> AsyncIterator[Connection]:
        """Give a person's connection. Raises ToolUnauthorized where an account has to be connected first, and ToolNotReached."""
        holder = holder_of(caller, self._server)
        if holder is None:
            msg = f"The server {self._server!r} is used with accounts of people's own, and nobody knows who asks. Nothing was done."
            raise ToolNotReached(msg)
        link = self._links.get(holder)
        connector = self._of(holder) if link is None else link.connector
        if connector.bearer is None:
            raise ToolNotReached(
                f"The server {self._server!r} is used with accounts of people's own, and none is kept here."
            )
        try:
            await connector.bearer.token()
            link, connection = await self._connected(holder, connector, seconds)
            link.calls += 1
            try:
                yield connection
            finally:
                link.calls -= 1
                link.used.set()
        except AuthorizationFailed as error:
            if not error.again:
                raise ToolNotReached(
                    f"The server {self._server!r} was not asked: {error}. Nothing was done."
                ) from error
            raise ToolUnauthorized(str(error)) from error

    def forget(self, holder: Holder) -> None:
        """Close a person's connection: he has taken back what it was made with."""
        link = self._links.get(holder)
        if link is not None:
            link.over.set()

    def _asks(self, caller: Caller, asked: ToolCallAsked) -> ToolOutput:
        if KEY in asked.answers:
            return failure(
                f"{caller.user or caller.id} has still not connected an account with the server {self._server!r}."
            )
        message = f"{self._where_to(caller)} Then say yes."
        return ToolOutput(text="", wishes=(Wish(message=message, key=KEY, untold=True),))

    def _where_to(self, caller: Caller) -> str:
        return (
            f"{caller.user or caller.id} has to connect an account with the server {self._server!r}: with the own key, "
            f"`switchgear tools connect {self._server}` (POST /v1/tools/{self._server}/authorize) gives the address to go to."
        )

    async def _connected(self, holder: Holder, connector: OfPerson, seconds: float) -> tuple[_Link, Connection]:
        link = self._links.get(holder)
        if (
            link is None
            or link.over.is_set()
            or (link.connection is not None and link.connection.signals.broken.is_set())
        ):
            link = self._open(holder, connector)
        with anyio.move_on_after(min(seconds, self._start_timeout)):
            await link.ready.wait()
        if link.connection is None:
            reason = link.reason or "it takes too long"
            raise ToolNotReached(f"The server {self._server!r} was not reached: {reason}. Nothing was done.")
        return link, link.connection

    def _open(self, holder: Holder, connector: OfPerson) -> _Link:
        if self._tasks is None:
            raise ToolNotReached(
                f"The server {self._server!r} was not asked: the gateway starts, or ends. Nothing was done."
            )
        if len(self._links) >= self._most:
            # The one that was opened first of those that nobody uses now.
            idle = next((link for link in self._links.values() if not link.calls and link.ready.is_set()), None)
            if idle is None:
                msg = f"More than {self._most} people use the server {self._server!r} at once. Nothing was done."
                raise ToolNotReached(msg)
            idle.over.set()
        link = self._links[holder] = _Link(connector)
        self._tasks.start_soon(self._keep, holder, link)
        return link

    async def _keep(self, holder: Holder, link: _Link) -> None:
        """Open a connection, and close it in the same task when it is over."""
        try:
            with anyio.fail_after(self._start_timeout) as starting:
                async with link.connector.open() as connection:
                    starting.deadline = float("inf")
                    link.connection = connection
                    link.ready.set()
                    await self._until_over(link, connection)
        except CannotConnect as error:
            link.reason = str(error)
        except TimeoutError:
            link.reason = "it takes too long"
        except Exception as error:  # noqa: BLE001 whatever one connection does, it is no other's trouble
            link.reason = f"the connection failed ({type(error).__name__})"
            log.warning("tool_server.person_down", server=self._server, reason=link.reason)
        finally:
            link.connection = None
            link.ready.set()
            if self._links.get(holder) is link:
                del self._links[holder]

    async def _until_over(self, link: _Link, connection: Connection) -> None:
        """Wait for the end of a connection: it broke, is not wanted any more, or nobody has used it for long."""
        async with anyio.create_task_group() as waiting:

            async def wait_for(event: anyio.Event) -> None:
                await event.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(wait_for, link.over)
            waiting.start_soon(wait_for, connection.signals.broken)
            while True:
                link.used = anyio.Event()
                with anyio.move_on_after(self._idle) as quiet:
                    await link.used.wait()
                if quiet.cancelled_caught and not link.calls:
                    waiting.cancel_scope.cancel()
                    return
