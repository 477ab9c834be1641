"""Runs that a run begins by calling agents: begun once, waited for, and read when they have ended. Executing them is the executor's.

A child is a run like any other, in its own journal. Its id follows from the call, so that whoever takes over the caller finds it,
and begins no second one. Whoever holds the lease of the child is free: this process where it began it, another where that one is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec
import structlog

from gateway.agents.agent_tools import child_id, is_gone_on_with
from gateway.agents.child_answers import answer_of
from gateway.agents.child_budget import left, share, used_by, within
from gateway.agents.continuing import go_on
from gateway.agents.family import asked_by
from gateway.agents.handoffs import in_charge
from gateway.agents.means import DAY, Means, ToolMeans
from gateway.agents.plan import Plan
from gateway.agents.provenance import MODEL
from gateway.agents.replying import as_input, continuation_of, replies
from gateway.agents.run_limits import exceeded
from gateway.agents.writing import Writing
from gateway.config.agent_settings import PREFIX
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, NotFound, StoreUnavailable, SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import Label, ToolOutput
from gateway.dialects.openai_responses.kept_items import whole_item
from gateway.dialects.openai_responses.mcp_items import REQUEST
from gateway.dialects.openai_responses.stored_encode import TERMINAL
from gateway.stores.runs import LIVE, Below, Limits, Run, RunItem, Spent
from gateway.stores.tool_calls import Approval, ToolCall

log = structlog.get_logger()

_LOCAL_LOOK: Final = 2.0
"""Seconds between two looks for the end of a child of this process, where news come by themselves."""
_LOOK: Final = 0.25
"""The same for one that another process executes."""

Start = Callable[[Run, Plan | None], None]
"""Executes a run that is in the journal under a lease of this process, beside all others. Its plan, where it is at hand."""


class AgentWaits(Exception):
    """The agent waits for people. `question` is the first of what it asks them."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question


