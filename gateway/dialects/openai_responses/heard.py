"""What was heard of one item of an upstream's stream, and what its end adds to that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from gateway.core.events import ArgumentsDelta, Event, ReasoningDelta, RefusalDelta, TextDelta
from gateway.core.items import Item, Message, Reasoning, Refusal, Text, ToolCall

Kind = Literal["text", "refusal", "thinking", "summary", "arguments"]


class Heard:
    """An item that has begun: its number in the hub, its skeleton, and the texts so far by kind and part."""

    def __init__(self, index: int, item: Item) -> None:
        self.index = index
        self.item = item
        self._texts: dict[tuple[Kind, int], list[str]] = {}

    def more(self, kind: Kind, part: int, delta: str | None, whole: str | None) -> str:
        """Take a delta, or the whole text of a part; give what is new in it."""
        pieces = self._texts.setdefault((kind, part), [])
        if delta is None:
            said = "".join(pieces)
            delta = whole[len(said) :] if whole and whole.startswith(said) else ""
        if delta:
            pieces.append(delta)
        return delta

    def completed(self, item: Item) -> Item:
        """Give `item`, filled up with what was heard where its end says nothing."""
        if isinstance(item, Message) and not item.parts:
            return msgspec.structs.replace(item, parts=self._parts())
        if isinstance(item, ToolCall) and not item.arguments:
            return msgspec.structs.replace(item, arguments=self._said("arguments"))
        if isinstance(item, Reasoning):
            summary = item.summary or tuple("".join(text) for (kind, _), text in self._sorted() if kind == "summary")
            return msgspec.structs.replace(item, text=item.text or self._said("thinking"), summary=summary)
        return item

    def missing(self, item: Item) -> Iterator[Event]:
        """Give what the whole `item` says beyond what was heard."""
        if isinstance(item, Message):
            yield from self._missing_parts(item)
        elif isinstance(item, ToolCall):
            if more := self.more("arguments", 0, None, item.arguments):
                yield ArgumentsDelta(index=self.index, text=more)
        elif isinstance(item, Reasoning):
            for number, text in enumerate(item.summary):
                if more := self.more("summary", number, None, text):
                    yield ReasoningDelta(index=self.index, kind="summary", part=number, text=more)
            said = self._said("thinking")
            if item.text.startswith(said) and (more := item.text[len(said) :]):
                yield ReasoningDelta(index=self.index, text=more)

    def _missing_parts(self, item: Message) -> Iterator[Event]:
        for number, part in enumerate(item.parts):
            if isinstance(part, Text) and (more := self.more("text", number, None, part.text)):
                yield TextDelta(index=self.index, part=number, text=more)
            elif isinstance(part, Refusal) and (more := self.more("refusal", number, None, part.text)):
                yield RefusalDelta(index=self.index, part=number, text=more)

    def _sorted(self) -> list[tuple[tuple[Kind, int], list[str]]]:
        return sorted(self._texts.items(), key=lambda entry: entry[0][1])

    def _said(self, wanted: Kind) -> str:
        return "".join("".join(text) for (kind, _), text in self._sorted() if kind == wanted)

    def _parts(self) -> tuple[Text | Refusal, ...]:
        return tuple(
            Text(text="".join(text)) if kind == "text" else Refusal(text="".join(text))
            for (kind, _), text in self._sorted()
            if kind in ("text", "refusal")
        )
