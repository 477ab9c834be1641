"""Answers a run: asks its model through the pipeline, and makes one stream of what comes back. It knows no HTTP and no task.

Where events go is a Sink's business: a background run's go to the journal, a foreground run's to its client as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import anyio
import msgspec
import structlog

from gateway.agents.context import CONVERSATION, Context, Prompted
from gateway.agents.desk import Ear
from gateway.agents.means import Generation, Means
from gateway.cache.wishes import wish_of
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import InternalError, SwitchgearError, UpstreamBroken, UpstreamTimeout
from gateway.core.events import ASIDE, Event, Finished, Started
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.response_object import ResponseDocument, Stored
from gateway.dialects.openai_responses.stored_encode import Numbered, StoredEventEncoder
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.stores.conversations import ConversationItem
from gateway.stores.runs import Entry, Run, RunEvent, RunItem, RunStatus, Spent

log = structlog.get_logger()

DIALECT: Final = "openai_responses"
_PAGE: Final = 500


class Sink(Protocol):
    """Takes what a run says."""

    async def put(self, events: Sequence[RunEvent]) -> None:
        """Take events, in order."""
        ...

    async def write(self, entry: Entry) -> None:
        """Write an entry after all events so far; its own events are given out when it is written."""
        ...


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request only while it is there: not kept with the run. `call` is the id of the first call."""

    received: float
    call: str = ""
    ear: Ear | None = None
    session: str | None = None
    trace: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


def document_of(run: Run) -> ResponseDocument:
    """Give what writes the documents of a run."""
    stored = Stored(
        id=run.id,
        created=int(run.created_at),
        model=run.model,
        background=run.background,
        previous=run.previous,
        conversation=run.conversation,
        kept=run.request.get("store") is not False,
    )
    return ResponseDocument(run.request, run.id, stored)


