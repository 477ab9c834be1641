"""The calls of one model that wait for a place: how many there may be, who has to go when there are too many, how fast they go on.

Which of them gets a place is the gates' business. A line outlives reloads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from gateway.config.overload_settings import Priority
from gateway.core.errors import Overloaded, QueueShareExceeded, SwitchgearError
from gateway.routing.gate import WEIGHTS, Turns, Waiter
from gateway.telemetry.metrics import Counter, Histogram, Metric, Reading

Outcome = Literal["served", "shed", "late", "left"]
"""served: it got a place; shed: it had to go; late: none came in time; left: its client went, or no target was well any more."""
Shed = Literal["full", "share", "displaced", "late"]

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds: an estimate from a standstill must not send clients away for good."""
_SMOOTHING: Final = 0.2
_RISING: Final[tuple[Priority, ...]] = tuple(reversed(WEIGHTS))
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)


class Line:
    """Who waits for one model. Times are seconds on the steady clock."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.waiting = 0
        self._turns: dict[Priority, Turns] = {priority: Turns() for priority in WEIGHTS}
        self._members: set[Waiter] = set()
        self._interval: float | None = None  # between two places that became free, on average
        self._moved = 0.0  # when the last one did, or when somebody began to wait

    def admit(self, waiter: Waiter, most: int, now: float) -> Shed | None:
        """Take a call into the line; why one had to go for it, or it itself, if so. A call that goes is refused."""
        shed: Shed | None = None
        if self.waiting >= most:
            victim = self._victim(waiter)
            error, shed = self._error(victim, waiter, most, now)
            if victim is waiter:
                waiter.refusal = error
                return shed
            victim.refuse(error)
        if not self.waiting:
            self._moved = now
        self.add(waiter)
        return shed

    def add(self, waiter: Waiter) -> None:
        """It waits (again): who lost a promised place is not sent away."""
        if waiter not in self._members:
            self._members.add(waiter)
            self._turns[waiter.priority].add(waiter)
            self.waiting += 1
            waiter.left_line = self.remove

    def remove(self, waiter: Waiter) -> None:
        """It waits no more."""
        if waiter in self._members:
            self._members.remove(waiter)
            self._turns[waiter.priority].remove(waiter)
            self.waiting -= 1

    def note_served(self, now: float) -> None:
        """One of them got a place."""
        gap, known = now - self._moved, self._interval
        self._interval = gap if known is None else known + _SMOOTHING * (gap - known)
        self._moved = now

    def retry_after(self, now: float) -> float:
        """Give the seconds after which all who wait now will have had a place, as far as it went of late."""
        standing = now - self._moved if self.waiting else 0.0
        seconds = (self.waiting + 1) * max(self._interval or 0.0, standing)
        return min(max(seconds, 1.0), LONGEST_RETRY_AFTER)

    def _victim(self, new: Waiter) -> Waiter:
        """Give who has to go: of the lowest priority, of the caller who has most, the call that came last."""
        lowest: Priority = next(priority for priority in _RISING if self._turns[priority] or priority == new.priority)
        turns = self._turns[lowest]
        if not turns:
            return new
        caller, count = turns.largest()
        if lowest == new.priority and count <= turns.count(new.caller) + 1:
            return new
        return turns.newest(caller)

    def _error(self, victim: Waiter, new: Waiter, most: int, now: float) -> tuple[SwitchgearError, Shed]:
        turns = self._turns[victim.priority]
        callers = len(turns) + (not turns.count(new.caller) and new.priority == victim.priority)
        count = turns.count(victim.caller) + (victim is new)
        after = self.retry_after(now)
        if callers > 1 and count > max(most / callers, 1):
            msg = f"Calls wait for the model '{self.model}', and this caller has more than its share of them: {count - 1} others."
            return QueueShareExceeded(msg, retry_after=after), "share"
        if victim is new:
            return Overloaded(
                f"{self.waiting} calls wait for the model '{self.model}' already.", retry_after=after
            ), "full"
        msg = f"Too many calls wait for the model '{self.model}', and others go before this one."
        return Overloaded(msg, retry_after=after), "displaced"


class Lines:
    """All lines, by model, and what metrics tell of them. One for all generations of the configuration."""

    def __init__(self) -> None:
        self._known: dict[str, Line] = {}
        self.seconds = Histogram(
            "switchgear_queue_seconds", "Time that calls waited for a place.", _SECONDS, ("model", "outcome")
        )
        self.shed = Counter(
            "switchgear_queue_shed_total", "Calls that got no place in time, or none at all.", ("model", "reason")
        )
        waiting = Reading("switchgear_queue_waiting", "Calls that wait for a place.", self._waiting, ("model",))
        self.metrics: tuple[Metric, ...] = (waiting, self.seconds, self.shed)

    def of(self, model: str) -> Line:
        """Give the line of a model."""
        return self._known.setdefault(model, Line(model))

    def __iter__(self) -> Iterator[Line]:
        return iter(tuple(self._known.values()))

    def _waiting(self) -> dict[tuple[str, ...], float]:
        return {(line.model,): line.waiting for line in self}
