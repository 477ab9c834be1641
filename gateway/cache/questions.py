"""Finds the question in a call: what a user said last, where nothing else was said that matters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.core.items import Json

_INSTRUCTING: Final = ("system", "developer")
_TEXT_PARTS: Final = ("text", "input_text", "output_text")
_OF_A_TEXT: Final = frozenset({"type", "text", "cache_control"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question, what was said before it, and the call's fields without the question."""

    text: str
    said: tuple[str, ...]
    rest: dict[str, Any]


def asked(fields: Mapping[str, Json], *, conversations: bool = False) -> Asked | None:
    """Give the question of a Chat, Responses or Messages body; None where it does not end with one user's text alone.

    Where something but instructions was said before, there is one only with `conversations`.
    """
    name = "messages" if "messages" in fields else "input"
    value = fields.get(name)
    if name == "input" and isinstance(value, str):
        return Asked(text=value, said=(), rest={**fields, "input": None}) if value.strip() else None
    if not isinstance(value, list) or not value:
        return None
    *before, last = value
    text = _text(last) if isinstance(last, dict) and last.get("role") == "user" else None
    if text is None or not text.strip():
        return None
    said = _said(before)
    if said is None or (said and not conversations):
        return None
    return Asked(text=text, said=said, rest={**fields, name: [*before, {**last, "content": None}]})


def is_conversation(fields: Mapping[str, Json]) -> bool:
    """Whether something but instructions was said before a user's last words."""
    value = fields.get("messages" if "messages" in fields else "input")
    if not isinstance(value, list) or len(value) < 2:
        return False
    last = value[-1]
    if not isinstance(last, dict) or last.get("role") != "user":
        return False
    return any(not isinstance(one, dict) or one.get("role") not in _INSTRUCTING for one in value[:-1])


def _said(before: list[Json]) -> tuple[str, ...] | None:
    """Give what users and the assistant said; None where there is more than texts, as a tool's result."""
    said = []
    for message in before:
        if not isinstance(message, dict):
            return None
        if message.get("role") in _INSTRUCTING:
            continue
        text = _text(message)
        if text is None:
            return None
        said.append(text)
    return tuple(said)


def _text(message: Mapping[str, Json]) -> str | None:
    """Give all that a message says, None where it holds more than text."""
    if message.get("type", "message") != "message" or message.get("tool_calls") or message.get("function_call"):
        return None
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") not in _TEXT_PARTS or not _OF_A_TEXT.issuperset(part):
            return None
        if not isinstance(part.get("text"), str):
            return None
        texts.append(part["text"])
    return "\n".join(texts)
