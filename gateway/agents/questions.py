"""What a run asks people: may a call be made; of one that was begun by who is gone, may it be made again; what an agent or a tool wants to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.builtin_tools import ASK_HUMAN, wish_of
from gateway.agents.children import Children
from gateway.agents.deciding import Decided, Deciding
from gateway.agents.plan import Granted, Plan
from gateway.agents.provenance import Context
from gateway.agents.tool_asking import OURS, body_of
from gateway.agents.writing import Page, Writing
from gateway.core.tools import Label, Wish
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import RunItem
from gateway.stores.tool_calls import Approval, ApprovalKind, ToolCall, approval_notice

UNKNOWN = "The call was begun, and whether it was done is not known. A person is asked."
WANTS = "Its server wants to know this before it does what it was asked for."
ASKS = "The tool asks a person for something before it does this. It is called again with the answer."


class Questions:
    """One run's."""

    def __init__(self, writing: Writing, plan: Plan, deciding: Deciding, children: Children) -> None:
        self._children = children
        self._writing = writing
        self._plan = plan
        self._deciding = deciding

    async def ask(
        self,
        calls: Sequence[ToolCall],
        known: Mapping[str, Decided],
        seen: Context,
        label: Label | None,
        wishes: Mapping[str, Sequence[Wish]],
    ) -> Page:
        """Give what is asked of people about calls, and show it; what was begun and is not known is shown as ended.

        `wishes` are what tools ask for, by the ids of the calls that were made of them.
        """
        writing = self._writing
        approvals: list[Approval] = []
        items: list[RunItem] = []
        changed: list[ToolCall] = []
        for call in calls:
            if call.server == AGENTS and call.started_at is not None:
                items += await self._of_agent(call, label)
                continue
            lost = call.state != "awaiting_approval"
            wanted = wishes.get(call.id, ())
            decided = self._decided(call, known.get(call.id), seen, reason=UNKNOWN if lost else WANTS if wanted else "")
            if (call.server, call.tool) == (ASK_HUMAN.tool.server, ASK_HUMAN.tool.name):
                wanted = (wish_of(call.arguments),)
            kind: ApprovalKind = "question" if wanted else "outcome" if lost else "call"
            questions = self._deciding.approvals(decided, kind, wanted)
            # Each thing that is wanted is an item; several groups that have to agree to one call are one.
            asked = [
                mcp_items.request(each.id, call.server, call.tool, call.arguments, each.wish)
                for each in (questions if wanted else questions[:1])
            ]
            async with writing.turn:
                if lost or call.attempts:
                    body = mcp_items.failed(body_of(call), UNKNOWN if lost else ASKS, status="incomplete")
                    place, said = writing.encoder.end_call(body)
                    items.append(writing.item(place, body, OURS, call))
                    await writing.put(said)
                for body in asked:
                    place, said = writing.encoder.show(body)
                    items.append(writing.item(place, body, label, call))
                    await writing.put(said)
            approvals += questions
            changed.append(decided.call)
        writing.items += items
        # What only a program can answer is told to nobody.
        notices = [approval_notice(each, "pending") for each in approvals if each.wish is None or not each.wish.method]
        return Page(items=items, calls=changed, approvals=approvals, notices=notices)

    async def _of_agent(self, call: ToolCall, label: Label | None) -> Sequence[RunItem]:
        """Show that the agent of a call waits, and what it asks of people."""
        writing, items = self._writing, list[RunItem]()
        asked = await self._children.questions(call)
        async with writing.turn:
            body = mcp_items.failed(body_of(call), mcp_items.AGENT_WAITS, status="incomplete")
            place, said = writing.encoder.end_call(body)
            items.append(writing.item(place, body, OURS, call))
            for question in asked:
                place, shown = writing.encoder.show(question)
                items.append(writing.item(place, question, label, call))
                said += shown
            await writing.put(said)
        return items

    def _decided(self, call: ToolCall, decided: Decided | None, seen: Context, *, reason: str) -> Decided:
        """Give a call and the decision by which people are asked about it; `reason` says why one is asked about that was begun."""
        tool = granted(self._plan, call)
        if decided is None and tool is not None:
            decided = self._deciding.again(call, tool, seen, self._writing.spend())
        if decided is not None and not reason and decided.judgement.effect == "ask":
            return decided
        call = msgspec.structs.replace(
            call,
            state="unknown" if reason == UNKNOWN else call.state,
            approval=mcp_items.request_of(call.id),
        )
        decided = decided or Decided(call=call, shown=call.arguments)
        # What was decided differently meanwhile is asked about as well: nothing is made by itself that was once held back.
        judgement = msgspec.structs.replace(decided.judgement, effect="ask", reason=reason or decided.judgement.reason)
        return msgspec.structs.replace(decided, call=call, judgement=judgement)


def granted(plan: Plan, call: ToolCall) -> Granted | None:
    """Give the tool of a call as a run may use it."""
    for each in plan.granted.values():
        if (each.tool.server, each.tool.name) == (call.server, call.tool):
            return each
    return None
