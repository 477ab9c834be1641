"""The counters of one process: rolling, calendar, and of what is held at once. Each knows its window.

Times: `now` is the steady clock, anchored at the wall clock's time when the process began, so that slots mean the same after a
restart and no jump of the wall clock moves a rolling window. `wall` is the wall clock: calendars follow it.

Nothing is taken here: `counters_memory` takes from many at once, without asking each, and so they are alike in what they show.
"""

from __future__ import annotations

from math import inf

from gateway.stores.counter_windows import SLOTS, Calendar, Rolling, Window, frees_at, span_at
from gateway.stores.counters_keeping import Keeper, Line, Lines

CALENDAR_SLOTS = 4
HELD_RETRY_SECONDS = 1.0
JUMP_SECONDS = 3600


class Epoch:
    """A number that grows whenever what somebody has found out about counters may be true no longer."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class Tally:
    """What of a counter changes with every call, the same for all kinds: whoever takes from many at once goes by it alone.

    `total` is what counts as of the last question, `before` the part of it from before the present `slot`. Who takes adds to
    the total, says that it is `touched`, and sees to it that it is kept where it `keeps` anything: in the `line`, or by the
    counter where there is none yet.
    """

    __slots__ = ("before", "keeps", "line", "slot", "total", "touched")

    def __init__(self, *, keeps: bool) -> None:
        self.total = 0
        self.before = 0
        self.slot = 0
        self.line: Line | None = None
        self.touched = False
        self.keeps = keeps


class RollingCounter:
    """What was taken in the last so many seconds. Its present slot ends at `due` on the steady clock.

    A counter that is `gone` was forgotten while it was empty: another may stand in its place.
    """

    __slots__ = ("_amounts", "_lines", "_width", "_window", "due", "gone", "key", "tally")
    held = False
    since, until = -inf, inf

    def __init__(self, key: str, window: Rolling, keeper: Keeper | None) -> None:
        self.key = key
        self.tally = Tally(keeps=keeper is not None)
        self.due = 0.0
        self.gone = False
        self._window = window
        self._width = window.width
        self._amounts: dict[int, int] = {}  # of earlier slots
        self._lines = None if keeper is None else Lines(keeper, key)

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del wall
        if now >= self.due:
            self._advance(now)
        return self.tally.total

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the slot that it was taken from, or charge more to the present one. What left the window stays gone."""
        self.used(now, wall)
        if delta > 0 or slot == self.tally.slot:
            self.tally.total += delta
            self.keep()
        elif slot in self._amounts:
            self._amounts[slot] += delta
            self.tally.before += delta
            self.tally.total += delta
            self._keep_old(slot)

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a slot; one of the future is taken for the present."""
        self.used(now, wall)
        if slot > self.tally.slot and self._lines is not None:
            self._lines.end(slot)
        slot = min(slot, self.tally.slot)
        present = self.tally.total - self.tally.before
        missing = amount - (present if slot == self.tally.slot else self._amounts.get(slot, 0))
        if missing <= 0 or slot < self.tally.slot - SLOTS:
            return
        self.tally.total += missing
        if slot == self.tally.slot:
            self.keep()
            return
        self.tally.before += missing
        self._amounts[slot] = amount
        self._keep_old(slot)

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give the seconds until so much has left the window."""
        del wall
        freed = 0
        for slot, amount in sorted(self.slots().items()):
            freed += amount
            if freed >= needed:
                return max(frees_at(self._window, slot) - now, 0.0)
        return self._window.seconds

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether forgetting it changes nothing."""
        return self.used(now, wall) == 0

    def slots(self) -> dict[int, int]:
        """Give what each slot holds."""
        present = self.tally.total - self.tally.before
        return {**self._amounts, self.tally.slot: present} if present else dict(self._amounts)

    def keep(self) -> None:
        """Have it kept what the present slot holds."""
        if self._lines is None:
            return
        if self.tally.line is None:
            self.tally.line = self._lines.find(self.tally.slot) or self._lines.begin(
                self.tally.slot, frees_at(self._window, self.tally.slot)
            )
        self.tally.line.put(self.tally.total - self.tally.before)

    def _keep_old(self, slot: int) -> None:
        if self._lines is not None:
            line = self._lines.find(slot) or self._lines.begin(slot, frees_at(self._window, slot))
            line.put(self._amounts[slot])

    def _advance(self, now: float) -> None:
        slot = int(now // self._width)
        self.due = (slot + 1) * self._width
        if slot <= self.tally.slot:
            return
        present = self.tally.total - self.tally.before
        if present:
            self._amounts[self.tally.slot] = present
        oldest = slot - SLOTS
        for gone in [known for known in self._amounts if known < oldest]:
            self.tally.total -= self._amounts.pop(gone)
        self.tally.slot, self.tally.before, self.tally.line = slot, self.tally.total, None
        if self._lines is not None:
            self._lines.end_before(oldest)


class CalendarCounter:
    """What was taken in the present minute, hour, day or month, which is the slot and lasts from `since` to `until`.

    The windows before and after are remembered too: when the wall clock jumps and comes back, no window is given twice.
    The rest is as of a `RollingCounter`.
    """

    __slots__ = ("_amounts", "_epoch", "_lines", "_window", "gone", "key", "since", "tally", "until")
    held = False
    due = inf

    def __init__(self, key: str, window: Calendar, keeper: Keeper | None, epoch: Epoch) -> None:
        self.key = key
        self.tally = Tally(keeps=keeper is not None)
        self.since = self.until = 0.0
        self.gone = False
        self._window = window
        self._epoch = epoch
        self._amounts: dict[int, int] = {}  # of other windows
        self._lines = None if keeper is None else Lines(keeper, key)

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del now
        if not self.since <= wall < self.until:
            self._move(wall)
        return self.tally.total

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the window that it was taken from, or charge more to it: that is when the money was spent."""
        del now, wall
        if slot == self.tally.slot:
            self.tally.total += delta
            self.keep()
        elif slot in self._amounts:
            self._amounts[slot] += delta
            self._keep_other(slot)

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a window."""
        self.used(now, wall)
        if slot == self.tally.slot:
            if amount <= self.tally.total:
                return
            self.tally.total, self.tally.touched = amount, True
            self.keep()
        else:
            if amount <= self._amounts.get(slot, 0):
                return
            self._amounts[slot] = amount
            self._keep_other(slot)
        self._trim(slot)

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give the seconds until the window is over."""
        del needed, now
        return max(self.until - wall, 0.0)

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether forgetting it changes nothing, even if the wall clock goes back by an hour."""
        self.used(now, wall)
        return not self.tally.touched and max(self._amounts, default=0) < self.since - JUMP_SECONDS

    def slots(self) -> dict[int, int]:
        """Give what each window holds."""
        return {**self._amounts, self.tally.slot: self.tally.total} if self.tally.touched else dict(self._amounts)

    def keep(self) -> None:
        """Have it kept what the present window holds."""
        if self._lines is None:
            return
        if self.tally.line is None:
            self.tally.line = self._lines.find(self.tally.slot) or self._lines.begin(self.tally.slot, self.until)
        self.tally.line.put(self.tally.total)

    def _keep_other(self, slot: int) -> None:
        if self._lines is not None:
            line = self._lines.find(slot) or self._lines.begin(slot, span_at(self._window, slot).end)
            line.put(self._amounts[slot])

    def _move(self, wall: float) -> None:
        if self.tally.touched:
            self._amounts[self.tally.slot] = self.tally.total
        span = span_at(self._window, wall)
        self.tally.slot, self.since, self.until = span.start, span.start, span.end
        self.tally.touched = span.start in self._amounts
        self.tally.total = self._amounts.pop(span.start, 0)
        self.tally.line = None
        self._trim(span.start)
        # Whoever has looked at its window looks again: the clock may come back before he asks.
        self._epoch.number += 1

    def _trim(self, latest: int) -> None:
        while len(self._amounts) >= CALENDAR_SLOTS:
            gone = min(known for known in self._amounts if known != latest)
            del self._amounts[gone]
            if self._lines is not None:
                self._lines.end(gone)


class HeldCounter:
    """What is held at this moment, and will be given back. It has but one slot. The rest is as of a `RollingCounter`."""

    __slots__ = ("gone", "key", "tally")
    held = True
    due = until = inf
    since = -inf

    def __init__(self, key: str) -> None:
        self.key = key
        self.tally = Tally(keeps=False)
        self.gone = False

    def used(self, now: float, wall: float) -> int:
        """Give what is held."""
        del now, wall
        return self.tally.total

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back, or hold more."""
        del slot, now, wall
        self.tally.total += delta

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Nothing is held by a process that has ended."""

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give a second: nobody knows when calls end."""
        del needed, now, wall
        return HELD_RETRY_SECONDS

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether nothing is held."""
        del now, wall
        return self.tally.total == 0

    def slots(self) -> dict[int, int]:
        """Nothing is kept of it."""
        return {}

    def keep(self) -> None:
        """Nothing is."""


Counter = RollingCounter | CalendarCounter | HeldCounter


def new_counter(key: str, window: Window | None, keeper: Keeper | None, epoch: Epoch) -> Counter:
    """Give an empty counter; the keeper is for long windows only. A calendar says by `epoch` that it has moved on."""
    if window is None:
        return HeldCounter(key)
    kept = keeper if window.long else None
    return (
        RollingCounter(key, window, kept) if isinstance(window, Rolling) else CalendarCounter(key, window, kept, epoch)
    )
