"""Cron expressions of five fields, and the times that they mean. Pure; times are seconds since 1970.

Minute, hour, day of month, month, day of week, as POSIX's crontab has them, with steps, names of months and days, and 7 for Sunday. Where both
days are restricted, either will do. A time that a clock skips when summer begins comes at the first moment after the gap; one that comes
twice when summer ends is taken the first time. An hour or minute that is a `*` follows the wall clock through both, as often as it shows it.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: Final[tuple[tuple[str, int, int, Mapping[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_YEARS: Final = 28
"""Within so many years every date comes that there is, February the 29th on each day of the week among them."""


class Cron(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule. `days` are those of the month, `weekdays` count from Sunday, 0; `wild` names the fields that begin with a `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    wild: frozenset[str]

    def has(self, day: dt.date) -> bool:
        """Whether the schedule has something on a day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if {"day of month", "day of week"} & self.wild:
            return of_month and of_week
        return of_month or of_week


def parse_cron(text: str) -> Cron:
    """Read an expression. Raises ValueError, whose text says what is wrong, and where."""
    written = text.split()
    if len(written) != len(_FIELDS):
        msg = f"expected five fields (minute, hour, day of month, month, day of week), got {len(written)}"
        raise ValueError(msg)
    read = [_field(part, *field) for part, field in zip(written, _FIELDS, strict=True)]
    cron = Cron(
        minutes=read[0],
        hours=read[1],
        days=read[2],
        months=read[3],
        weekdays=frozenset(day % 7 for day in read[4]),
        wild=frozenset(field[0] for part, field in zip(written, _FIELDS, strict=True) if part.startswith("*")),
    )
    first = dt.date(2000, 1, 1)
    if not any(cron.has(first + dt.timedelta(days=number)) for number in range(366 * _YEARS)):
        msg = "no such day ever comes"
        raise ValueError(msg)
    return cron


def _field(text: str, name: str, lowest: int, highest: int, words: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        every = 1
        if slash:
            if not (step.isascii() and step.isdecimal() and 1 <= int(step[:9]) <= highest):
                msg = f"{name}: {part[:40]!r} has no step from 1 to {highest}"
                raise ValueError(msg)
            every = int(step)
        if span == "*":
            first, last = lowest, highest if name != "day of week" else 6
        else:
            one, dash, other = span.partition("-")
            first = _number(one, name, lowest, highest, words)
            last = _number(other, name, lowest, highest, words) if dash else (highest if slash else first)
            if last < first:
                msg = f"{name}: {part[:40]!r} ends before it begins"
                raise ValueError(msg)
        found.update(range(first, last + 1, every))
    return frozenset(found)


def _number(text: str, name: str, lowest: int, highest: int, words: Mapping[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not (text.isascii() and text.isdecimal() and lowest <= int(text[:9]) <= highest):
        msg = f"{name}: {text[:40]!r} is no number from {lowest} to {highest}"
        raise ValueError(msg)
    return int(text)


def times_after(cron: Cron, zone: ZoneInfo, after: float) -> Iterator[float]:
    """Give the times that follow upon `after`, in order; it ends after some decades without one."""
    begin = dt.datetime.fromtimestamp(after, zone).date()
    last = after
    # The day before, too: a clock that goes back over midnight shows it twice.
    for number in range(-1, 366 * _YEARS):
        day = begin + dt.timedelta(days=number)
        if not cron.has(day):
            continue
        for moment in sorted(_of_day(cron, zone, day)):
            if moment > last:
                last = moment
                yield moment


def _of_day(cron: Cron, zone: ZoneInfo, day: dt.date) -> set[float]:
    found: set[float] = set()
    following = {"minute", "hour"} & cron.wild
    for hour in cron.hours:
        for minute in cron.minutes:
            moment = dt.datetime.combine(day, dt.time(hour, minute), zone)
            first = moment.timestamp()
            if dt.datetime.fromtimestamp(first, zone).replace(tzinfo=None) == moment.replace(tzinfo=None):
                found.add(first)
                if following:
                    found.add(moment.replace(fold=1).timestamp())
            elif not following:
                found.add(_end_of_gap(moment))
    return found


def _end_of_gap(moment: dt.datetime) -> float:
    """Give the first moment after the gap that a time lies in: what the clock shows then is what it shows before, and the gap more."""
    before, after = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    low, high = moment.replace(fold=1).timestamp(), moment.replace(fold=0).timestamp()
    if before is None or after is None:
        return high
    zone = moment.tzinfo
    while high - low > 1:
        middle = (low + high) // 2
        if dt.datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
