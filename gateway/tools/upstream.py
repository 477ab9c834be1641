"""One server of tools, kept connected: one task opens and closes its connections, and everybody else calls through it.

When a connection breaks it is made anew, with a back-off; when that fails at once again and again the server counts as failed and is tried
slowly. Each time its tools are listed anew and held against their pins before anybody calls one. What it does is its own: no other
server, and not the start of the gateway, waits for it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import structlog

from gateway.config.tool_settings import AnyServerSettings
from gateway.core.errors import StoreUnavailable
from gateway.core.items import Json
from gateway.core.tools import Tool, ToolOutput
from gateway.providers.supervisor import RestartPolicy
from gateway.tools.catalogue import Catalogue
from gateway.tools.connection import CannotConnect, Connection, Connector, ToolCallAsked
from gateway.tools.hub import (
    ServerInfo,
    ServerState,
    ToolAsked,
    ToolLost,
    ToolNotReached,
    ToolUnauthorized,
    ToolWithdrawn,
)
from gateway.tools.offers import OfferAsked, Offering, OfferRefused
from gateway.tools.personal import Personal
from gateway.tools.shelf import Shelf

log = structlog.get_logger()

PATIENCE = 5.0
"""Seconds that who wants the tools of a server waits for one that is just starting."""

_NO_SUCH_METHOD = -32_601

CALL_PATIENCE = 15.0
"""Seconds, within its time, that a call waits for a server that is starting or being reconnected."""


class Upstream:
    """A server of tools. `run` does the work; it belongs to one event loop. With `personal`, calls go over people's own connections."""

    def __init__(
        self,
        name: str,
        settings: AnyServerSettings,
        *,
        connector: Connector,
        catalogue: Catalogue,
        shelf: Shelf | None = None,
        personal: Personal | None = None,
        policy: RestartPolicy | None = None,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1),  # noqa: S311 spreads restarts, hides nothing
    ) -> None:
        self.name = name
        self.settings = settings
        self.catalogue = catalogue
        self.shelf = shelf or Shelf(name, settings)
        self.restarts = 0
        self.state: ServerState = "starting"
        self.reason = ""
        self.personal = personal
        self._connector = connector
        self._policy = policy or RestartPolicy()
        self._jitter = jitter
        self._connection: Connection | None = None
        self._slots = anyio.CapacityLimiter(settings.concurrency)
        self._changed = anyio.Event()
        self._hurry = anyio.Event()
        self._calls = 0
        self._retired = False

    def info(self) -> ServerInfo:
        """Give how it is."""
        sight = self.catalogue.sight
        return ServerInfo(
            name=self.name,
            kind=self._connector.kind,
            url=getattr(self.settings, "url", ""),
            state=self.state,
            reason=self.reason,
            tools=sight.tools,
            quarantined=dict(sight.quarantined),
            missing=sight.missing,
            restarts=self.restarts,
            listed_at=self.catalogue.listed_at,
        )

    async def settled(self, seconds: float = PATIENCE) -> None:
        """Wait until it is no longer just starting, but not for long."""
        with anyio.move_on_after(seconds):
            while self.state == "starting":
                await self._changed.wait()

    def restart(self) -> None:
        """Close the connection and make it anew, at once: somebody wants it so."""
        if self._connection is not None:
            self._connection.signals.breaks("it is restarted on request")
        self._hurry.set()

    def wake(self) -> None:
        """Make a connection that there is none of at once, without any more pauses."""
        if self._connection is None:
            self._hurry.set()

    def retire(self) -> None:
        """Take no new calls, and end when those that are under way have ended."""
        self._retired = True
        self._enter(self.state, self.reason)

    async def call(self, asked: ToolAsked, arguments: dict[str, Json]) -> ToolOutput:
        """Call a tool within its time, waiting included. What was not sent, or may be done twice, is tried once more.

        Raises ToolNotReached, ToolWithdrawn and ToolLost.
        """
        deadline = anyio.current_time() + asked.tool.timeout
        self._calls += 1
        try:
            try:
                return await self._try(asked, arguments, deadline)
            except (ToolWithdrawn, ToolUnauthorized):
                raise
            except (ToolNotReached, ToolLost) as error:
                if not _may_repeat(error, asked.tool) or anyio.current_time() + self._policy.first_delay >= deadline:
                    raise
                log.info("tool.tried_again", server=self.name, tool=asked.tool.name, after=error.code)
                return await self._try_again(asked, arguments, deadline, after=error)
        finally:
            self._calls -= 1
            if self._retired:
                self._enter(self.state, self.reason)

    async def _try_again(
        self, asked: ToolAsked, arguments: dict[str, Json], deadline: float, *, after: ToolNotReached | ToolLost
    ) -> ToolOutput:
        # A server that is started again needs a moment, and the task that reconnects has to notice.
        await anyio.sleep(self._policy.first_delay)
        try:
            return await self._try(asked, arguments, deadline)
        except ToolNotReached:
            if isinstance(after, ToolLost):
                # That the second try did nothing says nothing of the first.
                raise after from None
            raise

    async def _try(self, asked: ToolAsked, arguments: dict[str, Json], deadline: float) -> ToolOutput:
        async with self._place(deadline, asked.tool.timeout):
            connection = await self._connected(deadline)
            self._check(asked.tool)
            sent = ToolCallAsked(
                tool=asked.tool,
                arguments=arguments,
                key=asked.key,
                run=asked.run,
                trace=asked.trace,
                seconds=max(0.0, deadline - anyio.current_time()),
                answers=asked.answers,
                refused=asked.refused,
                state=asked.state,
                progress=asked.progress,
                hearing=asked.hearing,
                client=asked.client,
            )
            if self.personal is not None:
                return await self.personal.call(asked.caller, sent)
            # Not inside a scope of this time: the connection ends the call itself, for it alone knows whether anything was sent.
            return await connection.call(sent)

    async def ask(self, asked: OfferAsked) -> dict[str, Json]:
        """Give what the server answers, within its time, waiting included. It only reads: where no answer came, it is asked once more.

        Raises ToolNotReached, and OfferRefused where the server refuses.
        """
        deadline = anyio.current_time() + self.settings.timeout
        self._calls += 1
        try:
            try:
                return await self._ask(asked, deadline)
            except ToolUnauthorized:
                raise
            except ToolNotReached:
                if anyio.current_time() + self._policy.first_delay >= deadline:
                    raise
                await anyio.sleep(self._policy.first_delay)
                return await self._ask(asked, deadline)
        finally:
            self._calls -= 1
            if self._retired:
                self._enter(self.state, self.reason)

    async def _ask(self, asked: OfferAsked, deadline: float) -> dict[str, Json]:
        async with self._place(deadline, self.settings.timeout):
            connection = await self._connected(deadline)
            seconds = max(0.0, deadline - anyio.current_time())
            if self.personal is not None:
                return await self.personal.ask(asked, seconds)
            if not isinstance(connection, Offering):
                raise OfferRefused(f"The server {self.name!r} has tools, and nothing else.", rpc=_NO_SUCH_METHOD)
            return await connection.ask(asked, seconds)

    @asynccontextmanager
    async def _place(self, deadline: float, seconds: float) -> AsyncIterator[None]:
        """Be one of those that the server has at once. Raises ToolNotReached."""
        held = False
        try:
            with anyio.move_on_after(deadline - anyio.current_time()):
                await self._slots.acquire()
                held = True
            if not held:
                msg = f"The server {self.name!r} had no place for the call within {seconds:g} s. Nothing was done."
                raise ToolNotReached(msg)
            yield
        finally:
            if held:
                self._slots.release()

    async def _connected(self, deadline: float) -> Connection:
        with anyio.move_on_after(min(CALL_PATIENCE, deadline - anyio.current_time())):
            while not self._is("failed"):
                if self._connection is not None and not self._connection.signals.broken.is_set():
                    return self._connection
                await self._changed.wait()
        msg = f"The server {self.name!r} does not run: {self.reason or 'it is still starting'}. Nothing was done."
        raise ToolNotReached(msg)

    def _is(self, state: ServerState) -> bool:
        return self.state == state

    def _check(self, wanted: Tool) -> None:
        """Raise ToolWithdrawn where the tool is not there any more as the caller knows it."""
        tool = self.catalogue.sight.tool(wanted.name)
        if tool is None:
            why = self.catalogue.sight.quarantined.get(wanted.name, "the server does not list it")
            msg = f"The tool {wanted.id!r} may not be called: {why}. Nothing was done."
            raise ToolWithdrawn(msg)
        if tool.definition != wanted.definition:
            msg = f"The tool {wanted.id!r} is defined otherwise than when it was chosen. Nothing was done."
            raise ToolWithdrawn(msg)

    async def run(self) -> None:
        """Keep the server connected until cancelled, or retired and done."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_when_retired, tasks.cancel_scope)
            if self.personal is not None:
                tasks.start_soon(self.personal.run)
            crashes = 0
            while True:
                began = anyio.current_time()
                lived = await self._live()
                quick = not lived or anyio.current_time() - began < self._policy.quick
                crashes = crashes + 1 if quick else 1
                self.restarts += 1
                await self._pause(crashes)

    async def _end_when_retired(self, scope: anyio.CancelScope) -> None:
        while not (self._retired and self._calls == 0):
            await self._changed.wait()
        scope.cancel()

    async def _pause(self, crashes: int) -> None:
        policy = self._policy
        hopeless = crashes >= policy.crash_limit
        delay = policy.slow if hopeless else min(policy.longest_delay, policy.first_delay * 2 ** (crashes - 1))
        self._enter("failed" if hopeless else "down", self.reason)
        log.warning("tool_server.down", server=self.name, reason=self.reason, crashes=crashes)
        with anyio.move_on_after(delay * self._jitter()):
            await self._hurry.wait()
        self._hurry = anyio.Event()

    async def _live(self) -> bool:
        """Open a connection and keep it until it breaks; False where it never was of use. `reason` says why it ended."""
        ready = anyio.Event()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._limit_start, ready, tasks.cancel_scope)
                async with self._connector.open() as connection:
                    await self._list(connection)
                    ready.set()
                    async with anyio.create_task_group() as beside:
                        beside.start_soon(self.shelf.keep, connection)
                        if isinstance(connection, Offering):
                            beside.start_soon(connection.listen)
                            beside.start_soon(connection.watch, self.shelf.watched)
                        await self._serve(connection)
                        beside.cancel_scope.cancel()
                tasks.cancel_scope.cancel()
        except* Exception as errors:  # noqa: BLE001 whatever one server does to its connection, it is no other's trouble
            self.reason = _why(errors)
        finally:
            self._connection = None
        return ready.is_set()

    async def _limit_start(self, ready: anyio.Event, scope: anyio.CancelScope) -> None:
        with anyio.move_on_after(self.settings.start_timeout):
            await ready.wait()
            return
        self.reason = f"it was not ready after {self.settings.start_timeout:g} s"
        scope.cancel()

    async def _list(self, connection: Connection) -> None:
        connection.signals.changed = anyio.Event()
        await self.catalogue.take(await connection.list())

    async def _serve(self, connection: Connection) -> None:
        self._connection = connection
        self._enter("ready", "")
        log.info("tool_server.ready", server=self.name, tools=len(self.catalogue.sight.tools))
        try:
            while not connection.signals.broken.is_set():
                with anyio.move_on_after(self.settings.refresh):
                    await connection.signals.changed.wait()
                if connection.signals.broken.is_set():
                    break
                with anyio.fail_after(self.settings.start_timeout):
                    await self._list(connection)
                self._enter("ready", "")
                await connection.signals.calm_down()
            self.reason = connection.signals.reason
        except TimeoutError:
            self.reason = f"it did not list its tools within {self.settings.start_timeout:g} s"
        finally:
            self._connection = None
            self._enter("down", self.reason)

    def _enter(self, state: ServerState, reason: str) -> None:
        self.state = state
        self.reason = reason
        self._changed.set()
        self._changed = anyio.Event()


def _may_repeat(error: ToolNotReached | ToolLost, tool: Tool) -> bool:
    """Whether a second try cannot do something twice: nothing was done, or doing it twice is nothing more."""
    return isinstance(error, ToolNotReached) or tool.effect in ("read", "idempotent")


def _why(errors: BaseExceptionGroup[Exception]) -> str:
    """Give the reason in a sentence's end. What fails when a connection is torn down comes after what broke it."""
    leaves = list(_leaves(errors))
    for leaf in leaves:
        if isinstance(leaf, CannotConnect):
            return str(leaf)
        if isinstance(leaf, StoreUnavailable):
            return "what was accepted of its tools cannot be read: the database is away"
    return f"the connection failed ({type(leaves[0]).__name__})"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for one in error.exceptions:
        yield from _leaves(one)
