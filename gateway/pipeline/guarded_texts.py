"""The texts of a call or an answer as guardrails see them: collected in order, and put back changed in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway.core.content import Content, EmbeddingInput, ModerationInput, Prompt, RerankInput
from gateway.core.items import Item, Json, Message, Text
from gateway.protection.content_walk import walk
from gateway.protection.verdict import Edit, edited

_OF_THE_OPERATOR = ("developer", "system")
_SHOWN = frozenset({"chat_template", "chat_template_kwargs", "documents", "prediction", "prompt", "suffix", "system"})
"""Fields of the Completions API, and of servers that go beyond OpenAI's APIs (vLLM), that become a part of the prompt."""
_MARKS = "logprobs"
"""The text once more, a token at a time, and what else might have been said: no text of its own, and gone where that is changed."""


def texts_of(items: Sequence[Item]) -> list[str]:
    """Give every text of items: what was said, thought, asked of tools, and given back by them."""
    found = _Collected()
    for item in items:
        walk(item, found)
    return found.texts


def with_edits(items: Sequence[Item], edits: Sequence[Sequence[Edit]]) -> tuple[Item, ...]:
    """Give the items with the edits of each of their texts made, in the order of `texts_of`."""
    return _with_edits(items, iter(edits))


def _with_edits(items: Sequence[Item], edits: Iterator[Sequence[Edit]]) -> tuple[Item, ...]:
    change = _Edited(edits)
    return tuple([_without_marks(walk(item, change), item) for item in items])


def _without_marks(item: Item, before: Item) -> Item:
    """Take the log probabilities from texts that were changed: they spell out what was taken away."""
    if item is before or not isinstance(item, Message) or not isinstance(before, Message):
        return item
    parts = [
        msgspec.structs.replace(part, logprobs=None)
        if isinstance(part, Text) and isinstance(old, Text) and part.text != old.text
        else part
        for part, old in zip(item.parts, before.parts, strict=True)
    ]
    return msgspec.structs.replace(item, parts=tuple(parts))


def asked(content: Content) -> list[str]:
    """Give what a caller said: not the instructions of whoever built the application, which come with every call."""
    found = _Collected()
    if isinstance(content, Prompt):
        walk((*_judged(content.items), *_asides(content.rest).values()), found)
        return found.texts
    if isinstance(content, EmbeddingInput):
        walk(content.inputs, found)
    elif isinstance(content, RerankInput):
        walk((content.query, *content.documents), found)
    elif isinstance(content, ModerationInput):
        found.json(content.input)
    return found.texts


def with_asked_edits(content: Content, edits: Sequence[Sequence[Edit]]) -> Content | None:
    """Give the content with the edits made, in the order of `asked`; None where that cannot be done."""
    if not isinstance(content, Prompt):
        return None
    following = iter(edits)
    changed = iter(_with_edits(_judged(content.items), following))
    items = tuple([next(changed) if _is_judged(item) else item for item in content.items])
    asides = {name: _Edited(following).json(value, name[1]) for name, value in _asides(content.rest).items()}
    rest = {
        dialect: {name: asides.get((dialect, name), value) for name, value in fields.items()}
        for dialect, fields in content.rest.items()
    }
    return msgspec.structs.replace(content, items=items, rest=rest)


def _asides(rest: Mapping[str, Json]) -> dict[tuple[str, str], Json]:
    """Give what a model may be shown beside the conversation, by dialect and field: several prompts, suffixes, documents."""
    return {
        (dialect, name): value for dialect, fields in rest.items() for name, value in fields.items() if name in _SHOWN
    }


def _judged(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if _is_judged(item)]


def _is_judged(item: Item) -> bool:
    return not (isinstance(item, Message) and item.role in _OF_THE_OPERATOR)


class _Collected:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def text(self, text: str, key: str = "") -> str:
        del key
        self.texts.append(text)
        return text

    def json(self, value: Json, key: str = "") -> Json:
        if key != _MARKS:
            self.texts += _leaves(value)
        return value


class _Edited:
    """The mirror of `_Collected`: what it skips or takes must be the same."""

    def __init__(self, edits: Iterator[Sequence[Edit]]) -> None:
        self._edits = edits

    def text(self, text: str, key: str = "") -> str:
        del key
        edits = next(self._edits, ())
        return edited(text, edits) if edits else text

    def json(self, value: Json, key: str = "") -> Json:
        if key == _MARKS:
            return value
        if isinstance(value, str):
            return self.text(value, key)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {name: self.json(item) for name, item in value.items()}
        return value


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
