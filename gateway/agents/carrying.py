"""Calls that were approved in one run and are made by the one that goes on after it: with the stored arguments, under their approvals.

So are those of which a server asked people for something that nobody gives: it is told so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.means import Means, ToolMeans
from gateway.core.errors import NotFound
from gateway.core.tools import SERVER, Tool
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import Run
from gateway.stores.tool_calls import Approval, ToolCall
from gateway.tools.hub import ToolNotReached


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A call to be made, the approval that it is made under, and its tool as it is now; None where it is not there.

    An agent that waited for people is gone on with under no approval of its own.
    """

    call: ToolCall
    approval: Approval | None = None
    tool: Tool | None = None


async def carried(means: Means, tools: ToolMeans, run: Run, known: Collection[ToolCall]) -> Sequence[Carried]:
    """Give the calls that `run` makes because people have answered, but those that are `known` to it. Raises StoreUnavailable."""
    used, keys = {call.approval for call in known}, {call.key for call in known}
    before = await tools.calls.calls(run.continues)
    asked = await tools.approvals.of_run(run.continues)
    digits = means.new_id("")
    found: list[Carried] = []
    for call in before:
        name = mcp_items.item_id(mcp_items.CALL, digits, len(found))
        if _waited(call):
            if call.key not in keys:
                found.append(Carried(call=_anew(call, run.id, name, len(found))))
            continue
        questions = [approval for approval in asked if approval.call == call.id]
        refused = [each for each in questions if each.state != "approved"]
        if not questions or (refused and not _is_told(call, questions)):
            continue
        question = next((each for each in refused or questions if each.id == call.approval), (refused or questions)[0])
        if question.id in used:
            continue
        made = _carried(call, question, run.id, name, len(found))
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
        _anew(call, run, name, index),
        arguments=question.edited or question.arguments,
        arguments_hash=question.arguments_hash,
        approval=question.id,
    )


def _is_told(call: ToolCall, questions: Sequence[Approval]) -> bool:
    """Whether the server of a call that was made before, and asked people for something, can be told that nobody gives it."""
    return call.server not in (AGENTS, SERVER) and all(
        each.wish is not None and not each.wish.untold and each.state in ("approved", "denied", "expired")
        for each in questions
    )


def _waited(call: ToolCall) -> bool:
    """Whether it is the call of an agent that had begun, and waited for people."""
    waits = call.state in ("awaiting_approval", "approved")
    return call.server == AGENTS and waits and call.started_at is not None


def _anew(call: ToolCall, run: str, name: str, index: int) -> ToolCall:
    return msgspec.structs.replace(
        call,
        id=name,
        run=run,
        step=0,
        index=index,
        state="planned",
        attempts=0,
        started_at=None,
        ended_at=None,
        error="",
    )
