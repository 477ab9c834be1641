"""What a server tells of how far a call is, on its way to who asked for the call: bounded, in order, and never in the way."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log = structlog.get_logger()

Progress = Callable[[float, float | None, str | None], Awaitable[None]]
"""Takes how far it is, of how much where that is known, and words where there are any."""

PAUSE: Final = 0.02
"""Seconds between two that are passed on; what comes sooner is left out, unless it is the last."""

MOST_OF_A_MESSAGE: Final = 500


class Advancing:
    """A Progress in front of another. `now` gives seconds, monotonic."""

    def __init__(self, inner: Progress, now: Callable[[], float]) -> None:
        self._inner = inner
        self._now = now
        self._reached = -math.inf
        self._passed_at = -math.inf
        self._over = False

    def close(self) -> None:
        """The call has ended: the protocol has no progress of it after that."""
        self._over = True

    async def __call__(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Pass it on where it goes on and is not too soon. It raises nothing of what the inner one does."""
        total = total if total is not None and math.isfinite(total) else None
        if self._over or not math.isfinite(progress) or progress <= self._reached:
            return
        now = self._now()
        if now - self._passed_at < PAUSE and (total is None or progress < total):
            return
        self._reached, self._passed_at = progress, now
        try:
            await self._inner(progress, total, None if message is None else message[:MOST_OF_A_MESSAGE])
        except Exception as error:  # noqa: BLE001 who listens may have left: the call goes on
            log.debug("tool.progress_unheard", error=type(error).__name__)
            self._over = True
