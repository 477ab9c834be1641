"""Makes the calls of tools of one run: each is written as begun before the tool is asked, and what came of it after.

Reads that stand next to each other are made together, everything else one after the other in the order in which the model asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from itertools import groupby
from typing import Final

import anyio
import msgspec

from gateway.agents.advancing import progress_of
from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.agent_tools import is_gone_on_with
from gateway.agents.carrying import carried
from gateway.agents.child_budget import together, within
from gateway.agents.children import AgentWaits, Children, Start
from gateway.agents.deciding import Decided, Deciding
from gateway.agents.handoffs import no_transfer, target_of
from gateway.agents.means import Means, ToolMeans
from gateway.agents.news import hear_news
from gateway.agents.plan import Granted, Plan
from gateway.agents.provenance import MODEL, Context, context_of, derived
from gateway.agents.questions import Questions, granted
from gateway.agents.remembering import is_written, made_from
from gateway.agents.run_limits import RunOver, exceeded, too_many_calls
from gateway.agents.tool_asking import OURS, WRONG, Known, ToolAsking, body_of
from gateway.agents.writing import Page, Writing
from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.items import ToolCall as Wanted
from gateway.core.tools import Label, Tool, Wish
from gateway.dialects.openai_responses import mcp_items
from gateway.stores.runs import Limits, RunItem
from gateway.stores.tool_calls import Approval, NotConsumed, ToolCall

_TOLD: Final = 3
_ENOUGH: Final = 5
"""Equal reads one after the other, after which the model is told, and after which its run ends."""
Body = dict[str, Json]


class Toolbox:
    """One run's. `seen` is what its model had read when it asked last, `had_read` whether that is known, `listed` whether its servers were shown."""

    def __init__(
        self, means: Means, tools: ToolMeans, writing: Writing, plan: Plan, caller: Caller, start: Start
    ) -> None:
        self.seen = Context()
        self.had_read = False
        self._means = means
        self._tools = tools
        self._writing = writing
        self._plan = plan
        self._caller = caller
        self._deciding = Deciding(means, tools, writing.run, plan, caller)
        self._known: dict[str, Decided] = {}
        self._begun: set[str] = set()
        self._approved: dict[str, Approval] = {}
        self._wishes: dict[str, tuple[Wish, ...]] = {}
        # A child has less than its plan says: what its caller lent it.
        self.limits = _bounded(within(plan.limits, writing.run.limits), means)
        self._children = Children(means, tools, writing, caller, self.limits, start)
        self._asking = ToolAsking(means, tools, writing.run, caller, self._children, progress_of(writing))
        self._reads = Known()
        self.listed = False

    @property
    def begun(self) -> AbstractSet[str]:
        """The calls that this process has begun itself."""
        return self._begun

    def read(self, items: Sequence[RunItem], before: Sequence[RunItem] = ()) -> None:
        """Take what the model reads now; `before` are calls that it has notes on only, whose results it may still read on in."""
        tools = {each.tool.id: each.tool for each in self._plan.granted.values()}
        results = {item.id: item for item in (*before, *items) if item.body.get("type") == mcp_items.CALL}
        self.seen, self.had_read = context_of(items, tools), True
        self._reads = Known(items=results, tools=tools, label=self.label)

    @property
    def label(self) -> Label | None:
        """The label of what the model says now; None where it needs none."""
        label = derived(self.seen)
        return None if label == MODEL else label

    async def ready(self) -> None:
        """See to it that the model may be asked once more, and reads what is new. Raises RunOver, and what the journal raises."""
        self.check()
        await hear_news(self._means, self._writing)

    def must_read(self, calls: Sequence[ToolCall]) -> bool:
        """Whether calls are labelled by what the model had read when it asked for them, and that is not known here yet."""
        return not self.had_read and any(
            call.server == AGENTS or (is_written(call) and call.id not in self._approved) for call in calls
        )

    def check(self) -> None:
        """Raise RunOver where the run has used what it may use."""
        why = exceeded(self.limits, self._writing.spend())
        if why:
            raise RunOver(why)

    async def list_servers(self, known: Sequence[Body]) -> None:
        """Show the tools of each server that neither this run nor one that it goes on from has shown; anew where they are gone, or there again."""
        shown_before = {
            mcp_items.server_of(body): bool(body.get("error"))
            for body in known
            if body.get("type") == mcp_items.LISTING
        }
        writing = self._writing
        self.listed = True
        for listed in self._plan.listed:
            if shown_before.get(listed.server) == bool(listed.error):
                continue
            name = mcp_items.item_id(mcp_items.LISTING, self._means.new_id(""), 0)
            body = mcp_items.listing(name, listed.server, listed.tools, listed.error)
            async with writing.turn:
                begun = writing.beginning()
                place, said = writing.encoder.show(body)
                await writing.write(begun + said, Page(items=[writing.item(place, body, OURS)]))

    async def decide(self, wanted: Sequence[Wanted], items: Sequence[RunItem]) -> None:
        """Write an answer of the model that asks for calls, with what was decided about each; those that are made first are written as begun."""
        writing = self._writing
        decided = await self._deciding.decide(wanted, writing.steps, self.seen, writing.spend())
        self._known.update({each.call.id: each for each in decided})
        first = self._first([each.call for each in decided])
        calls: list[ToolCall] = []
        results = list(items)
        async with writing.turn:
            said = writing.beginning()
            for each in decided:
                call = each.call
                if call.id in first and not self._objection(call):
                    call = self._start(call)
                    self._begun.add(call.id)
                    said += writing.encoder.begin_call(body_of(call))
                elif call.state == "failed":
                    body = mcp_items.failed({**body_of(call), "arguments": each.shown}, call.error, WRONG)
                    place, ended = writing.encoder.end_call(body)
                    results.append(writing.item(place, body, OURS, call))
                    said += ended
                    writing.tool_calls += 1
                calls.append(call)
            await writing.write(said, Page(items=results, calls=calls))

    def _first(self, calls: Sequence[ToolCall]) -> set[str]:
        """Give the ids of the calls that are made first: they are begun in the entry that tells of them."""
        todo = [call for call in calls if call.state == "planned"]
        if not todo or exceeded(self.limits, self._writing.spend()):
            return set()
        return {call.id for call in next(_groups(todo))}

    async def do(self, calls: Sequence[ToolCall]) -> None:
        """Make calls, until all of them have ended or are not known. Raises RunOver, and what the journal raises."""
        for group in _groups(calls):
            self.check()
            ready = await self._begin(group)
            self._children.expect(sum(call.server == AGENTS for call in ready))
            if len(ready) == 1:
                await self._make(ready[0])
                continue
            settings = self._means.settings
            are_agents = _together(ready[0]) == AGENTS if ready else False
            room = anyio.CapacityLimiter(settings.agents_at_once if are_agents else settings.reads_at_once)
            try:
                async with anyio.create_task_group() as tasks:
                    for call in ready:
                        tasks.start_soon(self._make, call, room)
            except BaseExceptionGroup as group_error:
                raise _first_of(group_error) from group_error

    async def _begin(self, group: Sequence[ToolCall]) -> Sequence[ToolCall]:
        """Write calls as begun, and give them; those that are refused now end here."""
        ready: list[ToolCall] = []
        fresh: list[ToolCall] = []
        for call in group:
            if call.id in self._begun:
                ready.append(call)
            elif why := self._objection(call):
                await self._end(call, mcp_items.failed(body_of(call), why), OURS)
            else:
                fresh.append(self._start(call))
        return (*ready, *fresh) if not fresh or await self._write_begun(fresh) else ready

    async def _write_begun(self, calls: Sequence[ToolCall]) -> bool:
        """Write that calls are begun, with the approvals that they use up; False where those cannot be used: then nothing is done."""
        writing = self._writing
        consume = [(call.approval, call.arguments_hash, call.definition) for call in calls if self._uses_leave(call)]
        async with writing.turn:
            await writing.put(writing.beginning())
            try:
                # Before anything is said of it: what was said cannot be taken back.
                await writing.write((), Page(calls=calls, consume=consume))
            except NotConsumed as error:
                refused = error.message
            else:
                self._begun.update(call.id for call in calls)
                await writing.put([event for call in calls for event in writing.encoder.begin_call(body_of(call))])
                return True
        for call in calls:
            await self._end(call, mcp_items.failed(body_of(call), f"It was not made: {refused}"), OURS)
        return False

    def _uses_leave(self, call: ToolCall) -> bool:
        """Whether leave is used up by beginning a call; there is none where a server is told that people give it nothing."""
        given = self._approved.get(call.id)
        return needs_leave(call) and (given is None or given.state not in ("denied", "expired"))

    def _start(self, call: ToolCall) -> ToolCall:
        self._writing.tool_calls += 1
        now = self._means.clock.wall()
        return msgspec.structs.replace(
            call, state="started", attempts=call.attempts + 1, started_at=call.started_at or now
        )

    def _objection(self, call: ToolCall) -> str:
        """Say why a call is not made after all; empty where it is."""
        why = too_many_calls(self.limits, self._writing.tool_calls + self._writing.below.tool_calls)
        if why:
            return why
        known = granted(self._plan, call)
        if known is None:
            return f"The tool {call.tool!r} is not available any more."
        if target_of(call) and (why := no_transfer(self.limits, call, self._writing.calls.values())):
            return why
        if known.tool.definition != call.definition and not is_gone_on_with(call):
            return "The tool is not the one any more that it was when the call was asked for."
        approved = self._approved.get(call.id)
        if approved is not None and (denied := self._deciding.denied(call, known, approved, self._writing.spend())):
            return f"This call is not allowed any more, although it was approved. {denied}"
        return ""

    async def question(self, calls: Sequence[ToolCall]) -> Page:
        """Show what is asked of people about calls, and give it, for the entry that puts the run to wait."""
        questions = Questions(self._writing, self._plan, self._deciding, self._children)
        return await questions.ask(calls, self._known, self.seen, self.label, self._wishes)

    async def carry(self) -> None:
        """Take over the calls that were approved in the run that this one goes on from, to be made under their approvals."""
        writing, plan = self._writing, dict(self._plan.granted)
        for each in await carried(self._means, self._tools, writing.run, writing.calls.values()):
            writing.calls[each.call.id] = each.call
            if each.approval is not None:
                self._approved[each.call.id] = each.approval
            if each.tool is not None and granted(self._plan, each.call) is None:
                # It is made although the request that goes on does not list its tool.
                plan[each.tool.id] = Granted(name="", tool=each.tool)
        self._plan = msgspec.structs.replace(self._plan, granted=plan)

    async def _make(self, call: ToolCall, room: anyio.CapacityLimiter | None = None) -> None:
        known = granted(self._plan, call)
        if known is None:
            msg = "a call was begun without its tool"
            raise RuntimeError(msg)
        repeated = self._repeated(call)
        if repeated >= _ENOUGH:
            msg = f"The model asked {repeated} times in a row for {call.tool!r} with the same arguments."
            raise RunOver(msg)
        try:
            async with room or nullcontext():
                result = await self._asking.result(call, known.tool, self._knows(call, known.tool))
        except AgentWaits as waits:
            await self._wait(call, waits.question)
            return
        if (body := result.body) is None:
            await self._put_aside(call, result.wishes)
            return
        if repeated >= _TOLD and isinstance(body.get("output"), str):
            body = {**body, "output": body["output"] + AGAIN}
        await self._end(call, body, result.label, result.kept)

    def _knows(self, call: ToolCall, tool: Tool) -> Known:
        if not tool.memory:
            return self._reads
        made = made_from(call, tool, self.seen, self._approved.get(call.id), agent=self._plan.agent)
        return msgspec.structs.replace(self._reads, made=made)

    async def _end(self, call: ToolCall, body: Body, label: Label, kept: Sequence[tuple[str, bytes]] = ()) -> None:
        """Write what came of a call."""
        writing = self._writing
        done = body["status"] == "completed"
        error = "" if done else mcp_items.said_to_model(body)[:2000]
        ended = msgspec.structs.replace(
            call, state="done" if done else "failed", error=error, ended_at=self._means.clock.wall()
        )
        async with writing.turn:
            # In the entry that says that it has ended: neither is known without the other.
            writing.below = together(writing.below, self._children.settle(call))
            place, said = writing.encoder.end_call(body)
            page = Page(items=[writing.item(place, body, label, call)], calls=[ended], kept=kept)
            await writing.write(said, page)

    async def _wait(self, call: ToolCall, question: str) -> None:
        """Write that the agent of a call waits for people."""
        waiting = msgspec.structs.replace(call, state="awaiting_approval", approval=question)
        async with self._writing.turn:
            self._writing.below = together(self._writing.below, self._children.settle(call))
            await self._writing.write((), Page(calls=[waiting]))

    async def _put_aside(self, call: ToolCall, wishes: tuple[Wish, ...]) -> None:
        """Write that nobody knows what came of a call, or that people are to be asked for something before it is made again."""
        changed = msgspec.structs.replace(call, state="unknown")
        if wishes:
            self._wishes[call.id] = wishes
            changed = msgspec.structs.replace(call, state="awaiting_approval", approval=mcp_items.request_of(call.id))
        async with self._writing.turn:
            await self._writing.write((), Page(calls=[changed]))

    def _repeated(self, call: ToolCall) -> int:
        """Give how often in a row a read was asked for with the same arguments, this time included."""
        if call.effect != "read" or call.server == AGENTS:
            return 0
        what = (call.server, call.tool, call.arguments_hash)
        count = 0
        known = sorted(self._writing.calls.values(), key=lambda each: (each.step, each.index))
        for each in reversed([each for each in known if (each.step, each.index) <= (call.step, call.index)]):
            if (each.server, each.tool, each.arguments_hash) != what:
                break
            count += 1
        return count


AGAIN: Final = "\n[You have this result already: the same tool was asked with the same arguments before.]"


def _groups(calls: Sequence[ToolCall]) -> Iterator[Sequence[ToolCall]]:
    """Give calls in the groups in which they are made: reads together, calls of agents together, every other by itself."""
    for kind, some in groupby(calls, key=_together):
        if kind:
            yield list(some)
        else:
            yield from ([call] for call in some)


def needs_leave(call: ToolCall) -> bool:
    """Whether a call uses an approval up by being begun."""
    return bool(call.approval) and not is_gone_on_with(call)


def _together(call: ToolCall) -> str:
    """Say with which of its neighbours a call is made; empty for one that is made alone."""
    if call.server == AGENTS:
        return AGENTS
    return "reads" if call.effect == "read" and not call.approval else ""


def _bounded(limits: Limits, means: Means) -> Limits:
    """Give limits that the server's own are part of."""
    settings = means.settings
    return msgspec.structs.replace(
        limits,
        steps=min(limits.steps or settings.steps, settings.steps),
        tool_calls=settings.tool_calls if limits.tool_calls is None else min(limits.tool_calls, settings.tool_calls),
    )


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what went wrong first: the others were only ended by it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
