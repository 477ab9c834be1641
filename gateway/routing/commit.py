"""The commit point of an answer: until its first content event, another target can still begin it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.core.events import CutShort, Decided, Degraded, Event, Finished, Spent, Started, Tried
from gateway.core.responder import NOTHING, Lane, Send, lane_of
from gateway.routing.timing import Alarm


class Commit:
    """A Send that holds `Started` back until content follows, and then stays out of the way.

    `done` says whether the answer has begun, `at` when, in seconds on the steady clock. `started` and `finished` are its ends.
    `cut` is what was used by an answer that ended before it began. `alarm` ends the wait for the
    beginning; once it has come there is no hurry any more.
    """

    __slots__ = ("_now", "_send", "alarm", "at", "cut", "done", "finished", "started")

    def __init__(self, send: Send, now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.cut: CutShort | None = None
        self.at = 0.0
        self.done = False
        self.alarm: Alarm | None = None

    def __call__(self, event: Event) -> Awaitable[None]:
        """Pass it on, now or later."""
        kind = type(event)
        if self.done:
            if kind is Finished:
                self.finished = event  # type: ignore[assignment]  # `kind is` does not narrow; isinstance costs more
            return self._send(event)
        if kind is Started:
            self.started = event  # type: ignore[assignment]  # as above
            return NOTHING
        if kind is Spent or kind is Tried or kind is Decided or kind is Degraded:
            return self._send(event)
        if kind is CutShort:
            self.cut = event  # type: ignore[assignment]  # as above
            return NOTHING
        return self._begin(event)

    async def _begin(self, event: Event) -> None:
        self.done = True
        self.at = self._now()
        if self.alarm is not None:
            self.alarm.cancel()
        if self.started is not None:
            await self._send(self.started)
        await self._send(event)

    def lane(self) -> Lane | None:
        """After the commit point nothing is looked at any more."""
        return lane_of(self._send) if self.done else None
