"""Runs, for those who ask for them: begins them, tells what becomes of them, and ends them. Executing them is the executor's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio
import msgspec

from gateway.agents.answering import Asking
from gateway.agents.child_budget import within
from gateway.agents.context import Context, input_items, origins, validate
from gateway.agents.continuing import go_on
from gateway.agents.desk import Draft, Ear, Take, no_response, not_kept
from gateway.agents.desk_compacting import compact
from gateway.agents.executor import Executor
from gateway.agents.handoffs import in_charge, left_in_charge, plan_of
from gateway.agents.means import DAY, Means, ToolMeans
from gateway.agents.plan import Plan
from gateway.agents.referring import resolved
from gateway.agents.replying import continuation_of
from gateway.agents.resolving import Resolving, is_another
from gateway.agents.travelling import Travelling
from gateway.agents.unfolding import check_sealed
from gateway.agents.writing import document_of, encoder_of
from gateway.config.agent_settings import PREFIX
from gateway.core.errors import Conflict, LimitExceeded
from gateway.core.items import Json
from gateway.dialects.openai_responses.stored_encode import TERMINAL
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.stores.runs import LIVE, Entry, Run, RunEvent, RunItem

_PAGE: Final = 500
_POLL: Final = 0.25
"""Seconds between two looks into the journal for one who follows a run of another process."""
_LOCAL_POLL: Final = 2.0
"""The same for one of this process, where news come by themselves."""
_CANCEL_SECONDS: Final = 1.0
_REMOVE_SECONDS: Final = 5.0

_decode = msgspec.json.Decoder(dict[str, Json]).decode
_encode = msgspec.json.Encoder().encode


class Running:
    """A RunDesk."""

    def __init__(self, means: Means, executor: Executor) -> None:
        self._means = means
        self._executor = executor
        self._context = Context(means)
        self.approvals = None if means.tools is None else Resolving(means, means.tools, executor.wake)
        self.travel = None if means.tools is None else Travelling(means, means.tools, executor.wake)
        if self.approvals is not None:
            executor.waited = self.approvals.resume

    def own_tools(self, fields: dict[str, Json]) -> Sequence[int]:
        """Give the places in a request's `tools` of those that this server runs itself."""
        tools, listed = self._means.tools, fields.get("tools")
        if tools is None or not isinstance(listed, list):
            return ()
        return [number for number, entry in enumerate(listed) if tools.planner.is_ours(entry)]

    async def begin(self, draft: Draft) -> Run:
        """Begin a run that nobody waits for (`background`): it is in the journal when this returns."""
        run, items, _ = await self._read(draft, background=True)
        # Where there is room for it, it is executed here: nobody has to look for it.
        here = self._executor.reserve()
        try:
            kept = self.leased(run) if here else run
            if kept.continues:
                await go_on(self._means, kept, items)
            elif not await self._means.runs.add(kept, items, most_live=self._means.settings.unfinished):
                raise self.too_many()
            if here:
                self._executor.start(kept)
                here = False
            else:
                self._executor.wake()
        finally:
            if here:
                self._executor.give_up_place()
        self._means.counts.begun.add(("background",))
        return run

    def too_many(self) -> LimitExceeded:
        """Give the error for a tenant that has too many unfinished runs."""
        most = self._means.settings.unfinished
        msg = f"{most} background responses wait or run already: wait until one of them has ended, or cancel it."
        return LimitExceeded(msg, limit="runs.unfinished", window="now", retry_after=5.0)

    def leased(self, run: Run) -> Run:
        """Give a run that begins with a lease of this process."""
        means, now = self._means, self._means.clock.wall()
        return msgspec.structs.replace(
            run,
            status="in_progress",
            started_at=now,
            lease_owner=means.owner,
            lease_until=now + means.settings.lease,
            epoch=1,
        )

    async def answer(self, draft: Draft, take: Take, ear: Ear) -> Run:
        """Begin a run and wait for its end; its events go to `take`. Who is cancelled meanwhile has left: the run is cancelled, too.

        Raises what keeps it from beginning, and then nothing is kept. What happens after the first event is told by events.
        """
        run, items, plan = await self._read(draft, background=False)
        run = self.leased(run)
        asking = Asking(
            received=draft.received,
            call=draft.call,
            ear=ear,
            headers=draft.headers,
            plan=plan,
        )
        self._means.counts.begun.add(("foreground",))
        return await self._executor.answer(run, items, asking, take)

    async def spelled_out(self, draft: Draft) -> dict[str, Json]:
        """Give a body that says the same without what is stored: all that comes before as items of its `input`. Raises NotFound."""
        run, items = await self._sketch(draft, background=False)
        prompted = await self._context.gather(run, items)
        return {**prompted.fields, "stream": run.streams, "store": False}

    async def compact(self, draft: Draft, ear: Ear) -> dict[str, Json]:
        """Give the document of a compaction: what goes on from a request, with notes of its model in the place of most of it. Nothing is kept."""
        run, items = await self._sketch(draft, background=False)
        prompted = await self._context.gather(run, items)
        tools, model = self._means.tools, draft.model
        if tools is not None and model.startswith(PREFIX):
            # An agent is asked as the model that it thinks with: what it is told, and its tools, have no place in notes.
            plan = await tools.planner.plan(draft.caller, model, {})
            model = model if plan is None else plan.model
        return await compact(self._means, draft, prompted, model, ear)

    async def _read(self, draft: Draft, *, background: bool) -> tuple[Run, Sequence[RunItem], Plan | None]:
        """Give the run that a request asks for, and its plan; answers to what another run asked are counted. Raises what ApprovalDesk does, too."""
        run, items = await self._sketch(draft, background=background)
        if background or run.previous or run.conversation:
            await self._context.check(run.tenant, run.previous, run.conversation)
        tools, fields = self._means.tools, draft.fields
        if tools is None or self.approvals is None:
            return run, items, None
        agent = await left_in_charge(self._means, tools, run)
        plan = await tools.planner.plan(draft.caller, draft.model, fields, agent=agent)
        if plan is not None:
            if fields.get("store") is False:
                raise not_kept()
            limits = within(plan.limits, draft.limits)
            run = msgspec.structs.replace(run, agent=plan.agent, version=plan.version, limits=limits)
        answered = await self.approvals.answered_by(draft.caller, fields, run.previous, run.conversation)
        if answered is None:
            return run, items, plan
        if fields.get("store") is False:
            raise not_kept()
        others = [
            RunItem(id=body["id"], place="input", index=index, body=body)
            for index, body in enumerate(answered.others, len(items))
        ]
        begun = answered.run
        if is_another(draft.caller, begun):
            run, plan = await self._for_another(run, begun, tools)
            return run, (*items, *others), plan
        run = msgspec.structs.replace(run, continues=begun.id)
        if plan is not None and begun.agent and run.model == begun.model:
            # What was asked is gone on with as the agent that asked it.
            at = in_charge(begun, await tools.calls.calls(begun.id))
            if (plan.agent, plan.version) != (at.agent, at.version):
                plan = await tools.planner.plan(draft.caller, draft.model, fields, version=at.version, agent=at.agent)
            run = msgspec.structs.replace(run, agent=at.agent, version=at.version, limits=begun.limits)
        return run, (*items, *others), plan or Plan(model=run.model, fields=run.request)

    async def _for_another(self, run: Run, begun: Run, tools: ToolMeans) -> tuple[Run, Plan | None]:
        """Give the run that goes on after another person's, and its plan: as whose it was, with his rights and accounts, and as he asked for it.

        Who gives leave lends nothing of his own, and gets nothing of the other's. Raises what `known` does.
        """
        at = in_charge(begun, await tools.calls.calls(begun.id))
        going = continuation_of(self._means, begun, run.id, at)
        caller = self._means.known(begun.caller)
        request = {**going.request, "background": run.background, "stream": run.streams}
        going = msgspec.structs.replace(
            going, caller=caller, request=request, background=run.background, streams=run.streams
        )
        return going, await plan_of(tools, going, caller, at)

    async def _sketch(self, draft: Draft, *, background: bool) -> tuple[Run, Sequence[RunItem]]:
        """Give the run that a request asks for. Raises InvalidRequest, ModelNotFound, NotFound."""
        means, caller = self._means, draft.caller
        fields, labels = await resolved(means, caller.tenant, draft.fields)
        validate(fields)
        previous, conversation = origins(fields)
        generation = means.current()
        find_route(
            generation.routes, draft.model, shown=lambda near: offered(generation.authorizer, caller, near.subject)
        )
        now, days = means.clock.wall(), means.settings.keep_days
        run = Run(
            id=draft.run or means.new_id("resp_"),
            tenant=caller.tenant,
            caller=caller,
            model=draft.model,
            status="queued",
            created_at=now,
            request=_kept(fields, draft),
            background=background,
            streams=bool(fields.get("stream")),
            previous=previous,
            conversation=conversation,
            session=draft.session,
            trace=draft.trace,
            expires_at=None if days is None else now + days * DAY,
        )
        items = input_items(fields, means.new_id, {**labels, **draft.labels})
        check_sealed([item.body for item in items], means.seal, caller.tenant)
        return run, items

    async def follow(self, tenant: str, run: str, take: Take, *, after: int = -1) -> None:
        """Give the events that follow number `after`, those to come as well, until the terminal one has been given. Raises NotFound."""
        if not self._executor.holds(run, tenant):
            await self.find(tenant, run)
        with self._means.listeners.following(run) as listener:
            known: Sequence[RunEvent] = await self._means.runs.events(run, after=after, limit=_PAGE)
            while True:
                for event in known:
                    await take(event)
                    after = event.seq
                    if event.name in TERMINAL:
                        return
                if len(known) >= _PAGE:
                    known = await self._means.runs.events(run, after=after, limit=_PAGE)
                    continue
                news = await listener.wait(_LOCAL_POLL if self._executor.holds(run, tenant) else _POLL)
                known = listener.take(after) if news else ()
                if known:
                    continue
                known = await self._means.runs.events(run, after=after, limit=_PAGE)
                if not known and (await self.find(tenant, run)).status not in LIVE:
                    # It may have ended between the two looks.
                    known = await self._means.runs.events(run, after=after, limit=_PAGE)
                    if not known:
                        return

    async def find(self, tenant: str, run: str) -> Run:
        """Give a run. Raises NotFound."""
        found = await self._means.runs.find(tenant, run)
        if found is None:
            raise no_response(run)
        return found

    async def document(self, run: Run) -> dict[str, Json]:
        """Give the Response document of a run as it stands now: whole where it has ended, with what is done so far elsewhere."""
        if run.response is not None:
            return run.response
        items = () if run.status == "queued" else await self._means.runs.items(run.id, "output")
        document = document_of(run, self._means.clock.wall).running([item.body for item in items], run.status)
        return _decode(_encode(document))

    async def cancel(self, tenant: str, run: str) -> Run:
        """End a run, and give it as it is when it has ended, or after a second. Raises NotFound, and Conflict for one that was not in the background."""
        found = await self.find(tenant, run)
        if not found.background and found.status != "waiting":
            msg = f"The response {run!r} is not a background response: whoever waits for it ends it by leaving."
            raise Conflict(msg)
        return await self._end(found, _CANCEL_SECONDS)

    async def stop(self, tenant: str, run: str) -> Run:
        """End a run, whoever waits for it, also one that waits for people; give it as it is when it has ended, or after a second. Raises NotFound."""
        return await self._end(await self.find(tenant, run), _CANCEL_SECONDS)

    async def _end(self, run: Run, seconds: float) -> Run:
        """Have a run ended, and wait so long for that."""
        if run.status not in (*LIVE, "waiting"):
            return run
        means = self._means
        now = means.clock.wall()
        with means.listeners.following(run.id) as listener:
            ended = await means.runs.request_cancel(run.tenant, run.id, now=now, ended=_ended(run, now))
            if ended is None:
                return await self.find(run.tenant, run.id)
            if ended.status not in LIVE:
                means.counts.ended.add((ended.status,))
                means.listeners.tell(run.id, await means.runs.events(run.id))
                await self._end_family(ended)
                return ended
            self._executor.cancel(run.id)
            with anyio.move_on_after(seconds):
                while ended.status in LIVE:
                    await listener.wait(0.1)
                    ended = await self.find(run.tenant, run.id)
        return ended

    async def _end_family(self, run: Run) -> None:
        """End what waits below a run that waited and was ended; and let who called it know."""
        if run.agent:
            for child in await self._means.runs.children(run.id):
                if child.status == "waiting":
                    await self._end(child, 0.0)
        if run.parent and self.approvals is not None:
            await self.approvals.resume(run.parent)

    async def remove(self, tenant: str, run: str) -> None:
        """Forget a run; one that is live is cancelled first. Raises NotFound."""
        found = await self.find(tenant, run)
        await self._end(found, _REMOVE_SECONDS)
        for child in await self._means.runs.children(run) if found.agent else ():
            await self.remove(tenant, child.id)
        if not await self._means.runs.remove(tenant, run):
            await self.find(tenant, run)

    async def input_items(self, tenant: str, run: str) -> Sequence[RunItem]:
        """Give the items of a run's input, in order. Raises NotFound."""
        await self.find(tenant, run)
        return await self._means.runs.items(run, "input")


def _kept(fields: dict[str, Json], draft: Draft) -> dict[str, Json]:
    """Give what is kept of a request beside its input; of the prompt that it was made from, its name and its variables."""
    kept = {name: value for name, value in fields.items() if name != "input"}
    return kept if draft.prompt is None else {**kept, "prompt": draft.prompt.echo}


def _ended(run: Run, now: float) -> Entry:
    """Give the end of a run that nobody has begun to execute: its stream begins and ends at once."""
    encoder = encoder_of(run, lambda: now)
    said = encoder.begin() + encoder.cancel()
    return Entry(
        events=[RunEvent(seq=seq, name=name, data=data) for seq, name, data in said],
        status="cancelled",
        response=_decode(said[-1][2])["response"],
        ended_at=now,
    )
