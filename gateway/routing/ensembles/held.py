"""Answers that are held back whole until it is known whether they go out. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.answer import Answer, AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.errors import UpstreamBroken
from gateway.core.events import (
    ASIDE,
    ArgumentsDelta,
    CutShort,
    Decided,
    Event,
    Finished,
    ItemFinished,
    ReasoningDelta,
    RefusalDelta,
    Spent,
    Started,
    TextDelta,
    Tried,
    Verbatim,
)
from gateway.core.items import Item, Message, Text
from gateway.core.responder import Send
from gateway.core.usage import BYTES_A_TOKEN, Usage

_Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta
_encode = msgspec.json.Encoder().encode


class TooLong(Exception):
    """Not an error of anybody's: the way out of a provider whose answer is longer than may be held."""


class HeldAnswer:
    """A Send that keeps an answer, `most` bytes at most. What others have spent for it goes on to `aside`.

    `begun` says whether anything of it has come, `target` who gives it, as far as that was told.
    """

    def __init__(self, call: Call, most: int, aside: Send) -> None:
        self._call = call
        self._most = most
        self._aside = aside
        self._builder = AnswerBuilder()
        self._deltas: dict[int, int] = {}
        self._whole = 0
        self._cut: Usage | None = None
        self._finished: Finished | None = None
        self.begun = False
        self.target: str | None = None

    async def __call__(self, event: Event) -> None:
        """Take the next event. Raises TooLong."""
        if isinstance(event, CutShort):
            self._cut = event.usage
        elif isinstance(event, Spent):
            await self._aside(event)
        elif isinstance(event, Verbatim):
            msg = "the answer to a call that goes out by its Items came as bytes"
            raise RuntimeError(msg)  # noqa: TRY004 - not a wrong argument: a broken promise of the provider's
        elif isinstance(event, Decided):
            self.target = event.decision.chosen
        elif isinstance(event, Tried):
            self.target = event.following
        elif not isinstance(event, ASIDE):
            self._take(event)

    def _take(self, event: Event) -> None:
        self._builder.add(event)
        if isinstance(event, Started):
            self.target = event.target
            return
        self.begun = True
        if isinstance(event, _Delta):
            self._deltas[event.index] = self._deltas.get(event.index, 0) + len(event.text)
        elif isinstance(event, ItemFinished):
            # Items hold more than deltas tell: sealed thinking, sound, log probabilities.
            self._deltas.pop(event.index, None)
            self._whole += len(_encode(event.item))
        elif isinstance(event, Finished):
            self._finished = event
        if self._whole + sum(self._deltas.values()) > self._most:
            raise TooLong

    def answer(self) -> Answer:
        """Give the whole. Raises UpstreamBroken for one that is none."""
        try:
            return self._builder.answer()
        except ValueError as error:
            msg = "The upstream's answer has no beginning or no end."
            raise UpstreamBroken(msg) from error

    def used(self) -> Usage:
        """Give what it has used, estimated where nobody said: most upstreams bill what they have read although nobody takes the answer."""
        said = self._cut if self._finished is None else self._finished.usage
        if said is not None:
            return said
        heard = self._whole + sum(self._deltas.values())
        return Usage(input=len(self._call.body) // BYTES_A_TOKEN, output=heard // BYTES_A_TOKEN, estimated=True)


async def release(held: HeldAnswer, answer: Answer, send: Send, *, waited: float) -> None:
    """Let an answer go out. `waited` are the seconds that the upstreams have taken for it."""
    started = msgspec.structs.replace(answer.started, waited=waited)
    finished = answer.finished
    if finished.usage is None:
        finished = msgspec.structs.replace(finished, usage=held.used())
    try:
        for event in replay(msgspec.structs.replace(answer, started=started, finished=finished)):
            await send(event)
    except BaseException:
        # The client left, and all of the answer has been made.
        await send(CutShort(usage=held.used()))
        raise


def marks_of(answer: Answer) -> Iterator[float]:
    """Yield the log probabilities of an answer's tokens, as far as they were told."""
    for part in _texts(answer.items):
        for mark in part.logprobs or ():
            value = mark.get("logprob") if isinstance(mark, dict) else None
            if isinstance(value, (int, float)):
                yield float(value)


def without_marks(answer: Answer) -> Answer:
    """Give the answer without log probabilities, for who did not ask for them."""
    return msgspec.structs.replace(answer, items=tuple(_unmarked(item) for item in answer.items))


def _unmarked(item: Item) -> Item:
    if not isinstance(item, Message):
        return item
    parts = [msgspec.structs.replace(part, logprobs=None) if isinstance(part, Text) else part for part in item.parts]
    return msgspec.structs.replace(item, parts=tuple(parts))


def _texts(items: tuple[Item, ...]) -> Iterator[Text]:
    for item in items:
        if isinstance(item, Message):
            yield from (part for part in item.parts if isinstance(part, Text))
