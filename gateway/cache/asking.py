"""Asks models of this gateway on the cache's behalf: for a vector, for a word, for an answer once more. What is asked, others decide.

Each question has a record of its own, in the operator's name: it counts for no caller's limits. Tenant and user stay in it, so that what
is theirs can be found and deleted.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from gateway.core.answer import Answer, AnswerBuilder
from gateway.core.cached import CacheWish
from gateway.core.call import Call, opened
from gateway.core.caller import Caller
from gateway.core.content import Content, EmbeddingInput, Operation, Prompt
from gateway.core.errors import UpstreamBroken
from gateway.core.events import Embeddings, Event, Finished, Started, TextDelta
from gateway.core.ids import NewId
from gateway.core.items import Item, Message, Reasoning, Text
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.stores.vectors import Vector

CALLER: Final = "cache"
DIALECTS: Final = {dialect.name: dialect for dialect in (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES)}
"""Those in which questions are recognised."""
_CHARACTERS_A_TOKEN: Final = 4
_PREFIX: Final = "call_"

AskModel = Callable[[str, Call, Send], Awaitable[None]]
"""Answers a call by the model of this name, asking nobody's leave. Raises SwitchgearError."""
Cost = Callable[[str, Usage], int | None]
"""Gives whole nano-dollars for usage at a target ("provider/model"), or at the first one of a model; None when a price is unknown."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, and what that cost in nano-dollars, None when that is not known."""

    text: str
    cost: int | None


class Asking:
    """Asks through `ask`. `now` is the steady clock."""

    def __init__(self, ask: AskModel, cost: Cost, *, now: Callable[[], float], new_id: NewId) -> None:
        self._ask = ask
        self._cost = cost
        self._now = now
        self._new_id = new_id

    async def vectors(self, model: str, texts: tuple[str, ...], call: Call) -> tuple[Vector, ...]:
        """Give the vectors of texts. Raises what the model's route raises, or UpstreamBroken."""
        found: list[Vector] = []

        async def collect(event: Event) -> None:
            if isinstance(event, Embeddings):
                found.extend(_unit(vector) for vector in event.vectors)

        content = EmbeddingInput(inputs=texts)
        await self._ask(model, self._call(call, model, "embed", "openai_embeddings", content), collect)
        if len(found) != len(texts):
            msg = f"The embedding model {model!r} gave {len(found)} vectors for {len(texts)} texts."
            raise UpstreamBroken(msg)
        return tuple(found)

    async def word(self, model: str, prompt: Prompt, call: Call, *, most: int) -> Word:
        """Give what a model says to a prompt, at most so many characters of it. Raises what the model's route raises."""
        said, used = _Said(most), _Used()

        async def listen(event: Event) -> None:
            used.note(event)
            said.note(event)

        await self._ask(model, self._call(call, model, "generate", "openai_chat", prompt), listen)
        cost = None if used.usage is None else self._cost(used.target, used.usage)
        return Word(text=said.text, cost=cost)

    def estimate(self, model: str, prompt: Prompt) -> int | None:
        """Give about what a question costs at most whose answer did not come: it was asked all the same."""
        texts = [
            part.text
            for item in prompt.items
            if isinstance(item, Message)
            for part in item.parts
            if isinstance(part, Text)
        ]
        tokens = sum(map(len, texts)) // _CHARACTERS_A_TOKEN + 1
        return self._cost(model, Usage(input=tokens, output=prompt.max_output_tokens or 0, estimated=True))

    async def again(self, call: Call, *, most: int) -> Answer:
        """Give what the model of a call says to it now, `most` bytes at most. Raises what its route raises, or UpstreamBroken."""
        builder, size = AnswerBuilder(), 0

        async def collect(event: Event) -> None:
            nonlocal size
            builder.add(event)
            size += len(event.text) if isinstance(event, TextDelta) else 0
            if size > most:
                msg = "The answer is too long to be compared."
                raise UpstreamBroken(msg)

        content = call.content
        if content is None:
            # Nobody had to look inside, as it went out.
            content = DIALECTS[call.dialect].decode_call(call.fields)
        asked = msgspec.structs.replace(
            opened(call),
            content=content,
            id=self._new_id(_PREFIX),
            stream=False,
            received=self._now(),
            caller=_in_the_operators_name(call),
            background=True,
            cache=CacheWish(mode="off"),
        )
        await self._ask(call.model, asked, collect)
        try:
            return builder.answer()
        except ValueError as error:
            msg = "The upstream's answer has no beginning or no end."
            raise UpstreamBroken(msg) from error

    def _call(self, call: Call, model: str, operation: Operation, dialect: str, content: Content) -> Call:
        return Call(
            id=self._new_id(_PREFIX),
            operation=operation,
            dialect=dialect,
            opened=True,
            model=model,
            stream=False,
            caller=_in_the_operators_name(call),
            received=self._now(),
            body=msgspec.json.encode(content),
            fields={},
            content=content,
            trace=call.trace,
            background=call.background,
        )


class _Used:
    def __init__(self) -> None:
        self.target = ""
        self.usage: Usage | None = None

    def note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.target = event.target
        elif isinstance(event, Finished):
            self.usage = event.usage or event.estimate


class _Said:
    def __init__(self, most: int) -> None:
        self._most = most
        self.text = ""

    def note(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self.text = (self.text + event.text)[: self._most]


def text_of(items: tuple[Item, ...]) -> str | None:
    """Give all that an answer says; None where it holds more than text, as a tool call, or says nothing."""
    texts = []
    for item in items:
        if isinstance(item, Reasoning):
            continue
        if not isinstance(item, Message):
            return None
        for part in item.parts:
            if not isinstance(part, Text):
                return None
            texts.append(part.text)
    return "\n".join(texts).strip() or None


def cosine(one: Vector, other: Vector) -> float:
    """Give the cosine of the angle between two vectors of length 1; 0 where their sizes differ."""
    if len(one) != len(other):
        return 0.0
    return sum(left * right for left, right in zip(memoryview(one).cast("f"), memoryview(other).cast("f"), strict=True))


def _unit(numbers: tuple[float, ...]) -> Vector:
    length = sum(number * number for number in numbers) ** 0.5
    if not 0 < length < float("inf"):
        msg = "The embedding model gave a vector without a direction."
        raise UpstreamBroken(msg)
    return array("f", [number / length for number in numbers]).tobytes()


def _in_the_operators_name(call: Call) -> Caller:
    return msgspec.structs.replace(call.caller, id=CALLER, team="", tags=())