class Children:
    """Those of one run, in the name of `caller`."""

    def __init__(
        self, means: Means, tools: ToolMeans, writing: Writing, caller: Caller, limits: Limits, start: Start
    ) -> None:
        self._means = means
        self._tools = tools
        self._writing = writing
        self._run = writing.run
        self._caller = caller
        self._limits = limits
        self._start = start
        self._expected = 0
        self._reserved: dict[str, Limits] = {}
        self._followed: dict[str, dict[str, Run]] = {}

    def expect(self, calls: int) -> None:
        """Say how many agents are called together now: they share what there is."""
        self._expected = calls

    def settle(self, call: ToolCall) -> Below:
        """Give what the children of a call have used, and give back what was reserved for them. Of any other call nothing."""
        used = self._used(call)
        self._reserved.pop(call.id, None)
        self._followed.pop(call.id, None)
        return used

    def _used(self, call: ToolCall) -> Below:
        # What began for an earlier run was settled there.
        followed = self._followed.get(call.id, {}).values()
        return used_by(child for child in followed if child.parent == self._run.id)

    def _reserve(self, call: ToolCall) -> None:
        """Set a part aside for a call, before anything else happens."""
        free = left(self._limits, self._writing.spend(), self._reserved.values())
        lent = share(free, self._expected)
        self._expected = max(0, self._expected - 1)
        self._reserved[call.id] = lent

    async def answer(self, call: ToolCall, said: Label | None) -> tuple[ToolOutput, Label]:
        """Have an agent answer a call; give what it says, and where that came from. `said` labels what the caller's model says now.

        What keeps the child from its work is told as its answer. Raises AgentWaits and StoreUnavailable.
        """
        self._reserve(call)
        followed = self._followed[call.id] = dict[str, Run]()
        try:
            child = await self._found_or_begun(call, said)
            if child.parent == self._run.id:
                self._reserved[call.id] = child.limits
            while True:
                child = await self._ended(child)
                followed[child.id] = child
                async for later in self._later(child):
                    followed[later.id] = child = later
                if child.status in LIVE:
                    continue
                if child.status != "waiting":
                    return answer_of(child, await self._means.runs.items(child.id, "output"))
                asked = await asked_by(self._means, self._tools, child)
                if any(approval.state == "pending" for approval in asked):
                    raise AgentWaits(_questions(child)[0]["id"])
                child = await self._go_on(child, call, asked)
        except StoreUnavailable:
            raise
        except SwitchgearError as error:
            return _refused(call, error)

    async def questions(self, call: ToolCall) -> Sequence[dict[str, Json]]:
        """Give what the agent of a call asks of people, as its own client would see it."""
        child = await self._find(child_id(call.key))
        if child is None:
            return ()
        async for later in self._later(child):
            child = later
        return _questions(child)

    async def _found_or_begun(self, call: ToolCall, said: Label | None) -> Run:
        name = child_id(call.key)
        if (child := await self._find(name)) is not None:
            return child
        if is_gone_on_with(call):
            msg = "What it did so far is not kept any more."
            raise NotFound(msg)
        try:
            return await self._begin(call, said)
        except Conflict:
            if (child := await self._find(name)) is None:
                raise
            return child

    async def _find(self, name: str) -> Run | None:
        return await self._means.runs.find(self._run.tenant, name)

    async def _later(self, child: Run) -> AsyncIterator[Run]:
        """Give the runs that go on from a child, one after the other: none, where it asked nobody, or nobody has answered."""
        while child.status == "completed" and _questions(child):
            later = await self._find(child_id(child.id))
            if later is None:
                return
            yield later
            child = later

    async def _go_on(self, child: Run, call: ToolCall, asked: Sequence[Approval]) -> Run:
        """Go on with a child whose questions are answered, once; give the run that does."""
        means = self._means
        at = in_charge(child, await self._tools.calls.calls(child.id))
        made = self._held(continuation_of(means, child, child_id(child.id), at), call)
        rest = left(self._reserved[call.id], Spent(below=self._used(call)), kept=0)
        made = msgspec.structs.replace(made, limits=within(child.limits, rest))
        try:
            await go_on(means, made, as_input(await replies(means, self._tools, asked)))
        except Conflict:
            found = await self._find(made.id)
            if found is None:
                raise
            return found
        log.info("run.continued", run=child.id, by=made.id, tenant=made.tenant)
        self._start(made, None)
        return made

    def _held(self, run: Run, call: ToolCall) -> Run:
        """Give a run that is begun for a call, under a lease of this process."""
        means, above, now = self._means, self._run, self._means.clock.wall()
        return msgspec.structs.replace(
            run,
            caller=self._caller,
            status="in_progress",
            started_at=now,
            # Where somebody waits for the caller, somebody waits for the child.
            streams=above.streams or not above.background,
            parent=above.id,
            parent_call=call.id,
            depth=above.depth + 1,
            lease_owner=means.owner,
            lease_until=now + means.settings.lease,
            epoch=1,
        )

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
        limits = within(plan.limits, self._reserved[call.id])
        if why := exceeded(limits, Spent()):
            msg = f"Nothing is left for it. {why}"
            raise Conflict(msg)
        now, days = means.clock.wall(), means.settings.keep_days
        child = Run(
            id=child_id(call.key),
            tenant=above.tenant,
            caller=self._caller,
            model=model,
            status="queued",
            created_at=now,
            request=request,
            background=True,
            agent=plan.agent,
            version=plan.version,
            expires_at=None if days is None else now + days * DAY,
            limits=limits,
            session=above.session,
            trace=above.trace,
        )
        child = self._held(child, call)
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


def _questions(run: Run) -> Sequence[dict[str, Json]]:
    """Give what a run that has ended has asked of people, in its output."""
    output = (run.response or {}).get("output")
    return [item for item in output if item.get("type") == REQUEST] if isinstance(output, list) else ()


def _is_free(run: Run, now: float) -> bool:
    return run.status == "queued" or (run.status == "in_progress" and (run.lease_until or 0.0) <= now)


def _refused(call: ToolCall, error: SwitchgearError) -> tuple[ToolOutput, Label]:
    text = f"The agent {call.tool} was not asked: {error.message}"
    return ToolOutput(text=text, is_error=True), Label(source="operator")
