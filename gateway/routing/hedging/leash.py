"""Ends what a task is doing from outside, and only that: the task goes on. For two that race, and for who has a deadline."""

from __future__ import annotations

import asyncio
from typing import Final

_PULLED: Final = "another one has begun, or it is too late"


class Leash:
    """Held by a task around what may be ended. It works as asyncio.timeout does: the task is cancelled, and that is taken back.

    A cancel scope would do the same; this costs a fifth, and is on the path of every call that might be hedged or has a deadline.
    """

    __slots__ = ("_before", "_task", "pulled")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self.pulled = False

    def hold(self) -> None:
        """Begin, in the present task."""
        self._task = task = asyncio.current_task()
        if task is not None:
            self._before = task.cancelling()

    def pull(self) -> None:
        """End it, from another task or an alarm. What is over stays as it is; what has not begun is not to."""
        if not self.pulled:
            self.pulled = True
            if self._task is not None:
                self._task.cancel(_PULLED)

    def release(self) -> bool:
        """It is over; whether nobody but who pulled has cancelled the task meanwhile."""
        task, self._task = self._task, None
        if not self.pulled or task is None:
            return False
        return task.uncancel() <= self._before
