"""What happened in an incident, in order: what came in, and what its runs did, asked and were allowed. It reads, and shows no text of strangers but what is declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from gateway.stores.incidents import IncidentStore
from gateway.stores.runs import Run, RunStore
from gateway.stores.tool_calls import Approval, ToolCall, ToolJournal, Vote

_MOST_RUNS: Final = 50


class ApprovalReader(Protocol):
    """What is read of approvals."""

    async def of_run(self, run: str) -> Sequence[Approval]:
        """Give those of a run."""
        ...

    async def votes(self, approval: str) -> Sequence[Vote]:
        """Give the votes on one."""
        ...


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `at` is in seconds since 1970, `name` says what, `source` whether the incident, a run, a call or an approval tells it."""

    at: float
    name: str
    source: str
    run: str | None = None
    body: dict[str, Any] = {}


async def timeline(
    incident: str, *, store: IncidentStore, runs: RunStore, calls: ToolJournal, approvals: ApprovalReader
) -> list[Moment]:
    """Give all that is known, the oldest first. Raises StoreUnavailable."""
    found = [
        Moment(at=event.at, name=event.name, source="incident", body=event.body)
        for event in await store.events(incident)
    ]
    for name in (await store.runs(incident))[-_MOST_RUNS:]:
        run = await runs.find(None, name)
        if run is None:
            continue
        found += _of_run(run)
        found += [moment for call in await calls.calls(name) for moment in _of_call(name, call)]
        for approval in await approvals.of_run(name):
            found += _of_approval(name, approval, await approvals.votes(approval.id))
    # A stable order: what happened within one tick of the clock stays as it was told.
    return sorted(found, key=lambda moment: moment.at)


def _of_run(run: Run) -> list[Moment]:
    spent = {"steps": run.spent.steps, "tool_calls": run.spent.tool_calls, "nano": run.spent.nano}
    moments = []
    if run.started_at is not None:
        moments.append(
            Moment(at=run.started_at, name="run.started", source="run", run=run.id, body={"agent": run.agent})
        )
    if run.ended_at is not None:
        body = {"status": run.status, **spent}
        moments.append(Moment(at=run.ended_at, name="run.ended", source="run", run=run.id, body=body))
    return moments


def _of_call(run: str, call: ToolCall) -> list[Moment]:
    body = {"tool": f"{call.server}/{call.tool}", "effect": call.effect, "state": call.state, "step": call.step}
    moments = []
    if call.started_at is not None:
        moments.append(Moment(at=call.started_at, name="tool.called", source="call", run=run, body=body))
    if call.ended_at is not None:
        moments.append(Moment(at=call.ended_at, name="tool.ended", source="call", run=run, body=body))
    return moments


def _of_approval(run: str, approval: Approval, votes: Sequence[Vote]) -> list[Moment]:
    body = {"approval": approval.id, "tool": f"{approval.server}/{approval.tool}", "taint": list(approval.taint)}
    moments = [Moment(at=approval.created_at, name="approval.asked", source="approval", run=run, body=body)]
    for vote in votes:
        said = {"approval": approval.id, "approver": vote.approver, "approve": vote.approve, "channel": vote.channel}
        moments.append(Moment(at=vote.at, name="approval.voted", source="approval", run=run, body=said))
    if approval.decided_at is not None:
        ended = {"approval": approval.id, "state": approval.state}
        moments.append(Moment(at=approval.decided_at, name="approval.decided", source="approval", run=run, body=ended))
    return moments
