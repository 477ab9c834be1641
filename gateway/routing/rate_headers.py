"""Reads from an answer's headers how much of a target's own rate limits is used up. Pure.

Understood: OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` and Anthropic's
`anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.core.events import Started

MINUTE = 60.0
"""Seconds for which a figure holds whose header does not say how long: vendors count by the minute."""
_OPENAI = ("requests", "tokens")
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def limits_in(started: Started, now: float) -> tuple[tuple[float, float], ...]:
    """Give (share used, until when on the steady clock) for each limit that the headers tell of; `now` is on that clock too."""
    found = dict((*started.headers, *started.limits))
    return (*_openai(found, now), *_anthropic(found, now))


def _openai(headers: Mapping[bytes, bytes], now: float) -> Iterable[tuple[float, float]]:
    for kind in _OPENAI:
        used = _used(headers, f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}")
        if used is not None:
            pieces = _PIECE.findall(headers.get(f"x-ratelimit-reset-{kind}".encode(), b"").decode("latin-1"))
            # When all of it is back: some of it is earlier, so this errs on the safe side.
            yield used, now + (sum(float(number) * _UNITS[unit] for number, unit in pieces) if pieces else MINUTE)


def _anthropic(headers: Mapping[bytes, bytes], now: float) -> Iterable[tuple[float, float]]:
    for kind in _ANTHROPIC:
        used = _used(headers, f"anthropic-ratelimit-{kind}-limit", f"anthropic-ratelimit-{kind}-remaining")
        if used is not None:
            yield used, now + MINUTE


def _used(headers: Mapping[bytes, bytes], limit: str, remaining: str) -> float | None:
    most, left = _number(headers.get(limit.encode())), _number(headers.get(remaining.encode()))
    if most is None or left is None or most <= 0:
        return None
    return min(max(1 - left / most, 0.0), 1.0)


def _number(value: bytes | None) -> float | None:
    try:
        return None if value is None or len(value) > 20 else float(int(value))
    except ValueError:
        return None
