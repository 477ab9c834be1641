"""The commit point of an answer: until its first content event, another target can still begin it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.core.events import CutShort, Event, Finished, Started
from gateway.core.responder import Lane, Send, lane_of


class Commit:
    """A Send that holds `Started` back until content follows, and then stays out of the way.

    `done` says whether the answer has begun, `at` when, in seconds on the steady clock. `started` and `finished` are its ends.
    """

    __slots__ = ("_now", "_send", "at", "done", "finished", "started")

    def __init__(self, send: Send, now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.at = 0.0
        self.done = False

    def __call__(self, event: Event) -> Awaitable[None]:
        """Pass it on, now or later."""
        if not self.done:
            return self._begin(event)
        if type(event) is Finished:
            self.finished = event
        return self._send(event)

    async def _begin(self, event: Event) -> None:
        if isinstance(event, Started):
            self.started = event
        elif not isinstance(event, CutShort):
            self.done = True
            self.at = self._now()
            if self.started is not None:
                await self._send(self.started)
            await self._send(event)

    def lane(self) -> Lane | None:
        """After the commit point nothing is looked at any more."""
        return lane_of(self._send) if self.done else None
