"""Which answers say the same, and which of them most say. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.config.ensemble_settings import Normalize
from gateway.core.answer import Answer
from gateway.core.items import Json, Message, Refusal, ToolCall
from gateway.routing.ensembles.checking import text_of, unfenced

SHORT: Final = 200
"""Characters up to which case and punctuation do not matter."""

_OPENING: Final = "([{<\"'`*_\u201c\u2018\u00ab"
_CLOSING: Final = ")]}>\"'`*_\u201d\u2019\u00bb.,;:!?"
_SPACES: Final = re.compile(r"\s+")


def meaning_of(answer: Answer, normalize: Normalize) -> str | None:
    """Give what an answer comes to: equal for answers that say the same. None for one that does not count."""
    calls = sorted(_called(item) for item in answer.items if isinstance(item, ToolCall))
    if calls:
        return "calls " + " ".join(calls)
    if any(isinstance(part, Refusal) for item in answer.items if isinstance(item, Message) for part in item.parts):
        return "refusal"
    text = text_of(answer.items)
    if not text.strip():
        return None
    if normalize != "text":
        document = _decoded(unfenced(text))
        if document is not None and (normalize == "json" or isinstance(document[0], (dict, list))):
            return f"json {_canonical(document[0])}"
        if normalize == "json":
            return None
    return f"text {_plain(text)}"


def most_frequent(meanings: Mapping[int, str], weights: Sequence[float]) -> tuple[int, int]:
    """Give the place of the voter whose answer most give, and how many that are. Ties go by weight, then by order.

    `meanings` are by voter, from 0.
    """
    votes: dict[str, list[int]] = {}
    for voter in sorted(meanings):
        votes.setdefault(meanings[voter], []).append(voter)

    def rank(voters: list[int]) -> tuple[int, float, int]:
        return len(voters), sum(weights[voter] for voter in voters), -voters[0]

    won = max(votes.values(), key=rank)
    return max(won, key=lambda voter: (weights[voter], -voter)), len(won)


def is_decided(meanings: Mapping[int, str], outstanding: int) -> bool:
    """Whether no answer that is still to come can change whose wins."""
    counts = sorted(_counts(meanings).values(), reverse=True)
    return bool(counts) and counts[0] > (counts[1] if len(counts) > 1 else 0) + outstanding


def _counts(meanings: Mapping[int, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for meaning in meanings.values():
        counts[meaning] = counts.get(meaning, 0) + 1
    return counts


def _called(call: ToolCall) -> str:
    document = _decoded(call.arguments or "{}") if call.kind == "function" else None
    return f"{call.name}({call.arguments if document is None else _canonical(document[0])})"


def _decoded(text: str) -> tuple[Json] | None:
    try:
        return (msgspec.json.decode(text),)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _canonical(value: Json) -> str:
    """Give JSON in one form: keys in order, no spaces, 1.0 as 1."""
    return msgspec.json.encode(_whole(value), order="deterministic").decode()


def _whole(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _plain(text: str) -> str:
    text = _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip()
    if len(text) > SHORT:
        return text
    # Signs before a number and its point inside belong to it.
    return " ".join(filter(None, (word.lstrip(_OPENING).rstrip(_CLOSING) for word in text.casefold().split(" "))))
