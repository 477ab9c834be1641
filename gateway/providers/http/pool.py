"""The connections of one upstream: which are idle, how many may exist, and who waits for one.

A slot belongs to a connection from the moment its opening starts until it is closed, and is freed exactly once. It knows
neither URLs nor TLS: it is given a function that opens a connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.core.errors import UpstreamTimeout
from gateway.providers.http.connection import Connection, Owner

Opener = Callable[[Owner, float], Awaitable[Connection]]
"""Opens a connection that reports to the owner, before a moment in the loop's time."""


class Pool:
    """Keep-alive connections, last in first out, at most `limit`; waiters are served in order."""

    def __init__(self, opener: Opener, *, limit: int, name: str) -> None:
        if limit < 1:
            raise ValueError("a pool needs room for at least one connection")
        self._opener = opener
        self._limit = limit
        self._name = name
        self._free = limit
        self._idle: list[Connection] = []
        # A waiter is given a connection, or None: a slot to open one on.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    @property
    def free_slots(self) -> int:
        """How many more connections may be opened."""
        return self._free

    @property
    def idle_connections(self) -> int:
        """How many connections are open and unused."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """Return the most recently used idle connection, if there is one: it is the least likely to be stale."""
        return self._idle.pop() if self._idle else None

    async def acquire(self, deadline: float) -> Connection:
        """Return a connection: idle, new, or the next that comes free, before `deadline` (the loop's time).

        Raises UpstreamTimeout, or what opening raises.
        """
        queue_first = False
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._free > 0:
                self._free -= 1
                return await self._open(deadline)
            connection = await self._wait(deadline, queue_first=queue_first)
            if connection is None:
                return await self._open(deadline)
            if not connection.closed:
                return connection
            queue_first = True  # It was closed on its way here; its slot went to the next in line.

    async def acquire_new(self, deadline: float) -> Connection:
        """Like `acquire`, but open a new connection, in the place of an idle one if need be.

        Only when every connection is in use it may be one of those, as it comes free.
        """
        if self._free == 0 and self._idle:
            self._idle.pop(0).close()
        if self._free > 0:
            self._free -= 1
            return await self._open(deadline)
        return await self.acquire(deadline)

    def released(self, connection: Connection) -> None:
        """Hand a free connection to the first waiter, or keep it."""
        if self._closing and not self._waiters:
            connection.close()
        elif not self._hand_over(connection):
            self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a closed connection; its slot is free."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def close(self) -> None:
        """Close idle connections now and the others as they come free."""
        self._closing = True
        for connection in tuple(self._idle):
            connection.close()

    async def _open(self, deadline: float) -> Connection:
        """Open a connection on a slot that the caller holds; the slot is freed if that fails."""
        try:
            return await self._opener(self, deadline)
        except BaseException:
            self._free_slot()
            raise

    async def _wait(self, deadline: float, *, queue_first: bool) -> Connection | None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        if queue_first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        timer = loop.call_at(deadline, self._give_up, waiter)
        try:
            return await waiter
        except BaseException:
            self._return(waiter)
            raise
        finally:
            timer.cancel()

    def _give_up(self, waiter: "asyncio.Future[Connection | None]") -> None:
        if not waiter.done():
            waiter.set_exception(
                UpstreamTimeout(f"all {self._limit} connections to {self._name} are in use (connect timeout)")
            )

    def _return(self, waiter: "asyncio.Future[Connection | None]") -> None:
        """Pass on what a waiter was given in the same moment in which it was cancelled."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.cancelled() or not waiter.done() or waiter.exception() is not None:
            return
        connection = waiter.result()
        if connection is None:
            self._free_slot()
        elif not connection.closed:
            self.released(connection)

    def _free_slot(self) -> None:
        if not self._hand_over(None):
            self._free += 1

    def _hand_over(self, given: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(given)
                return True
        return False
