"""An upstream's stream of Response events to the hub's events.

What upstreams do is less regular than what the API promises: items that end without having begun, deltas left out, ids that
change, a final document that holds more than was streamed. Items are told apart by `output_index`; every text that the end of
an item, or of the answer, has beyond the deltas is given as one more delta. Unknown events give nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.answer import skeleton
from gateway.core.errors import UpstreamBroken
from gateway.core.events import (
    ArgumentsDelta,
    Event,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from gateway.core.items import Item, Json, Message, Reasoning
from gateway.dialects.openai_responses.answers import decode_output_item, failure, finished, started
from gateway.dialects.openai_responses.heard import Heard
from gateway.dialects.upstream_json import decode_upstream

Fields = dict[str, Json]


class ResponsesEventDecoder:
    """Decodes one answer."""

    def __init__(self) -> None:
        self._begun = False
        self._ended = False
        self._open: dict[int, Heard] = {}
        self._done: dict[int, Item] = {}
        self._done_at: dict[int, type[Item]] = {}
        self._indexes = 0

    def feed(self, name: str, data: bytes) -> Sequence[Event]:
        """Take one server-sent event, give the hub's events. Raises UpstreamRefused, UpstreamBroken."""
        if self._ended or data == b"[DONE]":
            return ()
        fields = decode_upstream(data)
        kind = fields.get("type") or name
        if kind == "error" or (fields.get("error") and "response" not in fields):
            raise failure(fields)
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return ()
        events: list[Event] = []
        try:
            handler(self, fields, events)
        except (TypeError, AttributeError) as exc:
            msg = f"The upstream sent a `{kind}` event that is not what the Responses API promises."
            raise UpstreamBroken(msg) from exc
        return events

    def finish(self) -> Sequence[Event]:
        """The stream has ended. Raises UpstreamBroken if its terminal event is missing."""
        if not self._ended:
            msg = "The upstream's stream ended before the response was complete."
            raise UpstreamBroken(msg)
        return ()

    def begin(self, fields: Fields, events: list[Event]) -> None:
        """The response exists."""
        self._begin(fields.get("response") or {}, events)

    def add_item(self, fields: Fields, events: list[Event]) -> None:
        """An item begins."""
        place, wire = _place(fields), fields.get("item")
        if wire is None:
            return
        self._close(place, events)
        self._start(place, decode_output_item(_opened(wire), place), events)

    def end_item(self, fields: Fields, events: list[Event]) -> None:
        """An item is whole."""
        if (wire := fields.get("item")) is not None:
            self._end(_place(fields), decode_output_item(wire, _place(fields)), events)

    def text(self, fields: Fields, events: list[Event]) -> None:
        """More text of a message, or all of one part."""
        heard = self._heard(fields, Message(role="assistant", parts=()), events)
        part = _number(fields, "content_index")
        if heard and (more := heard.more("text", part, fields.get("delta"), fields.get("text"))):
            logprobs = tuple(fields.get("logprobs") or ()) or None
            events.append(TextDelta(index=heard.index, part=part, text=more, logprobs=logprobs))

    def refuse(self, fields: Fields, events: list[Event]) -> None:
        """More text of a refusal, or all of it."""
        heard = self._heard(fields, Message(role="assistant", parts=()), events)
        part = _number(fields, "content_index")
        if heard and (more := heard.more("refusal", part, fields.get("delta"), fields.get("refusal"))):
            events.append(RefusalDelta(index=heard.index, part=part, text=more))

    def think(self, fields: Fields, events: list[Event]) -> None:
        """More thinking in the clear, or all of one part."""
        heard = self._heard(fields, Reasoning(), events)
        part = _number(fields, "content_index")
        if heard and (more := heard.more("thinking", part, fields.get("delta"), fields.get("text"))):
            events.append(ReasoningDelta(index=heard.index, part=part, text=more))

    def summarise(self, fields: Fields, events: list[Event]) -> None:
        """More of a summary, or all of one part."""
        heard = self._heard(fields, Reasoning(), events)
        part = _number(fields, "summary_index")
        if heard and (more := heard.more("summary", part, fields.get("delta"), fields.get("text"))):
            events.append(ReasoningDelta(index=heard.index, kind="summary", part=part, text=more))

    def argue(self, fields: Fields, events: list[Event]) -> None:
        """More of a call's arguments, or all of them. A call without a beginning waits for its end, which has its name."""
        heard = self._open.get(_place(fields))
        if heard is None:
            return
        whole = fields.get("arguments") if "arguments" in fields else fields.get("input")
        if more := heard.more("arguments", 0, fields.get("delta"), whole):
            events.append(ArgumentsDelta(index=heard.index, text=more))

    def end(self, fields: Fields, events: list[Event]) -> None:
        """The response is complete, or was cut off."""
        response = fields.get("response") or {}
        self._begin(response, events)
        output = response.get("output") or ()
        unheard = len(output) > self._indexes  # else they are all known, perhaps under other numbers
        for place, wire in enumerate(output):
            if place in self._open or (unheard and place not in self._done_at):
                self._end(place, decode_output_item(wire, place), events)
        for place in sorted(self._open):
            self._close(place, events)
        events.append(finished(response, [self._done[index] for index in sorted(self._done)]))
        self._ended = True

    def fail(self, fields: Fields, events: list[Event]) -> None:
        """The response failed."""
        del events
        raise failure(fields.get("response") or {})

    def _begin(self, response: Fields, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(started(response))

    def _start(self, place: int, item: Item, events: list[Event]) -> Heard:
        self._begin({}, events)
        heard = Heard(self._indexes, item)
        self._indexes += 1
        self._open[place] = heard
        events.append(ItemStarted(index=heard.index, item=skeleton(item)))
        return heard

    def _heard(self, fields: Fields, item: Item, events: list[Event]) -> Heard | None:
        """Give the open item that a delta belongs to; it begins here if nobody said so. None when it has ended."""
        place = _place(fields)
        if place not in self._open and self._done_at.get(place) is type(item):
            return None
        return self._fitting(place, item, events)

    def _fitting(self, place: int, item: Item, events: list[Event]) -> Heard:
        """Give the open item at `place`, if it is of that kind; else what is there ends, and another begins."""
        heard = self._open.get(place)
        if heard is not None and type(heard.item) is type(item):
            return heard
        self._close(place, events)
        return self._start(place, item, events)

    def _end(self, place: int, item: Item, events: list[Event]) -> None:
        heard = self._fitting(place, item, events)
        whole = heard.completed(item)
        events.extend(heard.missing(whole))
        events.append(ItemFinished(index=heard.index, item=whole))
        self._done[heard.index] = whole
        self._done_at[place] = type(whole)
        self._open.pop(place, None)

    def _close(self, place: int, events: list[Event]) -> None:
        """End an item of which no more will come."""
        if (heard := self._open.get(place)) is not None:
            self._end(place, heard.item, events)


def _place(fields: Fields) -> int:
    return _number(fields, "output_index")


def _number(fields: Fields, name: str) -> int:
    """Give a position; what is none is the first."""
    number = fields.get(name)
    return number if isinstance(number, int) and number >= 0 else 0


def _opened(wire: Json) -> Json:
    """Give an item that begins with what it may lack until it ends."""
    if not isinstance(wire, dict):
        return wire
    given = {name: value for name, value in wire.items() if value is not None}
    return {**_EMPTY.get(given.get("type"), {}), **given}


_EMPTY: dict[Json, Fields] = {
    "message": {"role": "assistant", "content": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}

_Handler = Callable[[ResponsesEventDecoder, Fields, list[Event]], None]

_HANDLERS: dict[Json, _Handler] = {
    "response.created": ResponsesEventDecoder.begin,
    "response.queued": ResponsesEventDecoder.begin,
    "response.in_progress": ResponsesEventDecoder.begin,
    "response.output_item.added": ResponsesEventDecoder.add_item,
    "response.output_item.done": ResponsesEventDecoder.end_item,
    "response.output_text.delta": ResponsesEventDecoder.text,
    "response.output_text.done": ResponsesEventDecoder.text,
    "response.refusal.delta": ResponsesEventDecoder.refuse,
    "response.refusal.done": ResponsesEventDecoder.refuse,
    "response.reasoning_text.delta": ResponsesEventDecoder.think,
    "response.reasoning_text.done": ResponsesEventDecoder.think,
    "response.reasoning.delta": ResponsesEventDecoder.think,  # what vLLM and LM Studio called it at first
    "response.reasoning.done": ResponsesEventDecoder.think,
    "response.reasoning_summary_text.delta": ResponsesEventDecoder.summarise,
    "response.reasoning_summary_text.done": ResponsesEventDecoder.summarise,
    "response.function_call_arguments.delta": ResponsesEventDecoder.argue,
    "response.function_call_arguments.done": ResponsesEventDecoder.argue,
    "response.custom_tool_call_input.delta": ResponsesEventDecoder.argue,
    "response.custom_tool_call_input.done": ResponsesEventDecoder.argue,
    "response.completed": ResponsesEventDecoder.end,
    "response.incomplete": ResponsesEventDecoder.end,
    "response.cancelled": ResponsesEventDecoder.end,
    "response.failed": ResponsesEventDecoder.fail,
}
