"""Windows in which limits count: which slot a moment belongs to, and when slots end. Arithmetic only; clocks are arguments.

A rolling window is cut into 60 slots of equal length; it holds the current slot and the 60 before it. So what was taken
counts for at least the window, and for at most a sixtieth of it longer: never is more admitted than in an exact sliding
window. A calendar window is one slot, which is named by its first second; it ends with the hour, day or month of its time
zone, however long that is: a day has 23 or 25 hours when clocks change.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

SLOTS = 60
LONG_SECONDS = 3600.0

Unit = Literal["minute", "hour", "day", "month"]


class Rolling(msgspec.Struct, frozen=True, kw_only=True):
    """The last `seconds`."""

    seconds: float

    @property
    def width(self) -> float:
        """The length of a slot, in seconds."""
        return self.seconds / SLOTS

    @property
    def long(self) -> bool:
        """Whether its counts must outlive the process."""
        return self.seconds >= LONG_SECONDS


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """The present minute, hour, day or month of a time zone."""

    unit: Unit
    zone: str = "UTC"

    @property
    def long(self) -> bool:
        """Whether its counts must outlive the process."""
        return self.unit != "minute"


Window = Rolling | Calendar


class Span(msgspec.Struct, frozen=True):
    """One calendar window, in seconds since 1970: `start` belongs to it, `end` to the next."""

    start: int
    end: int


def slot_of(window: Rolling, now: float) -> int:
    """Give the number of the slot that `now` (seconds since any fixed moment) is in."""
    return int(now // window.width)


def frees_at(window: Rolling, slot: int) -> float:
    """Give the moment at which what was taken in a slot no longer counts."""
    return (slot + SLOTS + 1) * window.width


@lru_cache(maxsize=4096)
def _span_of_hour(window: Calendar, hour: int) -> Span:
    return _span(window, float(hour * 3600))


def span_at(window: Calendar, now: float) -> Span:
    """Give the calendar window around `now`, in seconds since 1970. Correct through changes of the clocks."""
    whole = math.floor(now)
    if window.unit == "minute":
        # No zone of today has an offset that is not in whole minutes.
        return Span(whole - whole % 60, whole - whole % 60 + 60)
    span = _span_of_hour(window, whole // 3600)
    # Midnight need not be on an hour of UTC: India is at half past.
    return span if span.start <= now < span.end else _span(window, now)


def _span(window: Calendar, now: float) -> Span:
    local = datetime.fromtimestamp(now, ZoneInfo(window.zone))
    if window.unit == "hour":
        return _hour(now, local)
    first = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window.unit == "month":
        first = first.replace(day=1)
    following = _following(first, window.unit)
    while _instant(following) <= now:
        # Clocks went back over midnight: the evening comes twice, and its second half belongs to the new day.
        first, following = following, _following(following, window.unit)
    return Span(min(_instant(first), math.floor(now)), _instant(following))


def _following(first: datetime, unit: Unit) -> datetime:
    return first + timedelta(days=1) if unit == "day" else (first + timedelta(days=32)).replace(day=1)


def _hour(now: float, local: datetime) -> Span:
    """An hour is an hour of the clock on the wall; where clocks go back it comes twice, and each counts for itself."""
    start = math.floor(now) - local.minute * 60 - local.second
    return Span(start, start + 3600)


def _instant(local: datetime) -> int:
    """Give the first instant at which the clock shows this; where clocks skip it, the change itself (PEP 495, fold 0)."""
    return math.floor(local.timestamp())
