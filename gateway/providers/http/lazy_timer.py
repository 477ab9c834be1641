"""A deadline that moves often and passes seldom, at next to no cost. It does not know what it bounds.

Setting a later deadline touches no timer of the loop: the one that is running fires early, finds that it is not yet time,
and is set again. So an exchange that ends in time, as nearly all do, costs no timer at all.
"""

import asyncio
import math
from collections.abc import Callable

# The loop rounds timers to milliseconds, so one may fire a little early.
TICK = 0.001


class LazyTimer:
    """Calls `passed` once `deadline` (the loop's time) has passed, and then not until it is set again."""

    __slots__ = ("_at", "_handle", "_loop", "_passed", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._passed = passed
        self._handle: asyncio.TimerHandle | None = None
        self._at = math.inf
        self.deadline = math.inf

    def set(self, deadline: float) -> None:
        """Move the deadline, to later or sooner."""
        self.deadline = deadline
        if deadline < self._at:
            if self._handle is not None:
                self._handle.cancel()
            self._at = deadline
            self._handle = self._loop.call_at(deadline, self._fire)

    def stop(self) -> None:
        """Never call again."""
        self.deadline = math.inf
        self._at = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def discard(self) -> None:
        """Never call again, and forget whom: no cycle of references is left."""
        self.stop()
        self._passed = _nobody

    def _fire(self) -> None:
        self._handle = None
        self._at = math.inf
        if self.deadline > self._loop.time() + TICK:
            self.set(self.deadline)
        else:
            self._passed()


def _nobody() -> None:
    """Whom a discarded timer calls."""
