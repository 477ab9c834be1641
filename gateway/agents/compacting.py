"""Compaction: has a model write notes on what was said, and makes the item that stands for it from then on. It writes no journal.

What users and developers said stays word for word; everything else is in the notes. They are labelled as what they were made of: who
compacts a conversation that strangers have written into has untrusted notes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from gateway.agents.provenance import Context, context_of
from gateway.agents.unfolding import is_notes
from gateway.core.answer import Answer
from gateway.core.errors import ContextLengthExceeded, UpstreamBroken
from gateway.core.items import Json, Message, Text
from gateway.core.tools import Label
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.compaction import (
    ITEM_PREFIX,
    LEAST_THRESHOLD,
    Compacted,
    Staying,
    asking,
    compaction,
    encode_compacted,
    is_staying,
    pieces,
    transcript,
    unanswered,
)
from gateway.stores.runs import RunItem
from gateway.stores.sealing import Seal

SHARE: Final = 4
"""What would be replaced has to be this part of the whole, or it is not worth an answer of the model."""
MOST_PIECES: Final = 64
_CHARACTERS: Final = 3
"""A token, for what is to fit for certain."""
_ROOM: Final = 2
"""Of a model's context this part is for the transcript; the rest for instructions, earlier notes and the notes."""

Ask = Callable[[str], Awaitable[Answer]]
"""Asks the model in these words, under `INSTRUCTIONS`."""


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wrote, and what it used for that."""

    text: str
    usage: Usage | None


def is_worthwhile(seen: Sequence[RunItem]) -> bool:
    """Whether enough of a context would be replaced."""
    staying = frozenset(_staying(seen))
    sizes = [len(msgspec.json.encode(item.body)) for item in seen]
    left = sum(size for number, size in enumerate(sizes) if number not in staying and not is_notes(seen[number]))
    return left * SHARE >= sum(sizes)


async def write_notes(seen: Sequence[RunItem], ask: Ask, context: int | None) -> Notes:
    """Have notes written on a context; `context` are the tokens that the model takes, None where nobody knows.

    Too long a transcript goes in pieces, each with the notes on those before. Raises UpstreamBroken for a model that writes none.
    """
    texts = transcript(item.body for item in seen)
    most = sum(map(len, texts)) or 1
    if context is not None:
        most = min(most, max(context * _CHARACTERS // _ROOM, LEAST_THRESHOLD))
    while True:
        parts = pieces(texts, most)
        try:
            return await _on_pieces(parts, ask)
        except ContextLengthExceeded:
            most = -(-most // 2)
            if len(parts) * 2 > MOST_PIECES:
                raise


async def _on_pieces(parts: Sequence[str], ask: Ask) -> Notes:
    text, usage = "", None
    for number, part in enumerate(parts or [""], 1):
        answer = await ask(asking(part, number, len(parts), text))
        text = _said(answer)
        usage = added(usage, answer.finished.usage)
        if not text:
            msg = "The model wrote no notes on the conversation."
            raise UpstreamBroken(msg)
    return Notes(text=text, usage=usage)


def _said(answer: Answer) -> str:
    parts = [part for item in answer.items if isinstance(item, Message) for part in item.parts]
    return "".join(part.text for part in parts if isinstance(part, Text)).strip()


def added(before: Usage | None, usage: Usage | None) -> Usage | None:
    """Give both together."""
    if before is None or usage is None:
        return before or usage
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    counted = {name: getattr(before, name) + getattr(usage, name) for name in names}
    return Usage(**counted, estimated=before.estimated or usage.estimated)


class Compaction(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the item, its label, and what stays beside it where the item does not hold that itself."""

    body: dict[str, Json]
    label: Label
    before: tuple[dict[str, Json], ...] = ()
    after: tuple[dict[str, Json], ...] = ()


def item_within(seen: Sequence[RunItem], notes: str, *, name: str, seal: Seal, tenant: str, upto: str) -> Compaction:
    """Give the item that stands for all of `seen` in the response that goes on after it. What was said last stays the last, after the notes."""
    label, staying = label_of_notes(context_of(seen, {})), _staying(seen)
    last = max((number for number in range(len(seen)) if number not in staying), default=-1)
    open_ones = unanswered([item.body for item in seen])
    before = [number for number in staying if number < last and number not in open_ones]
    after = [number for number in staying if number > last or number in open_ones]
    held = Compacted(notes=notes, label=label, before=_kept(seen, before), after=_kept(seen, after), upto=upto)
    return Compaction(body=_sealed(held, name, seal, tenant), label=label)


def item_beside(seen: Sequence[RunItem], notes: str, *, name: str, seal: Seal, tenant: str) -> Compaction:
    """Give the item that stands for what is not given beside it."""
    label, staying = label_of_notes(context_of(seen, {})), _staying(seen)
    open_ones = unanswered([item.body for item in seen])
    return Compaction(
        body=_sealed(Compacted(notes=notes, label=label), name, seal, tenant),
        label=label,
        before=tuple(seen[number].body for number in staying if number not in open_ones),
        after=tuple(seen[number].body for number in staying if number in open_ones),
    )


def label_of_notes(context: Context) -> Label:
    """Give the label of notes on a context: of results without words, too, something may be in them."""
    return Label(
        source="model",
        integrity="untrusted" if context.suspect else "trusted",
        confidentiality="sensitive" if context.sensitive else "internal",
    )


def new_name(new_id: Callable[[str], str]) -> str:
    """Give a name for a compaction item."""
    return new_id(ITEM_PREFIX)


def _sealed(held: Compacted, name: str, seal: Seal, tenant: str) -> dict[str, Json]:
    return compaction(name, seal.close(encode_compacted(held), tenant))


def _staying(seen: Sequence[RunItem]) -> list[int]:
    """Give the places of what stays, in order: words of users and developers, and what has no answer yet."""
    open_ones = unanswered([item.body for item in seen])
    return [
        number
        for number, item in enumerate(seen)
        if number in open_ones or (is_staying(item.body) and not is_notes(item))
    ]


def _kept(seen: Sequence[RunItem], places: Sequence[int]) -> tuple[Staying, ...]:
    return tuple(Staying(body=seen[number].body, label=seen[number].label) for number in places)
