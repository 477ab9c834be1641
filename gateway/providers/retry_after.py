"""Reads how long an upstream asks to wait, in all the forms that are used."""

from __future__ import annotations

import email.utils
import math
import re
from typing import Protocol

MAX_SECONDS = 86_400.0


class _Headers(Protocol):
    def header(self, name: bytes) -> bytes | None: ...


def retry_after(response: _Headers, *, now: float) -> float | None:
    """Give the seconds to wait, None when nothing usable is there.

    Understood: `retry-after-ms`, `retry-after` (seconds or HTTP date, RFC 9110 10.2.3), and `x-ratelimit-reset-*` ("1s",
    "6m0s", "350ms"). `now` is wall-clock seconds.
    """
    if (value := response.header(b"retry-after-ms")) and (seconds := _number(value)) is not None:
        return _bounded(seconds / 1000)
    if value := response.header(b"retry-after"):
        if (seconds := _number(value)) is not None:
            return _bounded(seconds)
        if (date := _http_date(value)) is not None:
            return _bounded(date - now)
    resets = [
        _duration(value)
        for name in (b"x-ratelimit-reset-requests", b"x-ratelimit-reset-tokens")
        if (value := response.header(name))
    ]
    known = [seconds for seconds in resets if seconds is not None]
    return _bounded(max(known)) if known else None


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def _duration(value: bytes) -> float | None:
    pieces = _PIECE.findall(value.decode("latin-1"))
    return sum(float(number) * _UNITS[unit] for number, unit in pieces) if pieces else None


def _number(value: bytes) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _http_date(value: bytes) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return min(max(seconds, 0.0), MAX_SECONDS) if math.isfinite(seconds) else None
