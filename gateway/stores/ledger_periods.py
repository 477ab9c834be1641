"""Calendar periods of a time zone as whole milliseconds, for databases that know no time zones. It reads no clock.

Within a span in which the zone's offset from UTC does not change, local hours and days are plain divisions; so a query needs the
few instants at which the offset changes, and neither database's own idea of a zone. Source of zones: the IANA database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gateway.core.errors import InvalidRequest

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_MS = 200 * 366 * DAY_MS


class Span(msgspec.Struct, frozen=True):
    """From `start` until the next span begins, local time is UTC plus `offset`; both in milliseconds."""

    start: int
    offset: int


def find_zone(name: str) -> ZoneInfo:
    """Give the zone of an IANA name. Raises InvalidRequest when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(
            "There is no such time zone; one is called Europe/Berlin, for example.", param="zone"
        ) from None


def spans(zone: ZoneInfo, since: int, until: int) -> list[Span]:
    """Divide the time from `since` to `until` (milliseconds since 1970) where the zone's offset changes.

    Raises InvalidRequest for more than 200 years.
    """
    if until - since > _LONGEST_MS:
        raise InvalidRequest("A usage query by hour, day or month covers 200 years at most.", param="since")
    found = [Span(since, _offset(zone, since))]
    at = since
    while at < until:
        following = min(at + DAY_MS, until)
        offset = _offset(zone, following)
        if offset != found[-1].offset:
            found.append(Span(_change(zone, at, following), offset))
        at = following
    return found


def month_starts(zone: ZoneInfo, since: int, until: int) -> list[tuple[int, str]]:
    """Give the beginning of each local month that touches the time from `since` to `until`, and its name: 2026-11."""
    first = _local(zone, since)
    year, month = first.year, first.month
    starts: list[tuple[int, str]] = []
    while not starts or starts[-1][0] <= until:
        starts.append((_instant(datetime(year, month, 1, tzinfo=zone)), f"{year:04d}-{month:02d}"))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return starts


def day_name(number: int) -> str:
    """Write a local day, counted from 1970-01-01: 2026-11-21."""
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def hour_name(zone: ZoneInfo, start: int) -> str:
    """Write the local hour that begins at an instant, with its offset: the hour that comes twice in autumn has two names."""
    return _local(zone, start).isoformat(timespec="minutes")


def _local(zone: ZoneInfo, at: int) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def _offset(zone: ZoneInfo, at: int) -> int:
    return (_local(zone, at).utcoffset() or timedelta()) // timedelta(milliseconds=1)


def _instant(local: datetime) -> int:
    return (local - _EPOCH) // timedelta(milliseconds=1)


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The instant, between two with different offsets, from which the second holds."""
    offset = _offset(zone, after)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after
