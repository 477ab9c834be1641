"""Handing a run over to another agent: the function by which a model does it, and who is in charge by what is written of a run.

A transfer is a call of a tool like any other, so it is journalled like any other. Its definition is the version of the agent that takes over:
whoever folds the journal finds the agent, as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.agents.means import Means, ToolMeans
from gateway.agents.plan import Granted, Plan
from gateway.config.agent_settings import PREFIX, AgentDefinition
from gateway.core.caller import Caller
from gateway.core.tools import SERVER, TRANSFER, Label, Tool, model_name
from gateway.stores.runs import Limits, Run
from gateway.stores.tool_calls import ToolCall

_LOOKED_AT: Final = 50
"""Items at the end of a conversation among which the last response is looked for."""


class InCharge(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that works on a run, and its version; both empty where none does."""

    agent: str = ""
    version: str = ""


def transfer(to: AgentDefinition) -> Granted:
    """Give the function that hands a run over to an agent, as it is now."""
    name = TRANSFER + to.name
    what = f"Hands the conversation over to the agent {to.name!r}, which goes on with it. {to.settings.description}"
    return Granted(
        name=model_name(SERVER, name),
        tool=Tool(
            server=SERVER,
            name=name,
            description=what.strip(),
            schema={
                "type": "object",
                "properties": {"reason": {"type": "string", "description": "Why, in a sentence."}},
                "additionalProperties": False,
            },
            definition=to.version,
            # Not a read: those are made several at once, and only one agent can take over.
            effect="idempotent",
            gives=Label(source="operator"),
            outward=False,
        ),
    )


def target_of(tool: Tool | ToolCall) -> str:
    """Give the agent to which a tool, or a call of one, hands over; empty for any other."""
    name = tool.name if isinstance(tool, Tool) else tool.tool
    return name.removeprefix(TRANSFER) if tool.server == SERVER and name.startswith(TRANSFER) else ""


def transfers(calls: Iterable[ToolCall]) -> list[ToolCall]:
    """Give those that handed over, in their order."""
    done = [call for call in calls if call.state == "done" and target_of(call)]
    return sorted(done, key=lambda call: (call.step, call.index))


def in_charge(run: Run, calls: Iterable[ToolCall], *, before: int | None = None) -> InCharge:
    """Give who is in charge of a run by its calls: of all, or of those of the answers before that number."""
    made = [call for call in transfers(calls) if before is None or call.step < before]
    if not made:
        return InCharge(agent=run.agent, version=run.version)
    return InCharge(agent=target_of(made[-1]), version=made[-1].definition)


def no_transfer(limits: Limits, call: ToolCall, calls: Iterable[ToolCall]) -> str:
    """Say why a run is not handed over by a call after all; empty where it is."""
    made = transfers(calls)
    now = next((each for each in made if each.step == call.step), None)
    if now is not None:
        return f"The conversation was handed over to the agent {target_of(now)!r} already."
    if limits.handoffs is not None and len(made) >= limits.handoffs:
        return (
            f"This conversation was handed over {len(made)} times, which is as often as it may be. Answer it yourself."
        )
    return ""


async def left_in_charge(means: Means, tools: ToolMeans, run: Run) -> str:
    """Give the agent that was in charge at the end of what a new run goes on from, where that was asked of the same model; else nothing."""
    if not run.model.startswith(PREFIX):
        return ""
    before = run.previous
    if run.conversation:
        # What clients have added since belongs to no run.
        page = await means.conversations.items(run.tenant, run.conversation, limit=_LOOKED_AT)
        before = next((item.run for item in page or () if item.run), "")
    found = await means.runs.find(run.tenant, before) if before else None
    if found is None or found.model != run.model:
        return ""
    return in_charge(found, await tools.calls.calls(found.id)).agent


async def plan_of(tools: ToolMeans, run: Run, caller: Caller, at: InCharge) -> Plan | None:
    """Give the plan of a run that is kept; one that goes on after an approval has a plan although its request lists no tools. Raises InvalidRequest.

    The limits of who is in charge are the plan's; those of the run hold besides.
    """
    plan = await tools.planner.plan(caller, run.model, run.request, version=at.version, agent=at.agent)
    if plan is None and run.continues:
        return Plan(model=run.model, fields=run.request)
    return plan
