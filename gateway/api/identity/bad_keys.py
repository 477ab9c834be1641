"""Counts keys that nobody holds, by where they come from, so that guessing gets slower. Good keys are not counted and not slowed."""

from __future__ import annotations

from collections import OrderedDict

import structlog

from gateway.core.clock import Clock

log = structlog.get_logger()

MOST_SOURCES = 10_000


class BadKeys:
    """One token bucket a source, in bounded memory: the source that was quiet for longest is forgotten first."""

    def __init__(self, clock: Clock, *, most: int = MOST_SOURCES) -> None:
        self._now = clock.monotonic
        self._most = most
        self._left: OrderedDict[str, tuple[float, float, bool]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def count(self, source: str, per_minute: int) -> float | None:
        """Count one bad key. Gives None, or, where `per_minute` are used up, the seconds until there is room for another."""
        now = self._now()
        left, at, slowed = self._left.pop(source, (float(per_minute), now, False))
        left = min(float(per_minute), left + (now - at) * per_minute / 60)
        wait = None if left >= 1 else (1 - left) * 60 / per_minute
        if wait is not None and not slowed:
            log.warning("key.guessing_slowed", source=source)
        # Until the bucket is half full again it is the same attack, and was told of.
        slowed = wait is not None or (slowed and left < per_minute / 2)
        self._left[source] = (left - 1 if wait is None else left, now, slowed)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return wait
