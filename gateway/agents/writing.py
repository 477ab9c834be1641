"""What is written of one run while it is executed: its stream, its items, its calls of tools, what it has used. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import anyio
import msgspec

from gateway.agents.means import Means
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.response_object import ResponseDocument, Stored
from gateway.dialects.openai_responses.stored_encode import Numbered, StoredEventEncoder
from gateway.stores.runs import Entry, Run, RunEvent, RunItem, RunStatus, Spent
from gateway.stores.tool_calls import Approval, Notice, ToolCall

DIALECT: Final = "openai_responses"
_PAGE: Final = 500
_OPEN: Final = ("planned", "awaiting_approval", "started")


class Sink(Protocol):
    """Takes what a run says."""

    async def put(self, events: Sequence[RunEvent]) -> None:
        """Take events, in order."""
        ...

    async def write(self, entry: Entry) -> None:
        """Write an entry after all events so far; its own events are given out when it is written."""
        ...


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs together, besides events: items that are whole, calls as they are now, approvals and what follows from them; results that are `kept` whole."""

    items: Sequence[RunItem] = ()
    calls: Sequence[ToolCall] = ()
    approvals: Sequence[Approval] = ()
    notices: Sequence[Notice] = ()
    consume: Sequence[tuple[str, str, str]] = ()
    kept: Sequence[tuple[str, bytes]] = ()


NOTHING: Final = Page()


