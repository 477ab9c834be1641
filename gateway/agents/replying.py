"""What goes on after a run whose questions are answered: the run, and the answers as its input. It keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.agents.handoffs import InCharge
from gateway.agents.means import DAY, Means, ToolMeans
from gateway.core.items import Json
from gateway.dialects.openai_responses.mcp_items import request_of, response
from gateway.stores.runs import Run, RunItem
from gateway.stores.tool_calls import Approval

YES: Final = ("approved", "consumed")
EXPIRED: Final = "Nobody answered in time."


def continuation_of(means: Means, run: Run, name: str, at: InCharge) -> Run:
    """Give the run of this name that goes on after one that waits: for nobody in particular, as who was in charge of it."""
    now, days = means.clock.wall(), means.settings.keep_days
    request = {**run.request, "background": True, "stream": False}
    if not run.conversation:
        request["previous_response_id"] = run.id
    return Run(
        id=name,
        tenant=run.tenant,
        caller=run.caller,
        model=run.model,
        status="queued",
        created_at=now,
        request=request,
        background=True,
        previous="" if run.conversation else run.id,
        conversation=run.conversation,
        continues=run.id,
        agent=at.agent,
        version=at.version,
        expires_at=None if days is None else now + days * DAY,
        limits=run.limits,
        session=run.session,
        trace=run.trace,
    )


async def replies(means: Means, tools: ToolMeans, asked: Sequence[Approval]) -> Sequence[dict[str, Json]]:
    """Give the answers to questions as items: one a call, by the worst of what was said of it, for the question that was shown.

    What is asked for beside leave was each shown by itself.
    """
    of_call: dict[str, list[Approval]] = {}
    for approval in asked:
        of_call.setdefault(approval.call if approval.wish is None else approval.id, []).append(approval)
    bodies = []
    for call, questions in of_call.items():
        shown = request_of(call)
        told = next((each for each in questions if each.id == shown), questions[0])
        no = [each for each in questions if each.state not in YES]
        reason = ""
        for each in no or [told]:
            # What was closed because others denied it has no reason of its own.
            reason = reason or await _reason(tools, each)
        bodies.append(response(means.new_id("mcpa_"), told.id, approve=not no, reason=reason))
    return bodies


def as_input(bodies: Sequence[dict[str, Json]]) -> Sequence[RunItem]:
    """Give items that were made here as the input of a run."""
    return [RunItem(id=body["id"], place="input", index=index, body=body) for index, body in enumerate(bodies)]


async def _reason(tools: ToolMeans, approval: Approval) -> str:
    if approval.state == "expired":
        return EXPIRED
    wanted = approval.state in YES
    votes = await tools.approvals.votes(approval.id)
    return next((vote.reason for vote in reversed(votes) if vote.approve == wanted and vote.reason), "")
