"""The stream of a response that is kept: several answers of models, perhaps by several processes, as one stream with one end.

It begins and ends once, its items and events are numbered through, and what was used is added up. A process that takes over
reads the events that are written, and goes on after them; what its predecessor left open it closes as incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Foreign, Json
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.heard import Heard
from gateway.dialects.openai_responses.mcp_items import CALL, LISTING, failed, is_ours
from gateway.dialects.openai_responses.response_object import ResponseDocument
from gateway.dialects.openai_responses.stream_decode import ResponsesEventDecoder
from gateway.dialects.openai_responses.stream_encode import ResponsesEventEncoder

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The events of which one, and only one, ends a stream. A response that was cancelled ends as an incomplete one, for no client
knows another event; its document says `cancelled`."""

ADVANCED = "response.mcp_call.in_progress"
"""Says that a call is being made, and, with fields of ours, how far it is."""

Numbered = tuple[int, str, bytes]
"""An event of the stream: its sequence number, its name, and its data as JSON."""


class StoredEventEncoder(ResponsesEventEncoder):
    """Encodes one stored response. `call` stands for its request: its id and its fields are what documents echo."""

    def __init__(self, call: Call, document: ResponseDocument) -> None:
        super().__init__(call, document)
        self._heard: dict[int, Heard] = {}
        self._step: list[int] = []
        self._finished: Finished | None = None
        self._calls: dict[str, tuple[int, dict[str, Json]]] = {}
        self.usage: Usage | None = None
        self.abandoned: list[tuple[int, dict[str, Json]]] = []

    @property
    def begun(self) -> bool:
        """Whether the beginning has been said."""
        return self._started

    def begin(self) -> list[Numbered]:
        """Give the beginning of the stream."""
        self._started = True
        running = {"response": self._document.running()}
        if not self._document.background:
            return self._cut(self._write("response.created", running) + self._write("response.in_progress", running))
        queued = {"response": self._document.running(status="queued")}
        waiting = self._write("response.created", queued) + self._write("response.queued", queued)
        return self._cut(waiting + self._write("response.in_progress", running))

    def take(self, event: Event) -> list[Numbered]:
        """Give what a client reads for one event of a model's answer. Its beginning and its end are not those of the response."""
        if isinstance(event, Started):
            return []
        if isinstance(event, Finished):
            self._finished = event
            self.usage = _sum(self.usage, event.usage)
            return self._cut(self._release(cut_off=self._is_cut_off(event)))
        self._hear(event)
        return self._cut(self.encode(event))

    def end_step(self) -> list[tuple[int, dict[str, Json]]]:
        """Give the items of the answer that has finished, each with its place; what follows is another answer."""
        items = [(place, self._output[place]) for place in self._step]
        self._step, self._heard = [], {}
        return items

    @property
    def calls(self) -> Mapping[str, dict[str, Json]]:
        """The calls of tools that are shown and not ended, by id, as they were shown."""
        return {name: body for name, (_, body) in self._calls.items()}

    def begin_call(self, body: dict[str, Json]) -> list[Numbered]:
        """Show a call of a tool that is being made (see `mcp_items`). One that is shown already gives nothing."""
        name = body["id"]
        if name in self._calls:
            return []
        place = self._next_place()
        self._calls[name] = (place, body)
        where: dict[str, Json] = {"item_id": name, "output_index": place}
        arguments = body["arguments"]
        return self._cut(
            self._write("response.output_item.added", {"output_index": place, "item": {**body, "arguments": ""}})
            + self._write(ADVANCED, where)
            + self._write("response.mcp_call_arguments.delta", {**where, "delta": arguments})
            + self._write("response.mcp_call_arguments.done", {**where, "arguments": arguments})
        )

    def advance_call(self, name: str, said: Mapping[str, Json]) -> list[Numbered]:
        """Show how far a call is that is being made: it is in progress still, with more fields than the API has. Nothing where it has ended."""
        if name not in self._calls:
            return []
        return self._cut(self._write(ADVANCED, {"item_id": name, "output_index": self._calls[name][0], **said}))

    def end_call(self, body: dict[str, Json]) -> tuple[int, list[Numbered]]:
        """Show what came of a call, which is shown first where it was not; give its place, too."""
        said = self.begin_call(body if body["status"] == "in_progress" else {**body, **_UNDER_WAY})
        place, _ = self._calls.pop(body["id"])
        self._output[place] = body
        how = "completed" if body["status"] == "completed" else "failed"
        where: dict[str, Json] = {"item_id": body["id"], "output_index": place}
        return place, said + self._cut(
            self._write(f"response.mcp_call.{how}", where)
            + self._write("response.output_item.done", {"output_index": place, "item": body})
        )

    def show(self, body: dict[str, Json]) -> tuple[int, list[Numbered]]:
        """Show an item that is whole: the tools of a server, or a question to people; give its place, too."""
        place = self._next_place()
        self._output[place] = body
        where: dict[str, Json] = {"item_id": body["id"], "output_index": place}
        data = self._write("response.output_item.added", {"output_index": place, "item": body})
        if body["type"] == LISTING:
            data += self._write("response.mcp_list_tools.in_progress", where)
            how = "failed" if body.get("error") else "completed"
            data += self._write(f"response.mcp_list_tools.{how}", where)
        data += self._write("response.output_item.done", {"output_index": place, "item": body})
        return place, self._cut(data)

    def _next_place(self) -> int:
        self._places += 1
        return self._places - 1

    def finish(self) -> list[Numbered]:
        """Give the end of a response whose last answer has finished."""
        finished = self._finished or Finished()
        return self._cut(self._finish(msgspec.structs.replace(finished, usage=self.usage)))

    def break_off(self) -> list[Numbered]:
        """Close what is open as incomplete: the answer that said it will not be heard to its end."""
        data = self._release(cut_off=True)
        # Calls of tools stay open: whoever goes on ends them.
        for index, heard in sorted(self._heard.items()):
            if index in self._open:
                self._held = ItemFinished(index=index, item=heard.completed(heard.item))
                data += self._release(cut_off=True)
        self.end_step()
        return self._cut(data)

    def fail(self, error: SwitchgearError) -> list[Numbered]:
        """Give the end of a response that failed."""
        before = self.break_off() + self._abandon()
        document = self._document.failed(error, self._so_far(), self.usage)
        return before + self._cut(self._write("response.failed", {"response": document}))

    def cancel(self) -> list[Numbered]:
        """Give the end of a response that somebody ended."""
        before = self.break_off() + self._abandon()
        document = self._document.cancelled(self._so_far(), self.usage)
        return before + self._cut(self._write("response.incomplete", {"response": document}))

    def _abandon(self) -> list[Numbered]:
        """Close the calls that nobody will end any more."""
        said: list[Numbered] = []
        for _, begun in tuple(self._calls.values()):
            body = failed(begun, "The response ended before the call did.", status="incomplete")
            place, ended = self.end_call(body)
            said += ended
            self.abandoned.append((place, body))
        return said

    def restore(self, written: Iterable[tuple[str, bytes]], used: Usage | None) -> None:
        """Go on after events (name, data) that are written already, from the first on. Raises UpstreamBroken for what are none."""
        decoder, count, done, arguments = ResponsesEventDecoder(), 0, dict[int, Json](), dict[str, Json]()
        for name, data in written:
            count += 1
            for event in decoder.feed(name, data):
                self.take(event)
            if name == "response.output_item.done":
                fields = msgspec.json.decode(data)
                done[fields["output_index"]] = fields["item"]
                self._release(cut_off=False)
            elif name == "response.mcp_call_arguments.done":
                fields = msgspec.json.decode(data)
                arguments[fields["item_id"]] = fields["arguments"]
        self._take_back_calls(arguments)
        self._started = count > 0
        self._output = done  # as it was said, be it incomplete
        self._sequence, self.usage, self._finished = count, used, None

    def _take_back_calls(self, arguments: Mapping[str, Json]) -> None:
        """Find the calls of tools that are shown and not ended: they are no items of a model that broke off."""
        for index, heard in tuple(self._heard.items()):
            raw = heard.item.raw if isinstance(heard.item, Foreign) else {}
            if index in self._open and raw.get("type") == CALL and is_ours(raw.get("id")):
                del self._heard[index]
                self._calls[raw["id"]] = (
                    self._open.pop(index).place,
                    {**raw, "arguments": arguments.get(raw["id"], "")},
                )

    def pass_over(self, count: int) -> None:
        """Go on after so many events, of which nothing more is known."""
        self._started = count > 0
        self._sequence = count

    def _hear(self, event: Event) -> None:
        if isinstance(event, ItemStarted):
            self._heard[event.index] = Heard(event.index, event.item)
            return
        heard = self._heard.get(event.index) if isinstance(event, _DELTAS) else None
        if heard is None:
            return
        if isinstance(event, TextDelta):
            heard.more("text", event.part, event.text, None)
        elif isinstance(event, RefusalDelta):
            heard.more("refusal", event.part, event.text, None)
        elif isinstance(event, ReasoningDelta):
            heard.more("summary" if event.kind == "summary" else "thinking", event.part, event.text, None)
        elif isinstance(event, ArgumentsDelta):
            heard.more("arguments", 0, event.text, None)

    def _release(self, *, cut_off: bool) -> bytes:
        held = self._held
        if held is not None:
            self._step.append(self._open[held.index].place)
            self._heard.pop(held.index, None)
        return super()._release(cut_off=cut_off)

    def _cut(self, data: bytes) -> list[Numbered]:
        """Give whole server-sent events as what they are made of."""
        blocks = data.split(b"\n\n")[:-1]
        first = self._sequence - len(blocks)
        events = []
        for number, block in enumerate(blocks, first):
            name, _, said = block.partition(b"\ndata: ")
            events.append((number, name[_NAME:].decode("ascii"), said))
        return events


def _sum(before: Usage | None, usage: Usage | None) -> Usage | None:
    if before is None or usage is None:
        return before or usage
    counted = {
        name: getattr(before, name) + getattr(usage, name)
        for name in ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    }
    return Usage(**counted, estimated=before.estimated or usage.estimated)


_UNDER_WAY: dict[str, Json] = {"status": "in_progress", "output": None, "error": None}
_DELTAS = (TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta)
_NAME = len(b"event: ")
