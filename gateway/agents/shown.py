"""What of a run is shown in dialects that know no tools of the server: text, thinking, calls of the client's functions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

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
from gateway.core.items import Foreign, Json, Message, Text
from gateway.dialects.openai_responses.stream_decode import ResponsesEventDecoder
from gateway.stores.runs import RunEvent

MOST_SHOWN: Final = 2000
"""Characters of a call, or of a question, that a note about an approval has."""
_OF_AN_ITEM: Final = (ItemStarted, ItemFinished, TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta)


class Shown:
    """Translates the events of one run. `ended` is True when the last one was given."""

    def __init__(self) -> None:
        self._decoder = ResponsesEventDecoder()
        self._indexes: dict[int, int] = {}
        self._hidden: set[int] = set()
        self._asked: list[dict[str, Json]] = []
        self._run = ""
        self.ended = False

    def take(self, event: RunEvent) -> Iterator[Event]:
        """Give the hub's events for one of the run's. Raises UpstreamRefused for a run that failed."""
        for one in self._decoder.feed(event.name, event.data):
            yield from self._translate(one)

    def _translate(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Started):
            self._run = event.id
            yield event
        elif isinstance(event, Finished):
            yield from self._note()
            self.ended = True
            yield event
        elif isinstance(event, _OF_AN_ITEM):
            if isinstance(event, ItemStarted) and isinstance(event.item, Foreign):
                self._hidden.add(event.index)
            if event.index not in self._hidden:
                index = self._indexes.setdefault(event.index, len(self._indexes))
                yield msgspec.structs.replace(event, index=index)
            elif isinstance(event, ItemFinished):
                self._hear(event)

    def _hear(self, event: ItemFinished) -> None:
        raw = event.item.raw if isinstance(event.item, Foreign) else {}
        if raw.get("type") == "mcp_approval_request":
            self._asked.append(raw)

    def _note(self) -> Iterator[Event]:
        """Say what the run waits for, as a message of its own."""
        if not self._asked:
            return
        text = waiting_note(self._run, self._asked)
        index = len(self._indexes)
        yield ItemStarted(index=index, item=Message(role="assistant", parts=()))
        yield TextDelta(index=index, text=text)
        yield ItemFinished(index=index, item=Message(role="assistant", parts=(Text(text=text),)))


def waiting_note(run: str, asked: list[dict[str, Json]]) -> str:
    """Give the words for a run that waits: what for, and how it is found."""
    questions = [_line(one, str(one["question"].get("message"))) for one in asked if one.get("question")]
    calls = [
        _line(one, f"{one.get('server_label')}/{one.get('name')} {one.get('arguments')}")
        for one in asked
        if not one.get("question")
    ]
    what = "this call of a tool" if len(calls) == 1 else "these calls of tools"
    told = [f"The agent waits for a person to approve {what}:", *calls] if calls else []
    if questions:
        told += ["The agent waits for a person's answer:", *questions]
    return "\n".join(("\n", *told, f"The run {run} goes on when that is answered."))


def _line(one: dict[str, Json], what: str) -> str:
    return f"- {what[:MOST_SHOWN]} (approval {one.get('id')})"
