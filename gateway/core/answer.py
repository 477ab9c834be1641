"""A whole answer, and the two ways between it and events: one code path for streams and for single documents."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.events import (
    ArgumentsDelta,
    Embeddings,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    Moderations,
    Ranking,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    TokenCount,
)
from gateway.core.items import Item, Message, Reasoning, Refusal, Text, ToolCall

Result = Embeddings | Ranking | TokenCount | Moderations
"""What an operation that makes no items gives, in one event."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished call gave: `started`, the items in order or the `result` of another operation, `finished`."""

    started: Started
    items: tuple[Item, ...] = ()
    result: Result | None = None
    finished: Finished


class AnswerBuilder:
    """Folds events into an Answer."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._items: dict[int, Item] = {}
        self._result: Result | None = None
        self._finished: Finished | None = None

    def add(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, ItemFinished):
            self._items[event.index] = event.item
        elif isinstance(event, Started):
            self._started = event
        elif isinstance(event, Finished):
            self._finished = event
        elif isinstance(event, Result):
            self._result = event

    def answer(self) -> Answer:
        """Give the whole; raises ValueError when the events broke the order that `gateway.core.events` promises."""
        if self._started is None or self._finished is None:
            msg = "an answer needs one Started and one Finished"
            raise ValueError(msg)
        items = tuple(self._items[index] for index in sorted(self._items))
        return Answer(started=self._started, items=items, result=self._result, finished=self._finished)


def replay(answer: Answer) -> Iterator[Event]:
    """Unfold an Answer into the events that a stream would have carried, each text in one delta."""
    yield answer.started
    for index, item in enumerate(answer.items):
        yield ItemStarted(index=index, item=skeleton(item))
        yield from _deltas(index, item)
        yield ItemFinished(index=index, item=item)
    if answer.result is not None:
        yield answer.result
    yield answer.finished


def skeleton(item: Item) -> Item:
    """Give the item as it is when it starts: who and what, but nothing said yet."""
    if isinstance(item, Message):
        return msgspec.structs.replace(item, parts=())
    if isinstance(item, ToolCall):
        return msgspec.structs.replace(item, arguments="")
    if isinstance(item, Reasoning):
        return msgspec.structs.replace(item, text="", summary=(), signature=None)
    return item


def _deltas(index: int, item: Item) -> Iterator[Event]:
    if isinstance(item, Message):
        for number, part in enumerate(item.parts):
            if isinstance(part, Text):
                yield TextDelta(index=index, part=number, text=part.text, logprobs=part.logprobs)
            elif isinstance(part, Refusal):
                yield RefusalDelta(index=index, part=number, text=part.text)
    elif isinstance(item, ToolCall):
        yield ArgumentsDelta(index=index, text=item.arguments)
    elif isinstance(item, Reasoning):
        for number, text in enumerate(item.summary):
            yield ReasoningDelta(index=index, part=number, text=text, kind="summary")
        if item.text:
            yield ReasoningDelta(index=index, text=item.text)
