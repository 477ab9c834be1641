"""How long a target took of late until its first token, as a distribution: says what all but a few calls stay under. Pure.

A histogram with buckets that grow by a tenth, so a quantile is at most a tenth too large, and two generations of it, so that
the past fades: bounded in memory however many calls there are.
"""

from __future__ import annotations

from math import inf, log
from typing import Final

LEAST_SECONDS: Final = 0.001
GROWTH: Final = 1.1
BUCKETS: Final = 160
"""The last one begins at about an hour."""
GENERATION_SECONDS: Final = 300.0
GENERATION_COUNT: Final = 500
"""A generation ends after so long, or so many times."""
ENOUGH: Final = 20
"""Times that have to be known before a quantile means something."""
_FRESH: Final = 8
"""Times that may come before a quantile is looked up again."""
_PER_UNIT: Final = 1 / log(GROWTH)


class FirstTimes:
    """Times until the first token, in seconds. `now` is on the steady clock."""

    __slots__ = ("_before", "_counts", "_known", "_seen", "_seen_before", "_turns_at", "_version")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._before: list[int] | None = None
        self._seen = self._seen_before = 0
        self._turns_at = -inf
        self._version = 0
        self._known: dict[float, tuple[int, float | None]] = {}

    def saw(self, seconds: float, now: float) -> None:
        """Note a time."""
        if now >= self._turns_at or self._seen >= GENERATION_COUNT:
            self._turn(now)
        bucket = int(log(seconds / LEAST_SECONDS) * _PER_UNIT) if seconds > LEAST_SECONDS else 0
        self._counts[min(bucket, BUCKETS - 1)] += 1
        self._seen += 1
        self._version += 1

    def quantile(self, share: float, now: float) -> float | None:
        """Give what this share of the recent times stayed under, at most a tenth more; None while too few are known."""
        if now >= self._turns_at:
            self._turn(now)
        known = self._known.get(share)
        if known is not None and self._version - known[0] < _FRESH:
            return known[1]
        found = self._look_up(share)
        self._known[share] = (self._version, found)
        return found

    def _look_up(self, share: float) -> float | None:
        seen = self._seen + self._seen_before
        if seen < ENOUGH:
            return None
        left = share * seen
        before = self._before
        for bucket, count in enumerate(self._counts):
            left -= count if before is None else count + before[bucket]
            if left <= 0:
                return LEAST_SECONDS * float(GROWTH ** (bucket + 1))
        return LEAST_SECONDS * float(GROWTH**BUCKETS)

    def _turn(self, now: float) -> None:
        """Begin a generation; what is older than the last one is forgotten."""
        lasts = now < self._turns_at + GENERATION_SECONDS
        self._before, self._seen_before = (self._counts, self._seen) if lasts else (None, 0)
        self._counts, self._seen = [0] * BUCKETS, 0
        self._turns_at = now + GENERATION_SECONDS
        self._known.clear()
