"""Notes an answer while it goes out, and reads it when it is out. Which answers may be kept, it says by what they are."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import Final

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import (
    Cached,
    CutShort,
    Embeddings,
    Event,
    Finished,
    ItemFinished,
    Moderations,
    Ranking,
    Started,
    Verbatim,
)
from gateway.core.items import Foreign, Item, Json, Message, Reasoning, Refusal, Text
from gateway.core.responder import Lane, Send, lane_with
from gateway.pipeline.shadowed_answer import read_bytes

_WHOLE: Final = ("stop", "stop_sequence")
_UNSURE: Final = frozenset({"finish_reason", "status", "stop_reason"})
"""What dialects note of an answer whose end they do not know the meaning of, or that has not said that it ended."""
_OF_AN_ANSWER: Final = (ItemFinished, Embeddings, Ranking, Moderations)
_ELSEWHERE: Final = (Cached, CutShort)
"""What is said where the answer is an old one, or not all of it. Who stands in for the model is told by the target."""


class Recording:
    """A Send that notes what passes, up to `most` bytes of it, and costs next to nothing. It reads nothing until it is asked."""

    __slots__ = ("_builder", "_most", "_pieces", "_send", "_size", "_spoilt", "finished", "started")

    def __init__(self, send: Send, most: int) -> None:
        self._send = send
        self._most = most
        self._size = 0
        self._spoilt = False
        self._pieces: list[bytes] = []
        self._builder: AnswerBuilder | None = None
        self.started: Started | None = None
        self.finished: Finished | None = None

    def __call__(self, event: Event) -> Awaitable[None]:
        """Note it, and pass it on."""
        if isinstance(event, Verbatim):
            self._take(event.data)
        elif isinstance(event, Started):
            self.started = event
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, _OF_AN_ANSWER):
            if self._builder is None:
                self._builder = AnswerBuilder()
            self._builder.add(event)
        elif isinstance(event, _ELSEWHERE):
            self._spoilt = True
        return self._send(event)

    def lane(self) -> Lane | None:
        """The short way of the one behind it, with a copy of each piece."""
        return lane_with(self._send, self._take)

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._most:
            self._pieces.append(data)

    def answer(self, call: Call, targets: Collection[str]) -> Answer | None:
        """Give the answer, if it is one of these `targets`' own, whole and worth keeping; None otherwise."""
        started, finished = self.started, self.finished
        if started is None or finished is None or self._spoilt or self._size > self._most:
            return None
        if finished.error is not None or finished.reason not in _WHOLE or started.target not in targets:
            return None
        answer = self._read(call, started, finished)
        return answer if answer is not None and _is_kept(answer) else None

    def _read(self, call: Call, started: Started, finished: Finished) -> Answer | None:
        try:
            if not self._pieces:
                builder = self._builder or AnswerBuilder()
                builder.add(started)
                builder.add(finished)
                return _bare(builder.answer(), started.target, finished)
            read = read_bytes(call, b"".join(self._pieces))
        except (SwitchgearError, ValueError, msgspec.DecodeError, RecursionError):
            return None
        return None if read is None else _bare(read, started.target, finished)


def _bare(answer: Answer, target: str, finished: Finished) -> Answer:
    """Give an answer without what belongs to the call that it was made for, and with the usage that the record has."""
    began, end = answer.started, answer.finished
    used = end.usage or finished.usage
    return msgspec.structs.replace(
        answer,
        started=Started(
            id="",
            model=began.model,
            created=0,
            target=target,
            dropped=began.dropped,
            emulated=began.emulated,
            structured=began.structured,
        ),
        finished=msgspec.structs.replace(end, usage=used, estimate=end.estimate or finished.estimate),
    )


def _is_kept(answer: Answer) -> bool:
    """Whether it says something, and nothing but what can be said again: no refusal, and nothing that is to be done."""
    if answer.result is not None:
        return True
    if answer.finished.reason not in _WHOLE or not all(map(_is_whole, answer.finished.detail.values())):
        return False
    return all(map(_can_be_repeated, answer.items)) and any(map(_says_something, answer.items))


def _is_whole(detail: Json) -> bool:
    """Whether a dialect is sure of the end, of each of several choices."""
    if not isinstance(detail, dict):
        return True
    reasons = detail.get("reasons")
    several = reasons.values() if isinstance(reasons, dict) else ()
    return _UNSURE.isdisjoint(detail) and all(reason in _WHOLE for reason in several)


def _can_be_repeated(item: Item) -> bool:
    if isinstance(item, Message):
        return not any(isinstance(part, Refusal | Foreign) for part in item.parts)
    return isinstance(item, Reasoning)


def _says_something(item: Item) -> bool:
    return isinstance(item, Message) and any(isinstance(part, Text) and part.text for part in item.parts)
