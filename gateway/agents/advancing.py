"""How far a call of a tool is, on its way into the run's journal: whoever follows the run hears it there, in whatever process.

Servers say this as often as they like, and nobody waits for it: what comes too soon, or while the run writes something else, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import anyio

from gateway.agents.writing import Writing
from gateway.core.items import Json

PAUSE: Final = 0.02
"""Seconds between two that are written, at first."""
MANY: Final = 64
"""After so many of one call the pause is twice as long, and so on."""


class Advance:
    """A Progress of the call of that id. `now` gives seconds, monotonic."""

    def __init__(self, writing: Writing, call: str, now: Callable[[], float]) -> None:
        self._writing = writing
        self._call = call
        self._now = now
        self._count = 0
        self._at = -math.inf

    async def __call__(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Write it down. It does not wait: who says it is the reader of all that the server says."""
        writing, now = self._writing, self._now()
        over = total is not None and progress >= total
        if (now - self._at < PAUSE * 2 ** (self._count // MANY) and not over) or writing.turn.locked():
            return
        self._count += 1
        self._at = now
        said: dict[str, Json] = {"progress": progress}
        if total is not None:
            said["total"] = total
        if message is not None:
            said["message"] = message
        writing.turn.acquire_nowait()
        try:
            await writing.put(writing.encoder.advance_call(self._call, said))
        finally:
            writing.turn.release()


def progress_of(writing: Writing) -> Callable[[str], Advance]:
    """Give what makes the Progress of a call of a run."""
    return lambda call: Advance(writing, call, anyio.current_time)
