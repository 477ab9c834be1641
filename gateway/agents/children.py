"""Runs that a run begins by calling agents: begun once, waited for, and read when they have ended. Executing them is the executor's.

A child is a run like any other, in its own journal. Its id follows from the call, so that whoever takes over the caller finds it,
and begins no second one. Whoever holds the lease of the child is free: this process where it began it, another where that one is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from gateway.agents.agent_tools import child_id
from gateway.agents.child_answers import answer_of
from gateway.agents.means import DAY, Means, ToolMeans
from gateway.agents.plan import Plan
from gateway.agents.provenance import MODEL
from gateway.config.agent_settings import PREFIX
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import Label, ToolOutput
from gateway.dialects.openai_responses.kept_items import whole_item
from gateway.dialects.openai_responses.stored_encode import TERMINAL
from gateway.stores.runs import LIVE, Run, RunItem
from gateway.stores.tool_calls import ToolCall

log = structlog.get_logger()

_LOCAL_LOOK: Final = 2.0
"""Seconds between two looks for the end of a child of this process, where news come by themselves."""
_LOOK: Final = 0.25
"""The same for one that another process executes."""

Start = Callable[[Run, Plan | None], None]
"""Executes a run that is in the journal under a lease of this process, beside all others. Its plan, where it is at hand."""


class Children:
    """Those of one run, in the name of `caller`."""

    def __init__(self, means: Means, tools: ToolMeans, run: Run, caller: Caller, start: Start) -> None:
        self._means = means
        self._tools = tools
        self._run = run
        self._caller = caller
        self._start = start

    async def answer(self, call: ToolCall, said: Label | None) -> tuple[ToolOutput, Label]:
        """Have an agent answer a call; give what it says, and where that came from. `said` labels what the caller's model says now.

        What keeps the child from its work is told as its answer. Raises StoreUnavailable.
        """
        child = await self._means.runs.find(self._run.tenant, child_id(call.key))
        if child is None:
            try:
                child = await self._begin(call, said)
            except Conflict as error:
                child = await self._means.runs.find(self._run.tenant, child_id(call.key))
                if child is None:
                    return _refused(call, error)
            except SwitchgearError as error:
                return _refused(call, error)
        child = await self._ended(child)
        return answer_of(child, await self._means.runs.items(child.id, "output"))

    async def _begin(self, call: ToolCall, said: Label | None) -> Run:
        """Begin the child of a call, under a lease of this process."""
        means, above = self._means, self._run
        if above.depth >= means.settings.agent_depth:
            msg = f"Agents may call each other {means.settings.agent_depth} levels deep, and no deeper."
            raise Conflict(msg)
        model = PREFIX + call.tool
        request: dict[str, Json] = {"model": model, "background": True}
        plan = await self._tools.planner.plan(self._caller, model, request)
        if plan is None:
            msg = f"There is no agent {call.tool[:100]!r} any more."
            raise Conflict(msg)
        now, days = means.clock.wall(), means.settings.keep_days
        child = Run(
            id=child_id(call.key),
            tenant=above.tenant,
            caller=self._caller,
            model=model,
            status="in_progress",
            created_at=now,
            started_at=now,
            request=request,
            background=True,
            # Where somebody waits for the caller, somebody waits for the child.
            streams=above.streams or not above.background,
            agent=plan.agent,
            version=plan.version,
            parent=above.id,
            parent_call=call.id,
            depth=above.depth + 1,
            expires_at=None if days is None else now + days * DAY,
            lease_owner=means.owner,
            lease_until=now + means.settings.lease,
            epoch=1,
            limits=plan.limits,
        )
        await means.runs.add(child, [self._input(call, said)])
        means.counts.begun.add(("child",))
        log.info("run.child_begun", run=above.id, child=child.id, agent=child.agent, tenant=child.tenant)
        self._start(child, plan)
        return child

    def _input(self, call: ToolCall, said: Label | None) -> RunItem:
        """Give what the child is asked: the words of the caller's model, as little to be trusted as what that had read."""
        told: dict[str, Json] = {"role": "user", "content": msgspec.json.decode(call.arguments)["input"]}
        body = whole_item(told, self._means.new_id, taken={})
        return RunItem(id=body["id"], place="input", index=0, body=body, label=said or MODEL)

    async def _ended(self, child: Run) -> Run:
        """Wait until a run has ended; where nobody executes it any more, it is executed here."""
        means, last = self._means, child.next_seq - 1
        with means.listeners.following(child.id) as listener:
            while child.status in LIVE:
                if await listener.wait(_LOCAL_LOOK if child.lease_owner == means.owner else _LOOK):
                    heard = listener.take(last)
                    if heard:
                        last = heard[-1].seq
                        if heard[-1].name not in TERMINAL:
                            continue
                found = await means.runs.find(child.tenant, child.id)
                if found is None:
                    return msgspec.structs.replace(child, status="cancelled")
                child, last = found, found.next_seq - 1
                if _is_free(child, means.clock.wall()):
                    child = await self._take(child)
        return child

    async def _take(self, child: Run) -> Run:
        """Execute a child here that nobody executes. It waits for no place: its caller has one, and waits for it."""
        means, now = self._means, self._means.clock.wall()
        taken = await means.runs.take(child.id, means.owner, now=now, until=now + means.settings.lease)
        if taken is None:
            return child
        self._start(taken, None)
        return taken


def _is_free(run: Run, now: float) -> bool:
    return run.status == "queued" or (run.status == "in_progress" and (run.lease_until or 0.0) <= now)


def _refused(call: ToolCall, error: SwitchgearError) -> tuple[ToolOutput, Label]:
    text = f"The agent {call.tool} was not asked: {error.message}"
    return ToolOutput(text=text, is_error=True), Label(source="operator")
