"""The hub's events to a stream for an Anthropic client.

message_start, then blocks of which one is open at a time, then message_delta (stop reason and all token counts, because the
input's are known only now), then message_stop. The hub's items may overlap: a message is left when another item starts and
gets a further block if more text comes; any other item keeps its turn to the end, and the rest waits.
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
    Verbatim,
)
from gateway.core.items import Item, Json, Message, Reasoning, ToolCall
from gateway.dialects.answer_ids import answer_id
from gateway.dialects.anthropic_messages.answers import own_detail, stop_reason
from gateway.dialects.anthropic_messages.block_writers import (
    TEXT_TAIL,
    Blocks,
    CallWriter,
    ForeignWriter,
    TextWriter,
    ThinkingWriter,
    Writer,
    encode_json,
)
from gateway.dialects.anthropic_messages.errors import encode_error
from gateway.dialects.anthropic_messages.usage import encode_usage
from gateway.dialects.sse import event as sse_event

Raw = dict[str, Json]
ItemEvent = ItemStarted | TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta | ItemFinished

_MESSAGE_STOP = sse_event(b'{"type":"message_stop"}', "message_stop")
_BESIDE_DELTA = frozenset({"context_management", "input_transformations"})
"""Fields of a message that stand in message_delta itself; the others stand in its `delta`."""

_encode_text = msgspec.json.Encoder().encode


class AnthropicEventEncoder:
    """An EventEncoder for one answer."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks = Blocks()
        self._writers: dict[int, Writer] = {}
        self._current: int | None = None
        self._waiting: dict[int, list[ItemEvent]] = {}
        self._calls = False
        self._refuses = False
        # What a delta must match to be more of the text block that is open, and what then stands before its text.
        self._text_index = -1
        self._text_part = -1
        self._text_head = b""

    def encode(self, event: Event) -> bytes:
        """Give the server-sent events for one event; b"" where there is nothing to say (yet)."""
        if type(event) is TextDelta and event.index == self._text_index and event.part == self._text_part:
            return self._text_head + _encode_text(event.text) + TEXT_TAIL
        if isinstance(event, ItemEvent):
            data = self._item(event)
            self._aim()
            return data
        if isinstance(event, Started):
            return _message_start(event, self._call)
        if isinstance(event, Finished):
            return self._end(event)
        return event.data if isinstance(event, Verbatim) else b""

    def error(self, error: SwitchgearError) -> bytes:
        """Give the terminal error event."""
        return sse_event(encode_error(error), "error")

    def _aim(self) -> None:
        writer = self._writers.get(self._current) if self._current is not None else None
        if isinstance(writer, TextWriter) and writer.part >= 0 and self._current is not None:
            self._text_index, self._text_part = self._current, writer.part
            self._text_head = self._blocks.text_head()
        else:
            self._text_index = -1

    def _item(self, event: ItemEvent) -> bytes:
        index = event.index
        if index in self._waiting:
            self._waiting[index].append(event)
            return self._next() if self._current is None else b""
        if index == self._current:
            return self._apply(event) + (self._next() if self._current is None else b"")
        if not isinstance(event, ItemStarted):
            return b""
        if self._current is not None:
            writer = self._writers[self._current]
            self._waiting[index] = [event]
            if not isinstance(writer, TextWriter):
                return b""
            left = writer.leave()
            self._waiting[self._current] = []
            self._current = None
            # Items that wait already were first.
            return left + self._next()
        return self._apply(event)

    def _next(self) -> bytes:
        """Give the turn to the first item that has something to say, until one stays open."""
        pieces: list[bytes] = []
        while self._current is None:
            index = next((index for index, events in self._waiting.items() if events), None)
            if index is None:
                break
            self._current = index
            pieces += [self._apply(event) for event in self._waiting.pop(index)]
        return b"".join(pieces)

    def _apply(self, event: ItemEvent) -> bytes:
        """Write an event of the item whose turn it is."""
        if isinstance(event, ItemStarted):
            self._current = event.index
            return self._begin(event.index, event.item)
        if isinstance(event, ItemFinished):
            self._current = None
            return self._writers.pop(event.index).finish(event.item)
        self._refuses = self._refuses or isinstance(event, RefusalDelta)
        return self._writers[event.index].write(event)

    def _begin(self, index: int, item: Item) -> bytes:
        if isinstance(item, ToolCall):
            self._calls = True
            call = CallWriter(self._blocks, item)
            self._writers[index] = call
            return call.opening
        if isinstance(item, Message):
            self._writers[index] = TextWriter(self._blocks)
        elif isinstance(item, Reasoning):
            self._writers[index] = ThinkingWriter(self._blocks)
        else:
            self._writers[index] = ForeignWriter(self._blocks)
        return b""

    def _end(self, end: Finished) -> bytes:
        # Whoever broke the promise to finish every item, the client's stream stays well-formed.
        pieces = [self._blocks.stop()]
        self._current = None
        while self._waiting and any(self._waiting.values()):
            pieces += [self._next(), self._blocks.stop()]
            self._current = None
        detail = own_detail(end)
        more: Raw = detail.get("message") or {}
        body: Raw = {
            "type": "message_delta",
            "delta": {
                "stop_reason": stop_reason(end, calls=self._calls, refuses=self._refuses),
                "stop_sequence": end.stop_sequence,
                **{name: value for name, value in more.items() if name not in _BESIDE_DELTA},
            },
            "usage": encode_usage(end.usage, detail.get("usage")),
            **{name: value for name, value in more.items() if name in _BESIDE_DELTA},
        }
        return b"".join(pieces) + sse_event(encode_json(body), "message_delta") + _MESSAGE_STOP


def _message_start(event: Started, call: Call) -> bytes:
    message: Raw = {
        "id": answer_id(event.id, call.id, "msg_"),
        "type": "message",
        "role": "assistant",
        "model": event.model or call.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": encode_usage(None),
    }
    return sse_event(encode_json({"type": "message_start", "message": message}), "message_start")
