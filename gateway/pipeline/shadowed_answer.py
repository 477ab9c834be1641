"""Reads what an answer said, for comparison: from events, or from the bytes that passed. After the caller has it, never before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import (
    ASIDE,
    CutShort,
    Embeddings,
    Event,
    Finished,
    Moderations,
    Ranking,
    Started,
    Verbatim,
)
from gateway.core.items import Item, Json, Message, Refusal, Text, ToolCall
from gateway.core.responder import Lane, Send, lane_with
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_moderations import OPENAI_MODERATIONS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.rerank import RERANK
from gateway.dialects.sse import SseParser
from gateway.routing.overload.ladder import STATIC_TARGET

DIALECTS: Final[Mapping[str, Dialect]] = {
    one.name: one
    for one in (
        OPENAI_CHAT,
        OPENAI_RESPONSES,
        ANTHROPIC_MESSAGES,
        OPENAI_COMPLETIONS,
        OPENAI_EMBEDDINGS,
        OPENAI_MODERATIONS,
        RERANK,
    )
}
MOST_BYTES: Final = 2 * 1024 * 1024
"""Bytes of an answer that are looked at; a longer one is compared by its figures alone."""
STOOD_IN: Final = "degraded"
"""The error of a model that a text which was ready had to stand in for."""
MOST_VECTORS: Final = 32
"""Pairs of embeddings of one call that are compared."""


class Heard:
    """A Send that notes an answer while it passes. It keeps bytes as they are, and reads nothing."""

    def __init__(self, call: Call, send: Send | None, now: Callable[[], float]) -> None:
        self.call = call
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.used: Usage | None = None
        self.first_at: float | None = None
        self.overlong = False
        self._send = send
        self._now = now
        self._pieces: list[bytes] = []
        self._size = 0
        self._builder = AnswerBuilder()

    async def __call__(self, event: Event) -> None:
        """Note it, and pass it on first."""
        if self._send is not None:
            await self._send(event)
        if isinstance(event, Verbatim):
            self._begin()
            self._keep(event.data)
        elif isinstance(event, CutShort):
            self.used = event.usage
        elif isinstance(event, ASIDE):
            return
        else:
            self._note(event)

    def lane(self) -> Lane | None:
        """The short way of the one behind it, with a copy of each piece."""
        return None if self._send is None else lane_with(self._send, self._keep)

    @property
    def usage(self) -> Usage | None:
        """What was used, as far as it is known."""
        return self.used if self.finished is None else self.finished.usage

    @property
    def stand_in(self) -> str:
        """The error of a model for which a text that was ready had to answer; nothing where it answered itself."""
        return STOOD_IN if self.started is not None and self.started.target == STATIC_TARGET else ""

    def answer(self) -> Answer | None:
        """Give the whole answer of the model; None where there is none that can be read."""
        if self.stand_in:
            return None
        try:
            if self._pieces:
                return self._read(b"".join(self._pieces))
            return self._builder.answer()
        except (SwitchgearError, ValueError, msgspec.DecodeError, RecursionError):
            return None

    def _begin(self) -> None:
        if self.first_at is None:
            self.first_at = self._now()

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.started = event
        else:
            self._begin()
        if isinstance(event, Finished):
            self.finished = event
        self._builder.add(event)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.overlong = True
            self._pieces.clear()
        else:
            self._pieces.append(data)

    def _read(self, data: bytes) -> Answer | None:
        return None if self.overlong else read_bytes(self.call, data)


def read_bytes(call: Call, data: bytes) -> Answer | None:
    """Read the bytes of a whole answer to `call`; None where nobody knows its dialect.

    Raises SwitchgearError, ValueError, DecodeError or RecursionError for what is no answer.
    """
    dialect = DIALECTS.get(call.dialect)
    if dialect is None:
        return None
    if not call.stream or call.operation != "generate":
        return dialect.decode_answer(msgspec.json.decode(data))
    builder, parser, decoder = AnswerBuilder(), SseParser(), dialect.event_decoder()
    for events in (parser.feed(data), parser.finish()):
        for name, body in events:
            for event in decoder.feed(name, body):
                builder.add(event)
    for event in decoder.finish():
        builder.add(event)
    return builder.answer()


def said(answer: Answer | None) -> dict[str, Json] | None:
    """Give what an answer says, in one form for all APIs; None where there is nothing to compare.

    Reasoning is left out: it is no part of the answer. Of embeddings only their shape is given.
    """
    if answer is None:
        return None
    result = answer.result
    if isinstance(result, Embeddings):
        return {"vectors": len(result.vectors), "dimensions": max((len(one) for one in result.vectors), default=0)}
    if isinstance(result, Ranking):
        return {"results": [{"index": index, "relevance": score} for index, score in result.results]}
    if isinstance(result, Moderations):
        return {"results": list(result.results)}
    found: dict[str, Json] = {"text": "", "refusal": "", "tool_calls": []}
    for item in answer.items:
        _add(item, found)
    return {name: value for name, value in found.items() if value or name == "text"}


def _add(item: Item, found: dict[str, Json]) -> None:
    if isinstance(item, ToolCall):
        found["tool_calls"].append({"name": item.name, "arguments": item.arguments})
    elif isinstance(item, Message):
        for part in item.parts:
            if isinstance(part, Text):
                found["text"] += part.text
            elif isinstance(part, Refusal):
                found["refusal"] += part.text


def alike(original: Answer | None, shadow: Answer | None) -> tuple[bool | None, float | None]:
    """Give whether both say the same, and how alike their embeddings are (mean cosine); None where that cannot be said."""
    if original is None or shadow is None:
        return None, None
    one, other = original.result, shadow.result
    if isinstance(one, Embeddings) and isinstance(other, Embeddings):
        return one.vectors == other.vectors, cosine(one, other)
    if isinstance(one, Ranking) and isinstance(other, Ranking):
        return [index for index, _ in one.results] == [index for index, _ in other.results], None
    if isinstance(one, Moderations) and isinstance(other, Moderations):
        return _flags(one) == _flags(other), None
    return _comparable(said(original)) == _comparable(said(shadow)), None


def cosine(one: Embeddings, other: Embeddings) -> float | None:
    """Give the mean cosine of the pairs of vectors; None where they do not fit together."""
    pairs = list(zip(one.vectors, other.vectors, strict=False))[:MOST_VECTORS]
    if len(one.vectors) != len(other.vectors) or not pairs or any(len(a) != len(b) or not a for a, b in pairs):
        return None
    found = []
    for a, b in pairs:
        length = math.hypot(*a) * math.hypot(*b)
        if not length or not math.isfinite(length):
            return None
        # Rounding may bring it a hair beyond what a cosine can be.
        found.append(max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True)) / length)))
    return sum(found) / len(found)


def _flags(result: Moderations) -> list[Json]:
    return [one.get("flagged") if isinstance(one, dict) else None for one in result.results]


def _comparable(content: dict[str, Json] | None) -> Json:
    """White space around a text, and how arguments are written, make no difference."""
    if content is None:
        return None
    calls = [(call["name"], _arguments(call["arguments"])) for call in content.get("tool_calls", ())]
    return content["text"].strip(), content.get("refusal", "").strip(), calls


def _arguments(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def shortened(content: dict[str, Json], most: int) -> tuple[dict[str, Json], bool]:
    """Give at most so many bytes of what was said, and whether anything is missing."""
    if len(msgspec.json.encode(content)) <= most:
        return content, False
    if "text" not in content:
        return {}, True
    text: str = content["text"]
    return {"text": text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")}, True
