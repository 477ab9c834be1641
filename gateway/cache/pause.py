"""Leaves alone, for a while, who has failed again and again: calls would wait for it in vain, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST_FAILURES: Final = 3
SECONDS: Final = 5.0


class Pause:
    """Of one model that is asked beside calls. `now` is the steady clock. After a pause one question shows whether it is back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._until = 0.0

    def admits(self) -> bool:
        """Whether it may be asked now; who may says afterwards how it went."""
        if self._failures < MOST_FAILURES:
            return True
        if self._now() < self._until:
            return False
        self._until = self._now() + SECONDS
        return True

    def worked(self) -> None:
        """It answered."""
        self._failures = 0

    def failed(self) -> None:
        """It failed, or was too slow."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._until = self._now() + SECONDS
