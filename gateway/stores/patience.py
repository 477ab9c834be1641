"""Patience with a server: a deadline that does not run while this process is the one that is slow.

The time is cut into ticks, and a turn of the event loop uses up one at most, however long it took. So an answer that lies in the
socket while a thousand calls are being taken in is read, and not taken for a server that does not answer.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from anyio import CancelScope

TICKS = 10


class Patience:
    """As `fail_after(seconds)`, a context manager that raises TimeoutError. For asyncio's event loops."""

    __slots__ = ("_left", "_loop", "_scope", "_tick", "_timer")

    def __init__(self, seconds: float) -> None:
        self._tick = seconds / TICKS
        self._left = TICKS
        self._scope = CancelScope()

    @property
    def waited(self) -> float:
        """The seconds of it that are used up, in whole ticks."""
        return (TICKS - self._left) * self._tick

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._scope.__enter__()
        self._timer = self._loop.call_later(self._tick, self._step)
        return self

    def _step(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._tick, self._step)
        else:
            self._scope.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._scope.__exit__(kind, error, trace):
            raise TimeoutError from error
