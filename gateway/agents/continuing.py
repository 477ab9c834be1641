"""Keeping a run that goes on after the answers to another's questions: one does, whoever answered, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.agents.means import Means
from gateway.core.errors import InternalError
from gateway.stores.approvals import AlreadyDecided
from gateway.stores.runs import Run, RunItem


async def go_on(means: Means, run: Run, items: Sequence[RunItem]) -> None:
    """Keep a run that continues another. Raises AlreadyDecided where another does already, and NotAnswered."""
    if means.tools is None:
        raise InternalError
    approvals = means.tools.approvals
    if await approvals.continue_by(run.continues, run, items):
        return
    asked = await approvals.of_run(run.continues)
    going_on = next((each.continuation for each in asked if each.continuation), "")
    msg = f"The response {run.continues!r} was answered already: {going_on!r} goes on from it."
    raise AlreadyDecided(msg)
