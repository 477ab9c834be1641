"""Answers a run: asks its model through the pipeline, has tools called that it asks for, and makes one stream of it all. It knows no HTTP and no task.

Where events go is a Sink's business: a background run's go to the journal, a foreground run's to its client as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import msgspec
import structlog

from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.context import CONVERSATION, Context, Prompted
from gateway.agents.desk import Ear
from gateway.agents.folding import Ask, Do, Question, State, fold
from gateway.agents.foretold import foretold
from gateway.agents.handoffs import InCharge, in_charge, plan_of, transfers
from gateway.agents.hearing import Hearing
from gateway.agents.means import Generation, Means, ToolMeans
from gateway.agents.news import in_order
from gateway.agents.plan import Plan
from gateway.agents.provenance import MODEL
from gateway.agents.replaying import Replay, ReplayToolbox, replay_of
from gateway.agents.run_compacting import RunCompacting
from gateway.agents.starting import patient
from gateway.agents.toolbox import Toolbox
from gateway.agents.truncating import Truncating
from gateway.agents.writing import DIALECT, NOTHING, Page, Sink, Writing
from gateway.cache.wishes import wish_of
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import InternalError, StoreUnavailable, SwitchgearError, UpstreamBroken, UpstreamTimeout
from gateway.core.events import ASIDE, Event, Finished, Started
from gateway.core.prompt_use import use_of
from gateway.core.tools import Label
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.stores.conversations import ConversationItem
from gateway.stores.runs import Fenced, Run, RunItem, RunStatus

log = structlog.get_logger()


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request only while it is there: not kept with the run. `call` is the id of the first call, `plan` what was made of it."""

    received: float
    call: str = ""
    ear: Ear | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    plan: Plan | None = None


Adopt = Callable[[Run, Asking | None], None]
"""Executes a run that is in the journal under a lease of this process, beside all others."""


