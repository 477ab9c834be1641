"""The items of an answer that is being streamed to a client: which of their parts are open, and the events in between.

A part opens with its first delta. All parts close with their item, which then knows their whole text and its citations; a part
that had no delta is opened, said and closed there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.events import ArgumentsDelta, ReasoningDelta, RefusalDelta, TextDelta
from gateway.core.items import Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.openai_responses.encode_items import output_part

Pieces = Iterator[tuple[str, dict[str, Json]]]
"""Events without their sequence number: (type, fields)."""

Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta

_encode = msgspec.json.Encoder().encode


class OpenItem:
    """An item that has begun. As it stands it is for items without deltas; the kinds below say what is different."""

    def __init__(self, name: str, place: int) -> None:
        self.name = name
        self.place = place
        self.where: dict[str, Json] = {"item_id": name, "output_index": place}

    def text_prefix(self, part: int) -> bytes | None:
        """Give the JSON between sequence number and text of a text delta; None unless that part is open."""
        del part
        return None

    def delta(self, event: Delta) -> Pieces:
        """Give the events for one delta."""
        del event
        return iter(())

    def close(self, item: Item) -> Pieces:
        """Give the events that end what is open; `item` is the whole."""
        del item
        return iter(())


class _OpenMessage(OpenItem):
    """What the model says. Parts are numbered as they open, so that those without a form here leave no gap."""

    def __init__(self, name: str, place: int) -> None:
        super().__init__(name, place)
        self._parts: dict[int, dict[str, Json]] = {}
        self._prefixes: dict[int, bytes] = {}

    def text_prefix(self, part: int) -> bytes | None:
        return self._prefixes.get(part)

    def delta(self, event: Delta) -> Pieces:
        if isinstance(event, TextDelta):
            yield from self._opened(event.part, Text(text=""))
            where = self._parts[event.part]
            yield "response.output_text.delta", {**where, "delta": event.text, "logprobs": list(event.logprobs or ())}
        elif isinstance(event, RefusalDelta):
            yield from self._opened(event.part, Refusal(text=""))
            yield "response.refusal.delta", {**self._parts[event.part], "delta": event.text}

    def _opened(self, number: int, empty: Text | Refusal) -> Pieces:
        if number in self._parts:
            return
        where = {**self.where, "content_index": len(self._parts)}
        self._parts[number] = where
        if isinstance(empty, Text):
            self._prefixes[number] = b"," + _encode(where)[1:-1] + b',"delta":'
        yield "response.content_part.added", {**where, "part": output_part(empty)}

    def close(self, item: Item) -> Pieces:
        if not isinstance(item, Message):
            return
        for number, part in enumerate(item.parts):
            if isinstance(part, Text):
                yield from self._close_text(number, part)
            elif isinstance(part, Refusal):
                if number not in self._parts:
                    yield from self.delta(RefusalDelta(index=0, part=number, text=part.text))
                where = self._parts[number]
                yield "response.refusal.done", {**where, "refusal": part.text}
                yield "response.content_part.done", {**where, "part": output_part(part)}

    def _close_text(self, number: int, part: Text) -> Pieces:
        if number not in self._parts:
            yield from self.delta(TextDelta(index=0, part=number, text=part.text, logprobs=part.logprobs))
        where, wire = self._parts[number], output_part(part) or {}
        for place, annotation in enumerate(wire["annotations"]):
            fields = {**where, "annotation_index": place, "annotation": annotation}
            yield "response.output_text.annotation.added", fields
        yield "response.output_text.done", {**where, "text": part.text, "logprobs": wire["logprobs"]}
        yield "response.content_part.done", {**where, "part": wire}


class _OpenReasoning(OpenItem):
    """What the model thinks: summary parts, and at most one text in the clear."""

    def __init__(self, name: str, place: int) -> None:
        super().__init__(name, place)
        self._summaries: set[int] = set()
        self._thinking = False
        self._text: dict[str, Json] = {**self.where, "content_index": 0}

    def delta(self, event: Delta) -> Pieces:
        if not isinstance(event, ReasoningDelta):
            return
        if event.kind == "summary":
            where = {**self.where, "summary_index": event.part}
            if event.part not in self._summaries:
                self._summaries.add(event.part)
                yield "response.reasoning_summary_part.added", {**where, "part": {"type": "summary_text", "text": ""}}
            yield "response.reasoning_summary_text.delta", {**where, "delta": event.text}
            return
        if not self._thinking:
            self._thinking = True
            yield "response.content_part.added", {**self._text, "part": {"type": "reasoning_text", "text": ""}}
        yield "response.reasoning_text.delta", {**self._text, "delta": event.text}

    def close(self, item: Item) -> Pieces:
        if not isinstance(item, Reasoning):
            return
        for number, text in enumerate(item.summary):
            if number not in self._summaries:
                yield from self.delta(ReasoningDelta(index=0, kind="summary", part=number, text=text))
            where = {**self.where, "summary_index": number}
            yield "response.reasoning_summary_text.done", {**where, "text": text}
            yield "response.reasoning_summary_part.done", {**where, "part": {"type": "summary_text", "text": text}}
        if item.text:
            if not self._thinking:
                yield from self.delta(ReasoningDelta(index=0, text=item.text))
            yield "response.reasoning_text.done", {**self._text, "text": item.text}
            yield "response.content_part.done", {**self._text, "part": {"type": "reasoning_text", "text": item.text}}


class _OpenToolCall(OpenItem):
    """A call of a function, or of a custom tool."""

    def __init__(self, name: str, place: int, call: ToolCall) -> None:
        super().__init__(name, place)
        self._event = "custom_tool_call_input" if call.kind == "custom" else "function_call_arguments"
        self._said = False

    def delta(self, event: Delta) -> Pieces:
        if isinstance(event, ArgumentsDelta):
            self._said = True
            yield f"response.{self._event}.delta", {**self.where, "delta": event.text}

    def close(self, item: Item) -> Pieces:
        if not isinstance(item, ToolCall):
            return
        if item.arguments and not self._said:
            yield from self.delta(ArgumentsDelta(index=0, text=item.arguments))
        whole = {"input": item.arguments} if item.kind == "custom" else {"arguments": item.arguments, "name": item.name}
        yield f"response.{self._event}.done", {**self.where, **whole}


def open_item(item: Item, name: str, place: int) -> OpenItem:
    """Begin an item: `name` is its id, `place` its number in the output."""
    if isinstance(item, Message):
        return _OpenMessage(name, place)
    if isinstance(item, Reasoning):
        return _OpenReasoning(name, place)
    if isinstance(item, ToolCall):
        return _OpenToolCall(name, place, item)
    return OpenItem(name, place)
