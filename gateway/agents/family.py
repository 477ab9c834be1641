"""Runs that wait for each other: what a run and those below it ask of people, and which run at the top waits for all of that."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.agents.means import Means, ToolMeans
from gateway.stores.runs import Run
from gateway.stores.tool_calls import Approval


async def top_of(means: Means, run: Run) -> Run:
    """Give the run that a client asked for and below which this one is: itself, mostly."""
    while run.parent:
        parent = await means.runs.find(run.tenant, run.parent)
        if parent is None:
            return run
        run = parent
    return run


async def asked_by(means: Means, tools: ToolMeans, run: Run) -> Sequence[Approval]:
    """Give what a run has asked of people, and what those ask for which it waits."""
    asked = list(await tools.approvals.of_run(run.id))
    if run.agent:
        for child in await means.runs.children(run.id):
            if child.status == "waiting":
                asked += await asked_by(means, tools, child)
    return asked