class Answering:
    """One run, answered in this process. `items` are those of its input where they are at hand, else they are read."""

    def __init__(
        self, means: Means, run: Run, sink: Sink, asking: Asking | None = None, items: Sequence[RunItem] = ()
    ) -> None:
        self.run = run
        self._means = means
        self._sink = sink
        self._asking = asking
        self._items = list(items)
        self._context = Context(means)
        self._encoder = encoder_of(run)
        self._output = 0
        self._steps = run.spent.steps
        self._began = means.clock.monotonic()
        self._finished = False
        self.begun = False

    async def restore(self) -> None:
        """Go on after what other holders have written, and close what they left open. Raises StoreUnavailable."""
        runs, run = self._means.runs, self.run
        written: list[tuple[str, bytes]] = []
        while len(written) < run.next_seq:
            page = await runs.events(run.id, after=len(written) - 1, limit=_PAGE)
            if not page:
                break
            written += [(event.name, event.data) for event in page]
        spent = run.spent
        used = Usage(input=spent.input_tokens, output=spent.output_tokens, estimated=True) if spent.steps else None
        self._encoder.restore(written, used)
        self._items = list(await runs.items(run.id))
        self._output = sum(item.place == "output" for item in self._items)
        self._finished = spent.steps > 0
        self.begun = run.next_seq > 0
        await self._put(self._encoder.break_off())

    async def __call__(self) -> None:
        """Answer, to the end: what goes wrong ends the run as failed. Raises Fenced and StoreUnavailable of the sink."""
        if self.run.background:
            await self._put(self._begun())
        error = None if self._finished else await self._try_step()
        if error is None:
            await self._finish()
        elif self.begun:
            await self.fail(error)
        else:
            raise error  # one who waits, and has been told nothing yet, is told by an error

    async def _try_step(self) -> SwitchgearError | None:
        """Ask the model once; give what went wrong."""
        try:
            await self._step()
        except SwitchgearError as error:
            return error
        except Exception:
            log.exception("run.crashed", run=self.run.id)
            return InternalError()
        return None

    async def fail(self, error: SwitchgearError) -> None:
        """End the run as failed."""
        log.info("run.failed", run=self.run.id, tenant=self.run.tenant, error=error.code)
        await self._end(self._begun() + self._encoder.fail(error), "failed")

    async def give_up(self, error: SwitchgearError) -> None:
        """End the run as failed without a look at what is written of it."""
        self._encoder.pass_over(self.run.next_seq)
        await self.fail(error)

    async def cancel(self) -> None:
        """End the run because somebody wants it."""
        await self._end(self._begun() + self._encoder.cancel(), "cancelled")

    async def _step(self) -> None:
        means, run = self._means, self.run
        # Who asked just now was let in; who asked before may not be any more.
        caller = means.known(run.caller) if self._asking is None else run.caller
        generation = means.current()
        generation.hold()
        try:
            prompted = await self._context.gather(run, self._items or await self._read_items())
            call = self._call(prompted, caller)
            route = find_route(generation.routes, run.model, shown=self._shown(generation, call))
            if self._asking is not None and self._asking.ear is not None:
                self._asking.ear.asking()
            with anyio.move_on_after(self._time_left()) as scope:
                await route.responder(call, self._take)
        finally:
            generation.release()
        if scope.cancelled_caught:
            msg = f"The run took more than its {means.settings.run_timeout:g} seconds."
            raise UpstreamTimeout(msg)
        if not self._finished:
            msg = "The model's answer had no end."
            raise UpstreamBroken(msg)

    @staticmethod
    def _shown(generation: Generation, call: Call) -> Callable[..., bool]:
        # A hint must not name what the caller may not use.
        return lambda near: offered(generation.authorizer, call.caller, near.subject)

    def _time_left(self) -> float:
        """Give how many seconds the run may still execute."""
        return max(0.0, self._means.settings.run_timeout - self.run.spent.seconds)

    async def _read_items(self) -> list[RunItem]:
        self._items = list(await self._means.runs.items(self.run.id))
        return self._items

    def _call(self, prompted: Prompted, caller: Caller) -> Call:
        run, asking = self.run, self._asking or Asking(received=self._means.clock.monotonic())
        option = run.request.get("cache")
        return Call(
            id=asking.call or self._means.new_id("call_"),
            operation="generate",
            dialect=DIALECT,
            model=run.model,
            stream=True,
            caller=caller,
            received=asking.received,
            body=prompted.body,
            fields=prompted.fields,
            content=prompted.content,
            session=asking.session,
            trace=asking.trace,
            headers=asking.headers,
            # Where somebody reads along, somebody waits.
            background=run.background and not run.streams,
            cache=None if option is None else wish_of({}, option),
            opened=True,
            run=run.id,
        )

    async def _take(self, event: Event) -> None:
        if isinstance(event, Started) and self._asking is not None and self._asking.ear is not None:
            self._asking.ear.started(event)
        if isinstance(event, (Started, *ASIDE)):
            return  # an error is still an answer of its own, until there is content
        said = self._begun() + self._encoder.take(event)
        if isinstance(event, Finished):
            self._finished = True
            self._steps += 1
        await self._put(said)

    def _begun(self) -> list[Numbered]:
        return [] if self._encoder.begun else self._encoder.begin()

    async def _put(self, said: Sequence[Numbered]) -> None:
        if said:
            await self._sink.put(_events(said))
            self.begun = True

    async def _finish(self) -> None:
        """Write what the answer was, and end the run."""
        items = self._settle()
        if self.run.conversation and self.run.request.get("store") is not False:
            # The answer is in the journal before it is said in the conversation: what is said there, nobody takes back.
            if items:
                await self._sink.write(Entry(items=items, spent=self._spend()))
            await self._say_in_conversation()
            items = ()
        said = self._begun() + self._encoder.finish()
        status: RunStatus = "completed" if said[-1][1] == "response.completed" else "incomplete"
        await self._end(said, status, items)

    def _settle(self) -> Sequence[RunItem]:
        """Give the items of the answer that has finished as the run's output; none where another holder wrote them."""
        items = [
            RunItem(id=str(body.get("id") or f"item_{self.run.id}_{number}"), place="output", index=number, body=body)
            for number, body in enumerate(self._encoder.end_step(), self._output)
        ]
        self._output += len(items)
        self._items += items
        return items

    def _spend(self) -> Spent:
        """Give what the run has used by now."""
        usage = self._encoder.usage or Usage()
        return msgspec.structs.replace(
            self.run.spent,
            steps=self._steps,
            input_tokens=usage.input_total,
            output_tokens=usage.output_total,
            seconds=self.run.spent.seconds + self._means.clock.monotonic() - self._began,
        )

    async def _say_in_conversation(self) -> None:
        run = self.run
        items = self._items or await self._read_items()
        said = [ConversationItem(id=item.id, place=0, body=item.body, run=run.id) for item in items]
        most = self._means.settings.context_items
        try:
            found = await self._means.conversations.append(run.tenant, run.conversation, said, most=most)
        except SwitchgearError as error:
            log.warning("run.not_in_conversation", run=run.id, param=CONVERSATION, reason=error.message)
            return
        if found is None:
            log.warning("run.not_in_conversation", run=run.id, param=CONVERSATION, reason="it is gone")

    async def _end(self, said: Sequence[Numbered], status: RunStatus, items: Sequence[RunItem] = ()) -> None:
        document: dict[str, Json] = msgspec.json.decode(said[-1][2])["response"]
        await self._sink.write(
            Entry(
                events=_events(said),
                items=items,
                spent=self._spend(),
                status=status,
                response=document,
                ended_at=self._means.clock.wall(),
            )
        )
        self._means.counts.ended.add((status,))


def _events(said: Sequence[Numbered]) -> list[RunEvent]:
    return [RunEvent(seq=seq, name=name, data=data) for seq, name, data in said]


def encoder_of(run: Run) -> StoredEventEncoder:
    """Give what writes the stream of a run. What it reads of a call is the run's id and fields."""
    standing_for = Call(
        id=run.id,
        operation="generate",
        dialect=DIALECT,
        model=run.model,
        stream=True,
        caller=run.caller,
        received=0.0,
        body=b"",
        fields=run.request,
    )
    return StoredEventEncoder(standing_for, document_of(run))
