"""Calls that were approved in one run and are made by the one that goes on after it: with the stored arguments, under their approvals."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from gateway.agents.means import Means, ToolMeans
from gateway.core.errors import NotFound
from gateway.core.tools import Tool
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import Run
from gateway.stores.tool_calls import Approval, ToolCall
from gateway.tools.hub import ToolNotReached


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A call to be made, the approval that it is made under, and its tool as it is now; None where it is not there."""

    call: ToolCall
    approval: Approval
    tool: Tool | None


async def carried(means: Means, tools: ToolMeans, run: Run, used: Collection[str]) -> Sequence[Carried]:
    """Give the calls that `run` makes because they were approved, but those whose approvals are `used`. Raises StoreUnavailable."""
    before = await tools.calls.calls(run.continues)
    asked = await tools.approvals.of_run(run.continues)
    digits = means.new_id("")
    found: list[Carried] = []
    for call in before:
        questions = [approval for approval in asked if approval.call == call.id]
        if not questions or any(each.state != "approved" for each in questions):
            continue
        question = next((each for each in questions if each.id == call.approval), questions[0])
        if question.id in used:
            continue
        made = _carried(call, question, run.id, mcp_items.item_id(mcp_items.CALL, digits, len(found)), len(found))
        found.append(Carried(call=made, approval=question, tool=await _tool(tools, made)))
    return found


async def _tool(tools: ToolMeans, call: ToolCall) -> Tool | None:
    """Give the tool of a call, which the request that goes on need not list."""
    try:
        known = await tools.hub.tools(call.server)
    except (ToolNotReached, NotFound):
        return None
    return next((tool for tool in known if tool.name == call.tool), None)


def _carried(call: ToolCall, question: Approval, run: str, name: str, index: int) -> ToolCall:
    return msgspec.structs.replace(
        call,
        id=name,
        run=run,
        step=0,
        index=index,
        arguments=question.edited or question.arguments,
        arguments_hash=question.arguments_hash,
        approval=question.id,
        state="planned",
        attempts=0,
        started_at=None,
        ended_at=None,
        error="",
    )
