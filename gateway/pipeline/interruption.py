"""Ends a call from outside, with a reason: its client left, or the server goes down."""

from __future__ import annotations

import asyncio

from gateway.core.errors import ClientLeft, SwitchgearError


class Interruption:
    """Cancels the task that made it. Who catches the cancellation asks `error` whether it was this one, and `settle`s it.

    It is a plain object, not a scope with a task of its own: it is on the path of every request.
    """

    __slots__ = ("_task", "error")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            msg = "an interruption is made inside the task that it may end"
            raise RuntimeError(msg)
        self._task = task
        self.error: SwitchgearError | None = None

    def interrupt(self, error: SwitchgearError) -> None:
        """End the call because of `error`, which the CancelledError carries for who records it. A second one changes nothing."""
        if self.error is None and not self._task.done():
            self.error = error
            self._task.cancel(error)

    def client_left(self) -> None:
        """End the call because nobody waits for its answer any more."""
        self.interrupt(ClientLeft("The client closed its connection."))

    def settle(self) -> SwitchgearError | None:
        """Give the reason and take the cancellation back; None when the cancellation came from somebody else."""
        if self.error is not None:
            self._task.uncancel()
        return self.error
