"""The counters of one process: rolling, calendar, and of what is held at once. Each knows its window; none knows a limit.

Times: `now` is the steady clock, anchored at the wall clock's time when the process began, so that slots mean the same after a
restart and no jump of the wall clock moves a rolling window. `wall` is the wall clock: calendars follow it.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.stores.counter_windows import SLOTS, Calendar, Rolling, Span, frees_at, span_at
from gateway.stores.counters_board import digest_of

Note = Callable[["Counter", int, int, float], None]
"""Told (counter, slot, amount, expires) whenever a slot of a long window changes; an amount of -1 says that it is over."""

OVER = -1
CALENDAR_SLOTS = 4
HELD_RETRY_SECONDS = 1.0
JUMP_SECONDS = 3600


class RollingCounter:
    """What was taken in the last so many seconds."""

    __slots__ = ("_amounts", "_note", "_slot", "_total", "_width", "_window", "digest", "key")

    def __init__(self, key: str, window: Rolling, note: Note | None) -> None:
        self.key = key
        self.digest = b"" if note is None else digest_of(key)
        self._window = window
        self._width = window.width
        self._amounts: dict[int, int] = {}
        self._slot = 0
        self._total = 0
        self._note = note

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del wall
        slot = int(now // self._width)
        if slot > self._slot:
            self._advance(slot)
        return self._total

    def take(self, amount: int) -> int:
        """Add to the present slot (that of the last `used`), and give its number."""
        slot = self._slot
        self._put(slot, self._amounts.get(slot, 0) + amount)
        self._total += amount
        return slot

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the slot that it was taken from, or charge more to the present one. What left the window stays gone."""
        self.used(now, wall)
        if delta > 0:
            self.take(delta)
        elif slot in self._amounts:
            self._put(slot, self._amounts[slot] + delta)
            self._total += delta

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a slot; one of the future is taken for the present."""
        self.used(now, wall)
        present = self._slot
        if slot > present and self._note is not None:
            self._note(self, slot, OVER, 0.0)
        slot = min(slot, present)
        missing = amount - self._amounts.get(slot, 0)
        if missing > 0 and slot >= present - SLOTS:
            self._put(slot, amount)
            self._total += missing

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give the seconds until so much has left the window."""
        del wall
        freed = 0
        for slot in sorted(self._amounts):
            freed += self._amounts[slot]
            if freed >= needed:
                return max(frees_at(self._window, slot) - now, 0.0)
        return self._window.seconds

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether forgetting it changes nothing."""
        return self.used(now, wall) == 0

    def slots(self) -> dict[int, int]:
        """Give what each slot holds."""
        return dict(self._amounts)

    def _put(self, slot: int, amount: int) -> None:
        self._amounts[slot] = amount
        if self._note is not None:
            self._note(self, slot, amount, frees_at(self._window, slot))

    def _advance(self, slot: int) -> None:
        self._slot = slot
        oldest = slot - SLOTS
        for gone in [known for known in self._amounts if known < oldest]:
            self._total -= self._amounts.pop(gone)
            if self._note is not None:
                self._note(self, gone, OVER, 0.0)


class CalendarCounter:
    """What was taken in the present minute, hour, day or month.

    The windows before and after are remembered too: when the wall clock jumps and comes back, no window is given twice.
    """

    __slots__ = ("_amounts", "_note", "_span", "_window", "digest", "key")

    def __init__(self, key: str, window: Calendar, note: Note | None) -> None:
        self.key = key
        self.digest = b"" if note is None else digest_of(key)
        self._window = window
        self._amounts: dict[int, int] = {}
        self._span = Span(0, 0)
        self._note = note

    def used(self, now: float, wall: float) -> int:
        """Give what counts at this moment."""
        del now
        span = self._span
        if not span.start <= wall < span.end:
            self._span = span = span_at(self._window, wall)
        return self._amounts.get(span.start, 0)

    def take(self, amount: int) -> int:
        """Add to the present window (that of the last `used`), and give its name."""
        slot = self._span.start
        self._put(slot, self._amounts.get(slot, 0) + amount)
        return slot

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back to the window that it was taken from, or charge more to it: that is when the money was spent."""
        del now, wall
        if slot in self._amounts:
            self._put(slot, self._amounts[slot] + delta)

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Hold at least so much in a window."""
        self.used(now, wall)
        if amount > self._amounts.get(slot, 0):
            self._put(slot, amount)

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give the seconds until the window is over."""
        del needed, now
        return max(self._span.end - wall, 0.0)

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether forgetting it changes nothing, even if the wall clock goes back by an hour."""
        self.used(now, wall)
        return max(self._amounts, default=0) < self._span.start - JUMP_SECONDS

    def slots(self) -> dict[int, int]:
        """Give what each window holds."""
        return dict(self._amounts)

    def _put(self, slot: int, amount: int) -> None:
        self._amounts[slot] = amount
        if self._note is not None:
            span = self._span
            end = span.end if slot == span.start else span_at(self._window, slot).end
            self._note(self, slot, amount, end)
        if len(self._amounts) > CALENDAR_SLOTS:
            gone = min(known for known in self._amounts if known not in (slot, self._span.start))
            del self._amounts[gone]
            if self._note is not None:
                self._note(self, gone, OVER, 0.0)


class HeldCounter:
    """What is held at this moment, and will be given back."""

    __slots__ = ("_held", "digest", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.digest = b""
        self._held = 0

    def used(self, now: float, wall: float) -> int:
        """Give what is held."""
        del now, wall
        return self._held

    def take(self, amount: int) -> int:
        """Hold more. There is but one slot."""
        self._held += amount
        return 0

    def correct(self, slot: int, delta: int, now: float, wall: float) -> None:
        """Give back, or hold more."""
        del slot, now, wall
        self._held += delta

    def restore(self, slot: int, amount: int, now: float, wall: float) -> None:
        """Nothing is held by a process that has ended."""

    def frees_in(self, needed: int, now: float, wall: float) -> float:
        """Give a second: nobody knows when calls end."""
        del needed, now, wall
        return HELD_RETRY_SECONDS

    def is_idle(self, now: float, wall: float) -> bool:
        """Whether nothing is held."""
        del now, wall
        return self._held == 0

    def slots(self) -> dict[int, int]:
        """Nothing is kept of it."""
        return {}


Counter = RollingCounter | CalendarCounter | HeldCounter


def new_counter(key: str, window: Rolling | Calendar | None, note: Note | None) -> Counter:
    """Give an empty counter; `note` is asked for long windows only."""
    if window is None:
        return HeldCounter(key)
    kept = note if window.long else None
    return RollingCounter(key, window, kept) if isinstance(window, Rolling) else CalendarCounter(key, window, kept)
