"""What a run asks people: may a call be made, and, of one that was begun by who is gone, may it be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.agents.deciding import Decided, Deciding
from gateway.agents.plan import Granted, Plan
from gateway.agents.provenance import Context
from gateway.agents.tool_asking import OURS, body_of
from gateway.agents.writing import Page, Writing
from gateway.core.tools import Label
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import RunItem
from gateway.stores.tool_calls import Approval, ToolCall, approval_notice

UNKNOWN = "The call was begun, and whether it was done is not known. A person is asked."


class Questions:
    """One run's."""

    def __init__(self, writing: Writing, plan: Plan, deciding: Deciding) -> None:
        self._writing = writing
        self._plan = plan
        self._deciding = deciding

    async def ask(
        self, calls: Sequence[ToolCall], known: Mapping[str, Decided], seen: Context, label: Label | None
    ) -> Page:
        """Give what is asked of people about calls, and show it; what was begun and is not known is shown as ended."""
        writing = self._writing
        approvals: list[Approval] = []
        items: list[RunItem] = []
        changed: list[ToolCall] = []
        for call in calls:
            lost = call.state != "awaiting_approval"
            decided = self._decided(call, known.get(call.id), seen, lost=lost)
            questions = self._deciding.approvals(decided, "outcome" if lost else "call")
            # One item for a call, however many groups are asked: what its client answers is a call.
            asked = mcp_items.request(questions[0].id, call.server, call.tool, call.arguments)
            async with writing.turn:
                if lost:
                    body = mcp_items.failed(body_of(call), UNKNOWN, status="incomplete")
                    place, said = writing.encoder.end_call(body)
                    items.append(writing.item(place, body, OURS, call))
                    await writing.put(said)
                place, said = writing.encoder.show(asked)
                items.append(writing.item(place, asked, label, call))
                await writing.put(said)
            approvals += questions
            changed.append(decided.call)
        writing.items += items
        notices = [approval_notice(approval, "pending") for approval in approvals]
        return Page(items=items, calls=changed, approvals=approvals, notices=notices)

    def _decided(self, call: ToolCall, decided: Decided | None, seen: Context, *, lost: bool) -> Decided:
        """Give a call and the decision by which people are asked about it."""
        tool = granted(self._plan, call)
        if decided is None and tool is not None:
            decided = self._deciding.again(call, tool, seen, self._writing.spend())
        if decided is not None and not lost and decided.judgement.effect == "ask":
            return decided
        call = msgspec.structs.replace(
            call,
            state="unknown" if lost else call.state,
            approval=mcp_items.request_of(call.id),
        )
        decided = decided or Decided(call=call, shown=call.arguments)
        # What was decided differently meanwhile is asked about as well: nothing is made by itself that was once held back.
        reason = UNKNOWN if lost else decided.judgement.reason
        judgement = msgspec.structs.replace(decided.judgement, effect="ask", reason=reason)
        return msgspec.structs.replace(decided, call=call, judgement=judgement)


def granted(plan: Plan, call: ToolCall) -> Granted | None:
    """Give the tool of a call as a run may use it."""
    for each in plan.granted.values():
        if (each.tool.server, each.tool.name) == (call.server, call.tool):
            return each
    return None
