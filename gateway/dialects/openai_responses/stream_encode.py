"""The hub's events to the API's server-sent events: a state machine whose every event has the next `sequence_number`.

Items may overlap; the parts of one item come one after another. An item's end is held back until the next event shows whether
it ended or was cut off: a client runs a function call as soon as it reads that the call is completed.
"""

from __future__ import annotations

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
from gateway.core.items import Json
from gateway.dialects.openai_errors import about_output
from gateway.dialects.openai_responses.answers import item_name, refuses
from gateway.dialects.openai_responses.encode_items import output_item
from gateway.dialects.openai_responses.response_object import (
    ResponseDocument,
    failure_code,
    incomplete_reason,
    request_of,
)
from gateway.dialects.openai_responses.stream_items import OpenItem, Pieces, open_item

_encode = msgspec.json.Encoder().encode


class ResponsesEventEncoder:
    """Encodes one answer. `document` is there for one that writes another document than a call's own."""

    def __init__(self, call: Call, document: ResponseDocument | None = None) -> None:
        self._document = document or ResponseDocument(request_of(call), call.id)
        self._sequence = 0
        self._started = False
        self._ended = False
        self._open: dict[int, OpenItem] = {}
        self._refuses = False
        self._held: ItemFinished | None = None
        self._places = 0
        self._output: dict[int, Json] = {}

    def encode(self, event: Event) -> bytes:
        """Give the server-sent events, whole, for one event; b"" where there is nothing to say."""
        if isinstance(event, TextDelta) and self._held is None:
            if (item := self._open.get(event.index)) is None:
                return b""
            if event.logprobs is None and (fast := item.text_prefix(event.part)) is not None:
                sequence = self._sequence
                self._sequence = sequence + 1
                return b"%b%d%b%b%b" % (_TEXT_DELTA, sequence, fast, _encode(event.text), _TEXT_DELTA_END)
        return self._release(cut_off=isinstance(event, Finished) and self._is_cut_off(event)) + self._say(event)

    def error(self, error: SwitchgearError) -> bytes:
        """Give the stream's terminal event: `response.failed`, or a bare `error` when no response had begun."""
        if self._ended:
            return b""
        if not self._started:
            self._ended = True
            said = {"code": failure_code(error), "message": error.message, "param": error.param}
            return self._write("error", {**said, **about_output(error)})
        before = self._release(cut_off=True)
        self._ended = True
        return before + self._write("response.failed", {"response": self._document.failed(error, self._so_far())})

    def _is_cut_off(self, finished: Finished) -> bool:
        held = self._held is not None and refuses(self._held.item)
        return incomplete_reason(finished, refuses=held or self._refuses) is not None

    def _say(self, event: Event) -> bytes:
        if isinstance(event, (TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta)):
            item = self._open.get(event.index)
            return b"" if item is None else self._write_all(item.delta(event))
        if isinstance(event, ItemStarted):
            return self._start_item(event)
        if isinstance(event, ItemFinished):
            if event.index in self._open:
                self._held = event
            return b""
        if isinstance(event, Started):
            return self._start(event)
        return self._finish(event) if isinstance(event, Finished) else b""

    def _start(self, started: Started) -> bytes:
        self._started = True
        self._document.start(started)
        running = {"response": self._document.running()}
        return self._write("response.created", running) + self._write("response.in_progress", running)

    def _start_item(self, event: ItemStarted) -> bytes:
        place = self._places
        name = item_name(event.item, self._document.id, place)
        wire = output_item(event.item, name, "in_progress")
        if wire is None:
            return b""
        self._places += 1
        self._open[event.index] = open_item(event.item, name, place)
        return self._write("response.output_item.added", {"output_index": place, "item": wire})

    def _release(self, *, cut_off: bool) -> bytes:
        """Say that the held item has ended."""
        if (event := self._held) is None:
            return b""
        self._held = None
        self._refuses = self._refuses or refuses(event.item)
        item = self._open.pop(event.index)
        wire = output_item(event.item, item.name, "incomplete" if cut_off else "completed")
        self._output[item.place] = wire
        done = self._write_all(item.close(event.item))
        return done + self._write("response.output_item.done", {"output_index": item.place, "item": wire})

    def _finish(self, finished: Finished) -> bytes:
        document = self._document.finished(finished, self._so_far())
        self._ended = True
        return self._write("response." + document["status"], {"response": document})

    def _so_far(self) -> list[Json]:
        return [self._output[place] for place in sorted(self._output)]

    def _write_all(self, pieces: Pieces) -> bytes:
        return b"".join([self._write(kind, fields) for kind, fields in pieces])

    def _write(self, kind: str, fields: dict[str, Json]) -> bytes:
        data = _encode({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


_TEXT_DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":'
_TEXT_DELTA_END = b',"logprobs":[]}\n\n'
