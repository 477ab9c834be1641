"""What the caller said in a call: its last words and how it got there, whichever dialect it is in. Bounded, and pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.core.call import Call
from gateway.core.items import Json

MOST_CHARACTERS: Final = 4096
"""Of a text, at most so many characters are looked at from its beginning and from its end."""
_MOST_PARTS: Final = 64
_WORDS = ("messages", "input", "prompt")
_TEXTS = ("text", "input_text")


def last_words(call: Call) -> str:
    """Give what the user said last: of a long text its beginning and its end. Empty where there is none."""
    turns = turns_of(call)
    if isinstance(turns, str):
        return shortened(turns)
    for turn in reversed(turns):
        if isinstance(turn, str):
            return shortened(turn)
        # Results of tools are a user's turn to Anthropic, and nobody's words.
        if isinstance(turn, dict) and turn.get("role") == "user" and (said := _said_in(turn)):
            return said
    return ""


def turns_of(call: Call) -> str | list[Json]:
    """Give the turns of a conversation as they came, or the one text that there is."""
    fields = call.fields
    for name in _WORDS:
        turns = fields.get(name)
        if isinstance(turns, str | list):
            return turns
    return []


def shortened(text: str) -> str:
    """Give a text, or the beginning and the end of a long one."""
    if len(text) <= 2 * MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n{text[-MOST_CHARACTERS:]}"


def _said_in(turn: dict[str, Json]) -> str:
    return shortened("\n".join(_texts(turn.get("content"))))


def _texts(content: Json) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content[:_MOST_PARTS]:
            if isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
                yield shortened(part["text"])