class Writing:
    """One run's. `items` are those of its input where they are at hand; `steps` the answers of its model; `calls` are by id.

    What is said has its numbers when it is made, so whoever makes something to be written holds the `turn` until it is handed over.
    """

    def __init__(self, means: Means, run: Run, sink: Sink, items: Sequence[RunItem]) -> None:
        self.run = run
        self.encoder = encoder_of(run, means.clock.wall)
        self.turn = anyio.Lock()
        self.items = list(items)
        self._read = bool(items)
        self.calls: dict[str, ToolCall] = {}
        self.steps = run.spent.steps
        self.tool_calls = run.spent.tool_calls
        self.nano = run.spent.nano
        self.below = run.spent.below
        self.begun = False
        self.ended = False
        self._means = means
        self._sink = sink
        self._began = means.clock.monotonic()

    async def restore(self) -> None:
        """Go on after what other holders have written, and close what they left open. Raises StoreUnavailable."""
        means, run = self._means, self.run
        written: list[tuple[str, bytes]] = []
        while len(written) < run.next_seq:
            page = await means.runs.events(run.id, after=len(written) - 1, limit=_PAGE)
            if not page:
                break
            written += [(event.name, event.data) for event in page]
        spent = run.spent
        used = Usage(input=spent.input_tokens, output=spent.output_tokens, estimated=True) if spent.steps else None
        self.encoder.restore(written, used)
        self.items, self._read = list(await means.runs.items(run.id)), True
        if means.tools is not None:
            self.calls = {call.id: call for call in await means.tools.calls.calls(run.id)}
        self.begun = run.next_seq > 0
        await self.put(self.encoder.break_off())

    async def read_items(self) -> list[RunItem]:
        """Give the run's items so far."""
        if not self._read:
            before = await self._means.runs.items(self.run.id, "input")
            self.items, self._read = [*before, *self.items], True
        return self.items

    def beginning(self) -> list[Numbered]:
        """Give the beginning of the stream where it has not been said."""
        return [] if self.encoder.begun else self.encoder.begin()

    async def put(self, said: Sequence[Numbered]) -> None:
        """Say something, which is written a little later."""
        if said:
            await self._sink.put(_events(said))
            self.begun = True

    async def write(self, said: Sequence[Numbered], page: Page = NOTHING) -> None:
        """Say and write what belongs together; when this returns it is in the journal."""
        entry = Entry(
            events=_events(said),
            items=page.items,
            spent=self.spend(),
            calls=page.calls,
            approvals=page.approvals,
            notices=page.notices,
            consume=page.consume,
            kept=page.kept,
        )
        try:
            await self._sink.write(entry)
        except asyncio.CancelledError as cancelled:
            # A write that was begun is done to its end.
            if cancelled.__cause__ is None:
                self._remember(page)
            raise
        self.begun = self.begun or bool(said)
        self._remember(page)

    async def end(self, said: Sequence[Numbered], status: RunStatus, page: Page = NOTHING) -> None:
        """Write the end; `said` ends with the terminal event. Calls that are still open end with the run, unless it waits."""
        document: dict[str, Json] = msgspec.json.decode(said[-1][2])["response"]
        items, now = list(page.items), self._means.clock.wall()
        items += [self.item(place, body) for place, body in self.encoder.abandoned]
        calls = list(page.calls)
        if status != "waiting":
            known = {call.id for call in calls}
            left = [call for call in self.calls.values() if call.state in _OPEN and call.id not in known]
            calls += [_left(call, now) for call in left]
        entry = Entry(
            events=_events(said),
            items=items,
            spent=self.spend(),
            status=status,
            response=document,
            ended_at=now,
            calls=calls,
            approvals=page.approvals,
            notices=page.notices,
        )
        try:
            await self._sink.write(entry)
        except asyncio.CancelledError as cancelled:
            self.ended = cancelled.__cause__ is None
            raise
        self.ended = True
        self._means.counts.ended.add((status,))

    def settle(self, label: Label | None = None) -> list[RunItem]:
        """Give the items of the answer that has finished as the run's output; none where another holder wrote them."""
        items = [self.item(place, body, label) for place, body in self.encoder.end_step()]
        self.items += items
        return items

    def item(
        self, place: int, body: dict[str, Json], label: Label | None = None, call: ToolCall | None = None
    ) -> RunItem:
        """Give an item of the run's output; `call` is the call that it is about, if it is."""
        name = str(body.get("id") or f"item_{self.run.id}_{place}")
        marks = {} if call is None else call.marks
        return RunItem(id=name, place="output", index=place, body=body, label=label, marks=marks)

    def spend(self) -> Spent:
        """Give what the run has used by now."""
        usage = self.encoder.usage or Usage()
        self.nano += self._means.costs.take(self.run.id)
        return msgspec.structs.replace(
            self.run.spent,
            steps=self.steps,
            tool_calls=self.tool_calls,
            input_tokens=usage.input_total,
            output_tokens=usage.output_total,
            nano=self.nano,
            below=self.below,
            seconds=self.run.spent.seconds + self._means.clock.monotonic() - self._began,
        )

    def fail(self, error: SwitchgearError) -> list[Numbered]:
        """Give the end of a run that failed."""
        return self.beginning() + self.encoder.fail(error)

    def cancel(self) -> list[Numbered]:
        """Give the end of a run that somebody ended."""
        return self.beginning() + self.encoder.cancel()

    def _remember(self, page: Page) -> None:
        self.calls.update({call.id: call for call in page.calls})
        known = {item.id for item in self.items} if page.items else ()
        self.items += [item for item in page.items if item.id not in known]


def _left(call: ToolCall, now: float) -> ToolCall:
    """Give a call that its run has not waited for: whether one that was begun was done is not known."""
    state = "unknown" if call.state == "started" and call.effect == "once" else "cancelled"
    return msgspec.structs.replace(call, state=state, ended_at=now)


def _events(said: Sequence[Numbered]) -> list[RunEvent]:
    return [RunEvent(seq=seq, name=name, data=data) for seq, name, data in said]


def document_of(run: Run, wall: Callable[[], float]) -> ResponseDocument:
    """Give what writes the documents of a run; `wall` gives the time."""
    stored = Stored(
        id=run.id,
        created=int(run.created_at),
        model=run.model,
        background=run.background,
        previous=run.previous,
        conversation=run.conversation,
        kept=run.request.get("store") is not False,
    )
    return ResponseDocument(run.request, run.id, stored, wall)


def encoder_of(run: Run, wall: Callable[[], float]) -> StoredEventEncoder:
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
    return StoredEventEncoder(standing_for, document_of(run, wall))
