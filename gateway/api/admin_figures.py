"""Times and money as the admin API writes and reads them: pure, and exact."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from gateway.core.errors import InvalidRequest

NANO = 1_000_000_000
_MOST_NANO = 9 * 10**18
"""What fits into a database's integer."""
_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,15})?")
"""Few enough digits to be computed exactly. Python would also read "1_0", " 1", and digits of other scripts."""


def dollars(nano: int) -> str:
    """Give nano-dollars as a decimal text of dollars: "12.5", "0.000000001"."""
    whole, rest = divmod(abs(nano), NANO)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{'-' if nano < 0 else ''}{whole}{'.' if fraction else ''}{fraction}"


def read_dollars(amount: float | str, param: str) -> int:
    """Give dollars, a number or a decimal text, as nano-dollars. Raises InvalidRequest for what is none, or finer than that."""
    if isinstance(amount, str) and not _DECIMAL.fullmatch(amount):
        msg = f"`{param}` is no amount of dollars: {amount[:50]!r}."
        raise InvalidRequest(msg, param=param)
    nano = Decimal(str(amount)) * NANO
    if not nano.is_finite() or not 0 <= nano <= _MOST_NANO or nano != int(nano):
        msg = f"`{param}` must be from 0 to {_MOST_NANO // NANO} dollars, with at most nine decimal places."
        raise InvalidRequest(msg, param=param)
    return int(nano)


def read_time(text: str, zone: ZoneInfo, param: str) -> float:
    """Give seconds since 1970 for seconds, a date (its midnight in `zone`) or a time in ISO 8601. Raises InvalidRequest."""
    try:
        seconds = float(text) if _is_number(text) else _read_iso(text, zone)
    except (ValueError, OverflowError) as exc:
        raise _no_time(text, param) from exc
    if not 0 <= seconds <= 1e11:
        raise _no_time(text, param)
    return seconds


def _is_number(text: str) -> bool:
    # Eight digits are a date in ISO 8601's basic form, and an instant in 1970 that nobody means.
    return text.replace(".", "", 1).isdecimal() and text.isascii() and len(text.partition(".")[0]) != 8


def _read_iso(text: str, zone: ZoneInfo) -> float:
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _no_time(text: str, param: str) -> InvalidRequest:
    msg = f"`{param}` is no time: {text[:50]!r}. Write 2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970."
    return InvalidRequest(msg, param=param)
