"""One choice of an answer: its deltas -> item events. It knows nothing of chunks, usage and ends of streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from gateway.core.events import Event, ItemFinished, ItemStarted, ReasoningDelta, RefusalDelta, TextDelta
from gateway.core.items import Foreign, Json, Message, Part, Reasoning, Refusal, Text
from gateway.dialects.openai_chat.names import NAME
from gateway.dialects.openai_chat.reasoning import opaque_items
from gateway.dialects.openai_chat.reasoning_deltas import merge_details
from gateway.dialects.openai_chat.tool_deltas import CallAssembler


class _Piece:
    """A part that grows."""

    def __init__(self, kind: type[Text | Refusal]) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.logprobs: list[Json] = []


class Turn:
    """Turns deltas into events. Reasoning, text and calls are items of their own, in the order in which they come."""

    def __init__(self, choice: int, number: Callable[[], int], invent: Callable[[], str]) -> None:
        self._number = number
        # Which of several choices an item belongs to (`n` above 1) is a note that only this dialect reads.
        self._rest: dict[str, Json] = {NAME: {"$choice": choice}} if choice else {}
        self._calls = CallAssembler(number, invent, self._rest)
        self._invent = invent
        self._function: list[Json] = []
        self._message: int | None = None
        self._pieces: list[_Piece] = []
        self._annotations: list[Json] = []
        self._audio: dict[str, Json] = {}
        self._reasoning: int | None = None
        self._thoughts: list[str] = []
        self._plain = False
        self._details: list[dict[str, Json]] = []
        self.called = False

    def feed(self, delta: dict[str, Json], logprobs: Json) -> Iterator[Event]:
        """Take one delta (or a whole message, which has the same fields)."""
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if thought or details:
            yield from self._think(thought, details)
        content = delta.get("content")
        if content or logprobs:
            yield from self._say(Text, _readable(content), logprobs)
        if refusal := delta.get("refusal"):
            yield from self._say(Refusal, str(refusal), None)
        if len(delta) > 1 or not content:
            yield from self._seldom(delta)

    def _seldom(self, delta: dict[str, Json]) -> Iterator[Event]:
        if isinstance(annotations := delta.get("annotations"), list):
            self._annotations += annotations
        if isinstance(audio := delta.get("audio"), dict):
            yield from self._sound(audio)
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls:
            self.called = True
            yield from self._end_reasoning()
            yield from self._end_message()
            yield from self._calls.feed(calls)
        if isinstance(function := delta.get("function_call"), dict):
            # Deprecated: one call, no id. A note makes it go out in the same form.
            self.called = True
            identity = self._function_id()
            yield from self._end_message()
            yield from self._calls.feed([{"index": -1, "id": identity, "function": function, "$function": True}])

    def _function_id(self) -> str:
        if not self._function:
            self._function.append(self._invent())
        return str(self._function[0])

    def _think(self, thought: Json, details: Json) -> Iterator[Event]:
        yield from self._end_message()
        self._plain = self._plain or bool(thought)
        if self._reasoning is None:
            self._reasoning = self._number()
            yield ItemStarted(index=self._reasoning, item=Reasoning(origin=NAME, rest=self._rest))
        if isinstance(details, list):
            shown = merge_details(self._details, details)
            # Details repeat what the plain field says; where that is used, they add nothing to read.
            thought = thought or ("" if self._plain else shown)
        if isinstance(thought, str) and thought:
            self._thoughts.append(thought)
            yield ReasoningDelta(index=self._reasoning, text=thought)

    def _say(self, kind: type[Text | Refusal], text: str, logprobs: Json) -> Iterator[Event]:
        if self._reasoning is not None:
            yield from self._end_reasoning()
        if self._message is None:
            self._message = self._number()
            yield ItemStarted(index=self._message, item=Message(role="assistant", parts=(), rest=self._rest))
        if not self._pieces or self._pieces[-1].kind is not kind:
            self._pieces.append(_Piece(kind))
        piece = self._pieces[-1]
        piece.texts.append(text)
        part = len(self._pieces) - 1
        if kind is Refusal:
            yield RefusalDelta(index=self._message, part=part, text=text)
            return
        marks: tuple[Json, ...] | None = None
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            marks = tuple(logprobs["content"])
            piece.logprobs += marks
        yield TextDelta(index=self._message, part=part, text=text, logprobs=marks)

    def _sound(self, audio: dict[str, Json]) -> Iterator[Event]:
        yield from self._end_reasoning()
        if self._message is None:
            self._message = self._number()
            yield ItemStarted(index=self._message, item=Message(role="assistant", parts=(), rest=self._rest))
        for name, value in audio.items():
            if name in ("data", "transcript") and isinstance(value, str):
                self._audio[name] = self._audio.get(name, "") + value
            elif value is not None:
                self._audio[name] = value

    def _end_reasoning(self) -> Iterator[Event]:
        if self._reasoning is None:
            return
        index, self._reasoning = self._reasoning, None
        text = "".join(self._thoughts)
        items = opaque_items(self._details)
        if not items:
            items = [Reasoning(text=text, origin=NAME, rest=self._rest)]
        elif not any(item.text or item.summary for item in items):
            items[0] = replace(items[0], text=text)
        for number, item in enumerate(items):
            at = index if number == 0 else self._number()
            if number:
                yield ItemStarted(index=at, item=Reasoning(origin=NAME, rest=self._rest))
            rest = {NAME: {**self._rest.get(NAME, {}), **item.rest.get(NAME, {})}} if item.rest else item.rest
            yield ItemFinished(index=at, item=replace(item, rest=rest))
        self._thoughts = []
        self._details = []

    def _end_message(self) -> Iterator[Event]:
        if self._message is None:
            return
        parts: list[Part] = []
        for piece in self._pieces:
            text = "".join(piece.texts)
            if piece.kind is Refusal:
                parts.append(Refusal(text=text))
            else:
                marks = tuple(piece.logprobs) if piece.logprobs else None
                parts.append(Text(text=text, annotations=tuple(self._annotations), logprobs=marks))
                self._annotations = []
        if self._audio:
            parts.append(Foreign(dialect=NAME, raw={"type": "audio", "audio": self._audio}))
        yield ItemFinished(index=self._message, item=Message(role="assistant", parts=tuple(parts), rest=self._rest))
        self._message = None
        self._pieces = []
        self._audio = {}

    def finish(self) -> Iterator[Event]:
        """No more deltas come: close what is open."""
        yield from self._end_reasoning()
        yield from self._end_message()
        yield from self._calls.finish()


def _readable(content: Json) -> str:
    """Some upstreams (Mistral) send content as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""
