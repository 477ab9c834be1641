"""The counters of one process: rolling, calendar, and of what is held at once. Each knows its window.

Times: `now` is the steady clock, anchored at the wall clock's time when the process began, so that slots mean the same after a
restart and no jump of the wall clock moves a rolling window. `wall` is the wall clock: calendars follow it.

`total` is what counts as of the last question. A counter that is `gone` was forgotten while it was empty: another may stand in its place.
"""

from __future__ import annotations

from gateway.stores.counter_windows import SLOTS, Calendar, Rolling, frees_at, span_at
from gateway.stores.counters_keeping import Keeper, Line, Lines

REFUSED = -1
"""In place of a slot's number: there was no room."""

CALENDAR_SLOTS = 4
HELD_RETRY_SECONDS = 1.0
JUMP_SECONDS = 3600


class RollingCounter:
    """What was taken in the last so many seconds."""

    __slots__ = (
        "_amounts", "_line", "_lines", "_present", "_slot", "_until", "_width", "_window", "gone", "key", "total",
    )  # fmt: skip
    held = False

    def __init__(self, key: str, window: Rolling, keeper: Keeper | None) -> None:
        self.key = key
        self.total = 0
        self.gone = False
        self._window = window
        self._width = window.width
        self._amounts: dict[int, int] = {}  # of earlier slots; that of the present one is `_present`
        self._slot = 0
        self._present = 0
        self._until = 0.0
        self._lines = None if keeper is None else Lines(keeper, key)
        self._line: Line | None = None  # of the present

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del wall
        if now >= self._until:
            self._advance(now)
        return self.total

    def take(self, amount: int, limit: int, now: float, wall: float) -> int:
        """Add to the present slot where that leaves the total within the limit, and give the slot's number; else `REFUSED`."""
        del wall
        if now >= self._until:
            self._advance(now)
        total = self.total + amount
        if total > limit:
            return REFUSED
        self.total = total
        self._present += amount
        if self._line is not None:
            self._line.put(self._present)
        elif self._lines is not None:
            self._keep(self._lines, self._slot, self._present)
        return self._slot

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the slot that it was taken from, or charge more to the present one. What left the window stays gone."""
        del wall
        if now >= self._until:
            self._advance(now)
        if delta > 0 or slot == self._slot:
            self._present += delta
            self.total += delta
            if self._line is not None:
                self._line.put(self._present)
            elif self._lines is not None:
                self._keep(self._lines, self._slot, self._present)
        elif slot in self._amounts:
            self._amounts[slot] += delta
            self.total += delta
            if self._lines is not None:
                self._keep(self._lines, slot, self._amounts[slot])

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a slot; one of the future is taken for the present."""
        self.used(now, wall)
        if slot > self._slot and self._lines is not None:
            self._lines.end(slot)
        slot = min(slot, self._slot)
        missing = amount - (self._present if slot == self._slot else self._amounts.get(slot, 0))
        if missing <= 0 or slot < self._slot - SLOTS:
            return
        self.total += missing
        if slot == self._slot:
            self._present = amount
        else:
            self._amounts[slot] = amount
        if self._lines is not None:
            self._keep(self._lines, slot, amount)

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
        return {**self._amounts, self._slot: self._present} if self._present else dict(self._amounts)

    def _advance(self, now: float) -> None:
        slot = int(now // self._width)
        self._until = (slot + 1) * self._width
        if slot <= self._slot:
            return
        if self._present:
            self._amounts[self._slot] = self._present
        self._slot, self._present, self._line = slot, 0, None
        oldest = slot - SLOTS
        for gone in [known for known in self._amounts if known < oldest]:
            self.total -= self._amounts.pop(gone)
        if self._lines is not None:
            self._lines.end_before(oldest)

    def _keep(self, lines: Lines, slot: int, amount: int) -> None:
        line = lines.find(slot) or lines.begin(slot, frees_at(self._window, slot))
        if slot == self._slot:
            self._line = line
        line.put(amount)


class CalendarCounter:
    """What was taken in the present minute, hour, day or month.

    The windows before and after are remembered too: when the wall clock jumps and comes back, no window is given twice.
    """

    __slots__ = (
        "_amounts", "_line", "_lines", "_since", "_until", "_used", "_window", "gone", "key", "total",
    )  # fmt: skip
    held = False

    def __init__(self, key: str, window: Calendar, keeper: Keeper | None) -> None:
        self.key = key
        self.total = 0
        self.gone = False
        self._window = window
        self._amounts: dict[int, int] = {}  # of other windows; that of the present one is `total`
        self._since = 0
        self._until = 0
        self._used = False
        self._lines = None if keeper is None else Lines(keeper, key)
        self._line: Line | None = None  # of the present

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del now
        if not self._since <= wall < self._until:
            self._move(wall)
        return self.total

    def take(self, amount: int, limit: int, now: float, wall: float) -> int:
        """Add to the present window where that leaves it within the limit, and give the window's name; else `REFUSED`."""
        del now
        if not self._since <= wall < self._until:
            self._move(wall)
        total = self.total + amount
        if total > limit:
            return REFUSED
        self.total = total
        self._used = True
        if self._line is not None:
            self._line.put(total)
        elif self._lines is not None:
            self._keep(self._lines, self._since, total)
        return self._since

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the window that it was taken from, or charge more to it: that is when the money was spent."""
        del now, wall
        if slot == self._since:
            self.total += delta
            if self._line is not None:
                self._line.put(self.total)
            elif self._lines is not None:
                self._keep(self._lines, slot, self.total)
        elif slot in self._amounts:
            self._amounts[slot] += delta
            if self._lines is not None:
                self._keep(self._lines, slot, self._amounts[slot])

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a window."""
        self.used(now, wall)
        if slot == self._since:
            if amount <= self.total:
                return
            self.total, self._used = amount, True
        else:
            if amount <= self._amounts.get(slot, 0):
                return
            self._amounts[slot] = amount
        if self._lines is not None:
            self._keep(self._lines, slot, amount)
        self._trim(slot)

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give the seconds until the window is over."""
        del needed, now
        return max(self._until - wall, 0.0)

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether forgetting it changes nothing, even if the wall clock goes back by an hour."""
        self.used(now, wall)
        return not self._used and max(self._amounts, default=0) < self._since - JUMP_SECONDS

    def slots(self) -> dict[int, int]:
        """Give what each window holds."""
        return {**self._amounts, self._since: self.total} if self._used else dict(self._amounts)

    def _move(self, wall: float) -> None:
        if self._used:
            self._amounts[self._since] = self.total
        span = span_at(self._window, wall)
        self._since, self._until = span.start, span.end
        self._used = span.start in self._amounts
        self.total = self._amounts.pop(span.start, 0)
        self._line = None
        self._trim(span.start)

    def _trim(self, latest: int) -> None:
        while len(self._amounts) >= CALENDAR_SLOTS:
            gone = min(known for known in self._amounts if known != latest)
            del self._amounts[gone]
            if self._lines is not None:
                self._lines.end(gone)

    def _keep(self, lines: Lines, slot: int, amount: int) -> None:
        line = lines.find(slot)
        if line is None:
            line = lines.begin(slot, self._until if slot == self._since else span_at(self._window, slot).end)
        if slot == self._since:
            self._line = line
        line.put(amount)


class HeldCounter:
    """What is held at this moment, and will be given back."""

    __slots__ = ("gone", "key", "total")
    held = True

    def __init__(self, key: str) -> None:
        self.key = key
        self.total = 0
        self.gone = False

    def used(self, now: float, wall: float) -> int:
        """Give what is held."""
        del now, wall
        return self.total

    def take(self, amount: int, limit: int, now: float, wall: float) -> int:
        """Hold more, where that stays within the limit. There is but one slot."""
        del now, wall
        total = self.total + amount
        if total > limit:
            return REFUSED
        self.total = total
        return 0

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back, or hold more."""
        del slot, now, wall
        self.total += delta

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Nothing is held by a process that has ended."""

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give a second: nobody knows when calls end."""
        del needed, now, wall
        return HELD_RETRY_SECONDS

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether nothing is held."""
        del now, wall
        return self.total == 0

    def slots(self) -> dict[int, int]:
        """Nothing is kept of it."""
        return {}


Counter = RollingCounter | CalendarCounter | HeldCounter


def new_counter(key: str, window: Rolling | Calendar | None, keeper: Keeper | None) -> Counter:
    """Give an empty counter; the keeper is for long windows only."""
    if window is None:
        return HeldCounter(key)
    kept = keeper if window.long else None
    return RollingCounter(key, window, kept) if isinstance(window, Rolling) else CalendarCounter(key, window, kept)
