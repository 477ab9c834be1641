"""Runs made from other runs: forks, which go on live from a place in one, and replays, which do one once more with its results. It knows no HTTP; who executes them is the executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from gateway.agents.candidates import Candidates
from gateway.agents.child_budget import within
from gateway.agents.context import input_items
from gateway.agents.desk import no_response
from gateway.agents.forking import Cut, as_input, before_cut, ends_answered
from gateway.agents.handoffs import InCharge, in_charge
from gateway.agents.means import DAY, Means, ToolMeans
from gateway.agents.parting import Comparison, compared
from gateway.agents.plan import Plan
from gateway.agents.replaying import replay_with
from gateway.agents.story import read_story
from gateway.config.agent_settings import PREFIX
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, ContextLengthExceeded, Forbidden, InvalidRequest, LimitExceeded, Unavailable
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.stores.runs import LIVE, Lineage, Run, RunEvent, RunItem

log = structlog.get_logger()

_PAGE: Final = 500


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise than it was. `agent` are the files of an agent's folder, by name; None is no change."""

    model: str = ""
    instructions: str | None = None
    agent: dict[str, str] | None = None


class Travelling:
    """Makes them. `wake` tells the executor that there is a new run."""

    def __init__(self, means: Means, tools: ToolMeans, wake: Callable[[], None]) -> None:
        self._means = means
        self._tools = tools
        self._wake = wake

    async def fork(self, caller: Caller, run: Run, cut: Cut, changes: Changes, text: str = "") -> Run:
        """Begin a run that goes on live from a place in `run`, in the name of `caller`; `text` is what he says there.

        Raises InvalidRequest, Forbidden for a run of another tenant, Conflict for one that cannot be gone on from there.
        """
        _require_own(caller, run, "What it does is done in your name")
        _require_ended(run)
        if (cut.at is None) == (cut.after is None):
            msg = "Say where the run is to be forked: either `at` (a step) or `after` (an event)."
            raise InvalidRequest(msg, param="at")
        if cut.at is not None and cut.at > run.spent.steps:
            msg = f"The run has {run.spent.steps} steps."
            raise InvalidRequest(msg, param="at")
        if cut.after is not None and cut.after >= run.next_seq:
            msg = f"The run's last event is number {run.next_seq - 1}."
            raise InvalidRequest(msg, param="after")
        calls = await self._tools.calls.calls(run.id)
        events = [] if cut.after is None else await self._events(run, cut.after)
        own = before_cut(await self._means.runs.items(run.id), calls, cut, events)
        items = as_input([*await self._said_before(run), *own])
        if text:
            said = input_items({"input": text}, self._means.new_id)
            items = [*items, *(msgspec.structs.replace(item, index=len(items) + item.index) for item in said)]
        elif ends_answered(items):
            msg = "The model had answered by then: say what it is asked next, or fork earlier."
            raise InvalidRequest(msg, param="input")
        changed = [name for name, given in (("model", changes.model), ("input", text)) if given]
        lineage = Lineage(kind="fork", run=run.id, at=cut.at, after=cut.after, changed=tuple(changed))
        there = {item.id for item in own}
        at = in_charge(run, [call for call in calls if call.id in there])
        made = await self._made(caller, run, at, changes, lineage)
        plan = await self._tools.planner.plan(caller, made.model, made.request, version=made.version, agent=made.agent)
        planned = _planned(made, plan)
        if at.agent and made.agent == at.agent != run.agent:
            # What bound the run that was handed over binds who goes on with it there.
            planned = msgspec.structs.replace(planned, limits=within(planned.limits, run.limits))
        return await self._begin(planned, items)

    async def replay(
        self, caller: Caller, run: Run, changes: Changes, policies: dict[str, str] | None = None, *, loose: bool = False
    ) -> Run:
        """Begin a run that does `run` once more with what was recorded of it, at the expense of `caller`; nothing outside hears of it.

        Raises InvalidRequest with what is at fault, Forbidden for a run of another tenant, Conflict for one that has not ended.
        """
        _require_own(caller, run, "Its model is asked at your expense")
        _require_ended(run)
        changed = [name for name, given in _given(changes, policies) if given]
        lineage = Lineage(kind="replay", run=run.id, changed=tuple(changed), policies=policies or {}, loose=loose)
        if policies:
            self._candidates.judge(policies)
        own = before_cut(await self._means.runs.items(run.id), await self._tools.calls.calls(run.id), Cut(at=0))
        items = as_input([*await self._said_before(run), *own])
        made = await self._made(caller, run, in_charge(run, ()), changes, lineage)
        replay = await replay_with(self._means, self._tools, run, lineage)
        plan = await replay.tools.planner.plan(
            replay.caller, made.model, made.request, version=made.version, agent=made.agent
        )
        return await self._begin(_planned(made, plan), items)

    async def compare(self, run: Run) -> Comparison:
        """Say where a replay parted from what it replays. Raises Conflict for a run that is none or has not ended, NotFound where the other is gone."""
        if run.lineage is None or run.lineage.kind != "replay":
            msg = f"The run {run.id!r} is no replay."
            raise Conflict(msg)
        if run.status in LIVE:
            msg = f"The replay {run.id!r} has not ended yet."
            raise Conflict(msg)
        original = await self._means.runs.find(run.tenant, run.lineage.run)
        if original is None:
            raise no_response(run.lineage.run)
        then = await read_story(self._means, self._tools, original)
        return compared(then, await read_story(self._means, self._tools, run))

    async def _made(self, caller: Caller, run: Run, at: InCharge, changes: Changes, lineage: Lineage) -> Run:
        """Give a run like another, with what is to be otherwise; it begins with who is in charge there. Raises ModelNotFound, and what the candidates raise."""
        means, model, agent, version = self._means, run.model, at.agent, at.version
        request = {**run.request, "background": True, "stream": False, "store": True}
        request.pop("conversation", None)
        if changes.model.startswith(PREFIX):
            model, agent, version = changes.model, "", ""
        elif changes.model and not agent:
            model = changes.model
        self._find(caller, changes.model or model)
        if changes.agent is not None:
            version = await self._candidates.written(agent, changes.agent)
        if model.startswith(PREFIX) and version:
            if changes.instructions is not None or changes.model:
                version = await self._candidates.varied(
                    agent, version, model=changes.model, instructions=changes.instructions
                )
        elif changes.instructions is not None:
            request["instructions"] = changes.instructions
        now, days = means.clock.wall(), means.settings.keep_days
        return Run(
            id=means.new_id("resp_"),
            tenant=run.tenant,
            caller=caller,
            model=model,
            status="queued",
            created_at=now,
            request={**request, "model": model},
            background=True,
            previous=run.previous,
            agent=agent,
            version=version,
            expires_at=None if days is None else now + days * DAY,
            lineage=lineage,
        )

    @property
    def _candidates(self) -> Candidates:
        if self._tools.candidates is None:
            msg = "Other agents and policies cannot be tried here."
            raise Unavailable(msg)
        return self._tools.candidates

    def _find(self, caller: Caller, model: str) -> None:
        now = self._means.current()
        find_route(now.routes, model, shown=lambda near: offered(now.authorizer, caller, near.subject))

    async def _begin(self, run: Run, items: Sequence[RunItem]) -> Run:
        means = self._means
        if not await means.runs.add(run, items, most_live=means.settings.unfinished):
            msg = f"{means.settings.unfinished} background responses wait or run already: wait until one of them has ended."
            raise LimitExceeded(msg, limit="runs.unfinished", window="now", retry_after=5.0)
        means.counts.begun.add(("background",))
        if run.lineage is not None:
            log.info("run.made_from", run=run.id, tenant=run.tenant, how=run.lineage.kind, other=run.lineage.run)
        self._wake()
        return run

    async def _events(self, run: Run, last: int) -> Sequence[RunEvent]:
        """Give the events of a run up to one."""
        found: list[RunEvent] = []
        while len(found) <= last:
            page = await self._means.runs.events(run.id, after=len(found) - 1, limit=min(_PAGE, last + 1 - len(found)))
            if not page:
                break
            found += page
        return found

    async def _said_before(self, run: Run) -> Sequence[RunItem]:
        """Give what a run's conversation held before it. Raises Conflict where that is not known any more."""
        if not run.conversation:
            return []
        before: list[RunItem] = []
        last = ""
        while True:
            page = await self._means.conversations.items(
                run.tenant, run.conversation, after=last, limit=_PAGE, order="asc"
            )
            for item in page or ():
                if item.run == run.id:
                    return before
                before.append(RunItem(id=item.id, place="input", index=len(before), body=item.body, label=item.label))
            if len(before) > self._means.settings.context_items:
                msg = "The conversation is longer than what a model is given here."
                raise ContextLengthExceeded(msg)
            if not page or len(page) < _PAGE:
                msg = f"What the conversation {run.conversation!r} held when the run began is not known any more."
                raise Conflict(msg)
            last = page[-1].id


def _require_own(caller: Caller, run: Run, why: str) -> None:
    if caller.tenant != run.tenant:
        msg = f"{why}, so the run has to be of your own tenant."
        raise Forbidden(msg)


def _require_ended(run: Run) -> None:
    if run.status in LIVE:
        msg = f"The run {run.id!r} has not ended yet: wait for its end, or cancel it."
        raise Conflict(msg)
    if run.lineage is not None and run.lineage.kind == "replay":
        msg = f"The run {run.id!r} is a replay, in which nothing was done: name the run that it replays, {run.lineage.run!r}."
        raise Conflict(msg)


def _given(changes: Changes, policies: dict[str, str] | None) -> Sequence[tuple[str, object]]:
    return (
        ("model", changes.model),
        ("instructions", changes.instructions is not None),
        ("agent", changes.agent is not None),
        ("policies", policies),
    )


def _planned(run: Run, plan: Plan | None) -> Run:
    if plan is None:
        return run
    return msgspec.structs.replace(run, agent=plan.agent, version=plan.version, limits=plan.limits)
