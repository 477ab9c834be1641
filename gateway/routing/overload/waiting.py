"""Waiting for a place: a call stands in its model's line until a target that can answer it has one, or it has to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import anyio

from gateway.config.overload_settings import Priority, QueueSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.decision import Decision
from gateway.core.errors import Overloaded, QueueShareExceeded, SwitchgearError
from gateway.routing.gate import Waiter
from gateway.routing.overload.line import Line, Lines, Outcome
from gateway.routing.seat import Seat

Choice = tuple[Sequence[Seat], Decision]
Decide = Callable[[float], Choice]
"""Gives the seats that may be asked now, those with room first; empty when there is none."""

_TICK = 1.0
"""Seconds between two looks at a target whose probes are on their way: nobody tells when they are over."""


class Queue:
    """How the calls of one model wait, by its settings. Time is an argument."""

    def __init__(
        self,
        model: str,
        settings: QueueSettings,
        lines: Lines,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.model = model
        self.line: Line = lines.of(model)
        self.lines = lines
        self.settings = settings
        self.now = now
        self.sleep = sleep
        self._priorities: list[tuple[Callable[[Caller], bool], Priority]] = [
            (_reader(whose), priority) for whose, priority in settings.priorities.items()
        ]

    def priority(self, call: Call) -> Priority:
        """Give a call's priority: batches come last, others as the settings say."""
        if call.background:
            return "low"
        for belongs, priority in self._priorities:
            if belongs(call.caller):
                return priority
        return "normal"

    def full(self) -> Overloaded:
        """Give the error of a call that does not wait."""
        msg = f"Every target of '{self.model}' that could answer has as many calls as it may have at once."
        return Overloaded(msg, retry_after=self.line.retry_after(self.now()))

    def place(self, call: Call, seats: Sequence[Seat]) -> Place:
        """Give a call its place, of which nothing is left when the `with` is over. `seats` are all of the model."""
        return Place(self, call, seats)


class Place:
    """One call's place in the line."""

    def __init__(self, queue: Queue, call: Call, seats: Sequence[Seat]) -> None:
        self._queue = queue
        self._call = call
        self._seats = seats
        self._news = anyio.Event()
        self._waiter = Waiter(call.id, call.caller.id, queue.priority(call), self._tell)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._waiter.close()

    async def room(self, decide: Decide, deadline: float) -> Choice:
        """Wait until a seat has room for the call, and give the choice with it first; an empty one when nobody may be asked.

        Raises Overloaded and QueueShareExceeded. The deadline is on the steady clock.
        """
        queue = self._queue
        began = queue.now()
        # The lines of a batch have the time: they wait for as long as one call may take.
        until = deadline if self._call.background else min(began + queue.settings.longest, deadline)
        outcome: Outcome = "left"
        try:
            while True:
                now = queue.now()
                choice = decide(now)
                seats = choice[0]
                self._keep_promise(seats)
                if not seats or seats[0].has_room(self._call.id):
                    outcome = "served" if seats else "left"
                    return choice
                if now >= until:
                    outcome = "late"
                    self._count("late")
                    raise self._late(now - began)
                if not self._stand(now):
                    outcome = "shed"
                    raise self._refusal()
                self._waiter.wait_for([seat.gate for seat in seats if seat.gate is not None])
                await self._news_or(min(until - now, self._look_again(now)))
                if self._waiter.refusal is not None:
                    outcome = "shed"
                    raise self._refusal()
        finally:
            now = queue.now()
            if self._waiter.stood:
                if outcome == "served":
                    queue.line.note_served(now)
                queue.lines.seconds.observe((queue.model, outcome), now - began)

    def _tell(self) -> None:
        self._news.set()

    def _keep_promise(self, seats: Sequence[Seat]) -> None:
        """Give a promised place back when another target is asked, because this one is spared by now or another is free too."""
        promise = self._waiter.promise
        if promise is not None and (not seats or seats[0].gate is not promise):
            self._waiter.renounce()

    def _stand(self, now: float) -> bool:
        """Stand in the line; False when there is no place in it."""
        queue, waiter = self._queue, self._waiter
        if waiter.stood:
            queue.line.add(waiter)
            return True
        waiter.stood = True
        shed = queue.line.admit(waiter, queue.settings.most, now)
        if shed is not None:
            self._count(shed)
        return waiter.refusal is None

    async def _news_or(self, seconds: float) -> None:
        """Wait until there is news, or for so many seconds."""
        self._news = anyio.Event()
        if self._waiter.promise is not None or self._waiter.refusal is not None:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._alarm, seconds, self._news)
            await self._news.wait()
            tasks.cancel_scope.cancel()

    async def _alarm(self, seconds: float, news: anyio.Event) -> None:
        await self._queue.sleep(seconds)
        news.set()

    def _look_again(self, now: float) -> float:
        """Give the seconds until a target that is spared now may be asked again."""
        back = [seat.condition.back_at(now) or _TICK for seat in self._seats if seat.condition.spared(now)]
        return min(back, default=float("inf"))

    def _count(self, reason: str) -> None:
        self._queue.lines.shed.add((self._queue.model, reason))

    def _late(self, waited: float) -> SwitchgearError:
        queue = self._queue
        message = (
            f"The call waited for {waited:.0f} s for a place at a target of '{queue.model}', and none became free."
        )
        return self._as_told(Overloaded(message, retry_after=queue.line.retry_after(queue.now())))

    def _refusal(self) -> SwitchgearError:
        error = self._waiter.refusal
        if error is None:
            raise AssertionError
        return self._as_told(error)

    def _as_told(self, error: SwitchgearError) -> SwitchgearError:
        """A batch takes 503 for a fault, of which it bears a few; that others go first is none."""
        if self._call.background and isinstance(error, Overloaded):
            return QueueShareExceeded(error.message, retry_after=error.retry_after)
        return error


def _reader(whose: str) -> Callable[[Caller], bool]:
    """Give what says whether a caller is meant by `tenant=ID`, `team=ID`, `user=ID`, `key=ID` or `tag:NAME=VALUE`."""
    what, _, wanted = whose.partition("=")
    if what.startswith("tag:"):
        pair = (what.removeprefix("tag:"), wanted)
        return lambda caller: pair in caller.tags
    field = "id" if what == "key" else what
    return lambda caller: getattr(caller, field) == wanted
