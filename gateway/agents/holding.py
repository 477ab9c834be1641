"""A run that this process executes: its lease, and how its execution is ended from outside."""

from __future__ import annotations

from typing import Literal

from gateway.core.errors import ClientLeft, Conflict, SwitchgearError, Unavailable
from gateway.pipeline.interruption import Interruption
from gateway.stores.runs import Run

Why = Literal["cancelled", "left", "lost"]
"""cancelled: somebody wants its end. left: this process goes down, and another may go on. lost: another has it, or it is gone."""

_ERRORS: dict[Why, SwitchgearError] = {
    "cancelled": ClientLeft("The response was cancelled."),
    "left": Unavailable("The server is shutting down."),
    "lost": Conflict("The run went to another process."),
}


class Holding:
    """A lease that is held by the task that makes this. `until` is when it is over, in seconds since 1970.

    `ending` says that the end of the run is being written, or is: that the lease is gone then is no news.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.until = run.lease_until or 0.0
        self.why: Why | None = None
        self.ending = False
        self._interruption = Interruption()

    def end(self, why: Why) -> None:
        """End the execution. The first reason holds, but that the lease is lost outdoes every other; what is `ending` by itself is left to it."""
        if self.ending and why != "left":
            return
        if self.why is None or why == "lost":
            self.why = why
        self._interruption.interrupt(_ERRORS[why])

    def is_over(self, now: float) -> bool:
        """Whether nobody waits any longer for what cannot be written: the lease is over, or the run is given up here."""
        return self.why in ("left", "lost") or now >= self.until

    def settle(self) -> bool:
        """Take back the cancellation by which this was ended; False when the task was cancelled by somebody else."""
        return self._interruption.settle() is not None