class Answering:
    """One run, answered in this process. `items` are those of its input where they are at hand, else they are read.

    `adopt` executes the runs that it begins.
    """

    def __init__(
        self,
        means: Means,
        run: Run,
        sink: Sink,
        adopt: Adopt,
        asking: Asking | None = None,
        items: Sequence[RunItem] = (),
    ) -> None:
        self.run = run
        self.writing = Writing(means, run, sink, items)
        self._means = means
        self._adopt = adopt
        self._asking = asking
        self._context = Context(means)
        self._hearing: Hearing | None = None
        self._toolbox: Toolbox | None = None
        self._plan: Plan | None = None
        self._replay: Replay | None = None
        self._finished = False
        self._handed = False
        self._waiting: Page | None = None
        self._compacting = RunCompacting(means, self.writing)
        self._heard = False
        self._truncating = Truncating(means.new_id, lambda: self._heard)

    @property
    def begun(self) -> bool:
        """Whether anything was said."""
        return self.writing.begun

    @property
    def waits_for_agents(self) -> bool:
        """Whether it ended by waiting for what agents that it called ask of people."""
        calls = self.writing.calls.values() if self._waiting is not None else ()
        return any(call.server == AGENTS and call.state == "awaiting_approval" for call in calls)

    async def restore(self) -> None:
        """Go on after what other holders have written, and close what they left open. Raises StoreUnavailable."""
        await self.writing.restore()
        self._finished = self.run.spent.steps > 0
        output = [item.body for item in self.writing.items if item.place == "output"]
        self._handed = any(body.get("type") == "function_call" for body in output)

    async def __call__(self) -> None:
        """Answer, to the end: what goes wrong ends the run as failed. Raises Fenced, StoreUnavailable of the sink, and for a run in the background of anything that was to be read."""
        if self.run.background:
            await self.writing.put(self.writing.beginning())
        error = await self._try()
        if error is None:
            await self._finish()
        elif self.begun:
            await self.fail(error)
        else:
            raise error  # one who waits, and has been told nothing yet, is told by an error

    async def _try(self) -> SwitchgearError | None:
        """Come to the end of the answer; give what went wrong."""
        try:
            await self._answer()
        except Fenced:
            raise
        except StoreUnavailable as error:
            if self.run.background:
                raise  # who takes over when the lease is over tries again: nobody waits for an answer now
            return error
        except SwitchgearError as error:
            return error
        except Exception:
            log.exception("run.crashed", run=self.run.id)
            return InternalError()
        return None

    async def fail(self, error: SwitchgearError) -> None:
        """End the run as failed; one that has just ended stays as it is."""
        if self.writing.ended:
            return
        log.info("run.failed", run=self.run.id, tenant=self.run.tenant, error=error.code)
        await self.writing.end(self.writing.fail(error), "failed")

    async def give_up(self, error: SwitchgearError) -> None:
        """End the run as failed without a look at what is written of it."""
        self.writing.encoder.pass_over(self.run.next_seq)
        await self.fail(error)

    async def cancel(self) -> None:
        """End the run because somebody wants it; one that has just ended stays as it is."""
        if not self.writing.ended:
            await self.writing.end(self.writing.cancel(), "cancelled")

    async def _answer(self) -> None:
        tools, run = self._means.tools, self.run
        planned = tools is not None and self._may_plan()
        if not planned and self._finished:
            return
        # Who asked just now was let in; who asked before may not be any more.
        caller = self._means.known(run.caller) if self._asking is None else run.caller
        replay = await replay_of(self._means, tools, run) if tools is not None else None
        tools, self._replay = (tools, None) if replay is None else (replay.tools, replay)
        with anyio.move_on_after(self._time_left()) as scope:
            asker = caller if replay is None else replay.caller
            plan = await self._find_plan(tools, asker) if planned and tools is not None else None
            if plan is None or tools is None:
                if not self._finished:
                    await self._step(caller)
            else:
                toolbox = self._put_in_charge(plan, tools, caller)
                if run.continues and not run.spent.steps:
                    # Before calls are made that people agreed to: where it was said may be gone by now.
                    await self._context.check(run.tenant, "", run.conversation)
                    await toolbox.carry()
                await self._loop(tools, toolbox, caller)
        if scope.cancelled_caught:
            msg = f"The run took more than its {self._means.settings.run_timeout:g} seconds."
            raise UpstreamTimeout(msg)

    def _start(self, child: Run, plan: Plan | None) -> None:
        """Have a run executed that this one begins; where its client waits, with the headers that it sent."""
        asking = self._asking
        if plan is None or asking is None:
            about = None if plan is None else Asking(received=self._means.clock.monotonic(), plan=plan)
        else:
            about = msgspec.structs.replace(
                asking, received=self._means.clock.monotonic(), call="", ear=None, plan=plan
            )
        self._adopt(child, about)

    def _may_plan(self) -> bool:
        """Whether a run could be one that uses tools of this server: most are seen not to at once."""
        request, asking = self.run.request, self._asking
        return (asking is None or asking.plan is not None) and bool(
            request.get("tools") or self.run.continues or self.run.agent or self.run.model.startswith("agent/")
        )

    async def _find_plan(self, tools: ToolMeans, caller: Caller) -> Plan | None:
        # What is left open of the last answer is for who gave it: who has taken over since, comes after.
        at = in_charge(self.run, self.writing.calls.values(), before=self.writing.steps)
        return await self._patient(tools, caller, at, None if self._asking is None else self._asking.plan)

    async def _patient(self, tools: ToolMeans, caller: Caller, at: InCharge, made: Plan | None = None) -> Plan | None:
        run = self.run
        # Who takes over has often just started, and so have its servers of tools.
        return await patient(
            tools.hub,
            lambda: plan_of(tools, run, caller, at),
            self._means.settings.tools_timeout,
            made=made,
            lost=run.epoch > 1,
        )

    def _put_in_charge(self, plan: Plan, tools: ToolMeans, caller: Caller) -> Toolbox:
        """Go on by a plan: with its model, its tools, its words."""
        self._plan = plan
        replay = self._replay
        self._toolbox = (
            Toolbox(self._means, tools, self.writing, plan, caller, self._start)
            if replay is None
            else ReplayToolbox(self._means, replay, self.writing, plan)
        )
        return self._toolbox

    async def _successor(self, tools: ToolMeans, caller: Caller) -> Plan | None:
        """Give the plan of the agent to which the last answer has handed the run over; None where it has not."""
        run, calls, steps = self.run, self.writing.calls.values(), self.writing.steps
        if not any(call.step == steps for call in transfers(calls)):
            return None
        asker = caller if self._replay is None else self._replay.caller
        plan = await self._patient(tools, asker, in_charge(run, calls))
        return None if plan == self._plan else plan

    async def _loop(self, tools: ToolMeans, toolbox: Toolbox, caller: Caller) -> None:
        """Do what is next until there is nothing more to do, or people have to be asked."""
        writing = self.writing
        while True:
            calls = tuple(writing.calls.values())
            action = fold(State(steps=writing.steps, calls=calls, handed=self._handed, begun=toolbox.begun))
            if isinstance(action, Ask):
                if (plan := await self._successor(tools, caller)) is not None:
                    toolbox = self._put_in_charge(plan, tools, caller)
                await toolbox.ready()
                await self._step(caller)
            elif isinstance(action, Do):
                if toolbox.must_read(action.calls):
                    # What an agent is told, or a memory, is labelled by what the model had read when it asked.
                    await self._gather()
                await toolbox.do(action.calls)
            elif isinstance(action, Question):
                if not toolbox.had_read:
                    # Another holder had the model asked: what it had read is what is written.
                    await self._gather()
                self._waiting = await toolbox.question(action.calls)
                return
            else:
                return

    async def _step(self, caller: Caller) -> None:
        """Ask the model once, and write what it asks for."""
        generation = self._means.current()
        generation.hold()
        self._finished = False
        try:
            prompted = await self._gather()
            call = self._call(prompted, caller)
            await self._ask(generation, prompted, call)
        finally:
            generation.release()
        if not self._finished:
            msg = "The model's answer had no end."
            raise UpstreamBroken(msg)
        hearing, toolbox = self._hearing, self._toolbox
        if hearing is not None and toolbox is not None:
            self._handed = hearing.handed
            if hearing.wanted:
                await toolbox.decide(hearing.wanted, self.writing.settle(toolbox.label))

    async def _gather(self) -> Prompted:
        """Give what the model is given next."""
        writing, plan, toolbox = self.writing, self._plan, self._toolbox
        own = await writing.read_items()
        if plan is None or toolbox is None:
            return await self._context.gather(self.run, own)
        # Calls end in any order, and are given in theirs.
        own = sorted(own, key=in_order)
        prompted = await self._context.gather(self.run, own, plan, steps=writing.steps)
        toolbox.read(prompted.seen, prompted.results)
        if not toolbox.listed:
            await toolbox.list_servers([item.body for item in (*prompted.seen, *own)])
        names = {tool.get("name") for tool in plan.fields.get("tools") or () if tool.get("type") == "function"}
        self._hearing = Hearing(names - plan.granted.keys())
        return prompted

    async def _ask(self, generation: Generation, prompted: Prompted, call: Call) -> None:
        """Ask the model, or what answers in the place of one."""
        plan = self._plan
        ear = None if self._asking is None else self._asking.ear
        self._heard = False
        if (answerer := foretold(plan, prompted.seen)) is not None:
            # It fails by what was done for it: that is told in a response that is kept.
            await self.writing.put(self.writing.beginning())
            if ear is not None:
                ear.asking()
            await answerer(call, self._take)
            return
        route = find_route(generation.routes, call.model, shown=self._shown(generation, call))
        if ear is not None:
            ear.asking()
        if await self._compacting.shorten(prompted, call, route, plan):
            call = self._call(await self._gather(), call.caller)
        await self._truncating.ask(route, call, self._take)

    @staticmethod
    def _shown(generation: Generation, call: Call) -> Callable[..., bool]:
        # A hint must not name what the caller may not use.
        return lambda near: offered(generation.authorizer, call.caller, near.subject)

    def _time_left(self) -> float:
        """Give how many seconds the run may still execute."""
        return max(0.0, self._means.settings.run_timeout - self.run.spent.seconds)

    def _call(self, prompted: Prompted, caller: Caller) -> Call:
        run, asking = self.run, self._asking or Asking(received=self._means.clock.monotonic())
        option = run.request.get("cache")
        first = not self.writing.steps
        return Call(
            id=asking.call if asking.call and first else self._means.new_id("call_"),
            operation="generate",
            dialect=DIALECT,
            model=run.model if self._plan is None else self._plan.model,
            stream=True,
            caller=caller,
            received=asking.received if first else self._means.clock.monotonic(),
            body=prompted.body,
            fields=prompted.fields,
            content=prompted.content,
            session=run.session,
            trace=run.trace,
            headers=asking.headers,
            # Where somebody reads along, somebody waits.
            background=run.background and not run.streams,
            cache=None if option is None else wish_of({}, option),
            opened=True,
            run=run.id,
            prompt=use_of(run.request.get("prompt")),
        )

    async def _take(self, event: Event) -> None:
        writing = self.writing
        if isinstance(event, Started) and self._asking is not None and self._asking.ear is not None:
            self._asking.ear.started(event)
        if isinstance(event, (Started, *ASIDE)):
            return  # an error is still an answer of its own, until there is content
        self._heard = True
        events = (event,) if self._hearing is None else self._hearing.take(event)
        for each in events:
            said = writing.beginning() + writing.encoder.take(each)
            if isinstance(each, Finished):
                self._finished = True
                writing.steps += 1
            await writing.put(said)

    async def _finish(self) -> None:
        """Write what the answer was, and end the run."""
        writing, waiting = self.writing, self._waiting
        items: Sequence[RunItem] = writing.settle(None if self._toolbox is None else self._toolbox.label)
        page = NOTHING if waiting is None else waiting
        page = msgspec.structs.replace(page, items=[*items, *page.items])
        if self.run.conversation and self.run.request.get("store") is not False:
            # The answer is in the journal before it is said in the conversation: what is said there, nobody takes back.
            if page.items:
                await writing.write((), Page(items=page.items))
            await self._say_in_conversation()
            page = msgspec.structs.replace(page, items=())
        said = writing.beginning() + writing.encoder.finish()
        status: RunStatus = "completed" if said[-1][1] == "response.completed" else "incomplete"
        await writing.end(said, status if waiting is None else "waiting", page)

    async def _say_in_conversation(self) -> None:
        run = self.run
        items = sorted(await self.writing.read_items(), key=lambda item: (item.place, item.index))
        said = [
            ConversationItem(id=item.id, place=0, body=item.body, run=run.id, label=self._label(item)) for item in items
        ]
        most = self._means.settings.context_items
        try:
            found = await self._means.conversations.append(run.tenant, run.conversation, said, most=most)
        except SwitchgearError as error:
            log.warning("run.not_in_conversation", run=run.id, param=CONVERSATION, reason=error.message)
            return
        if found is None:
            log.warning("run.not_in_conversation", run=run.id, param=CONVERSATION, reason="it is gone")

    def _label(self, item: RunItem) -> Label | None:
        # In a conversation nobody sees any more that it was the model, and no client, who said it.
        by_model = item.place == "output" and item.label is None and self._means.tools is not None
        return MODEL if by_model else item.label
