"""Reasoning that only its maker can read or vouch for, in a request: finding it, and leaving it out. Pure.

OpenAI's `encrypted_content`, Anthropic's `signature` of a thinking block and `data` of a redacted one, OpenRouter's
`reasoning_details`; also inside what this server sealed for a client of another API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json, Reasoning
from gateway.dialects.sealed_reasoning import PREFIX, unwrap

SHORTEST: Final = 4
"""Characters of what can be told from others."""

_ENCRYPTED: Final = "reasoning.encrypted_content"
_ASKS_FOR_CHAT: Final = frozenset({"reasoning", "reasoning_effort", "include_reasoning", "thinking"})
_OF_THE_MODEL: Final = frozenset({"function_call", "custom_tool_call", "message", "reasoning"})

Place = tuple[str | int, ...]


def key_of(opaque: str) -> bytes | None:
    """Give the key of an opaque text, the same whether it is sealed or not; None for what is none."""
    if opaque.startswith(PREFIX):
        try:
            found = unwrap(opaque, "")
        except InvalidRequest:
            return None  # its dialect says so
        opaque = found.signature or found.encrypted or ""
    if len(opaque) < SHORTEST:
        return None
    return hashlib.blake2b(opaque.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def may_hold(call: Call) -> bool:
    """Whether there may be any in a call. Asked of every call: no more is looked at than the shape of its turns."""
    dialect, fields = call.dialect, call.fields
    if dialect == "openai_chat":
        for turn in _list(fields.get("messages")):
            if isinstance(turn, dict) and "reasoning_details" in turn:
                return True
    elif dialect == "anthropic_messages":
        for turn in _list(fields.get("messages")):
            if isinstance(turn, dict) and turn.get("role") == "assistant" and isinstance(turn.get("content"), list):
                return True
    elif dialect == "openai_responses":
        for item in _list(fields.get("input")):
            if isinstance(item, dict) and "encrypted_content" in item:
                return True
    return False


def asks_for(call: Call) -> bool:
    """Whether an answer may hold some."""
    dialect, fields = call.dialect, call.fields
    if dialect == "openai_chat":
        return not _ASKS_FOR_CHAT.isdisjoint(fields)
    if dialect == "anthropic_messages":
        thinking = fields.get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") != "disabled"
    include = fields.get("include") if dialect == "openai_responses" else None
    return isinstance(include, list) and _ENCRYPTED in include


def opaque_keys(call: Call) -> list[bytes]:
    """Give the keys of what a call holds, in order."""
    return [key for key, _ in _found(call)] if may_hold(call) else []


def without(call: Call, foreign: Callable[[bytes], bool]) -> tuple[Call, tuple[str, ...]]:
    """Give the call without what is `foreign`, and where it stood; the same call where there is nothing."""
    places = [place for key, place in _found(call) if foreign(key)]
    if not places:
        return call, ()
    names = tuple(dict.fromkeys(_path(place) for place in places))
    fields, dialect = dict(call.fields), call.dialect
    top = "input" if dialect == "openai_responses" else "messages"
    fields[top] = _STRIPPERS[dialect](fields[top], {place[1:] for place in places})
    content = call.content
    if isinstance(content, Prompt):
        kept = tuple(item for item in content.items if not (isinstance(item, Reasoning) and _is_foreign(item, foreign)))
        content = msgspec.structs.replace(content, items=kept)
    if dialect == "anthropic_messages" and "thinking" in fields and _waits_for_tool(fields[top]):
        # Thinking goes on only behind thinking: the API refuses such a turn without its block.
        del fields["thinking"]
        names = (*names, "thinking")
        if isinstance(content, Prompt):
            content = msgspec.structs.replace(content, reasoning=None)
    return msgspec.structs.replace(call, fields=fields, body=msgspec.json.encode(fields), content=content), names


def _is_foreign(item: Reasoning, foreign: Callable[[bytes], bool]) -> bool:
    return any(
        (key := key_of(opaque)) is not None and foreign(key) for opaque in (item.signature, item.encrypted) if opaque
    )


def _found(call: Call) -> Iterator[tuple[bytes, Place]]:
    finder = _FINDERS.get(call.dialect)
    if finder is None:
        return
    for opaque, place in finder(call.fields):
        if isinstance(opaque, str) and (key := key_of(opaque)) is not None:
            yield key, place


def _in_responses(fields: dict[str, Json]) -> Iterator[tuple[Json, Place]]:
    for number, item in enumerate(_list(fields.get("input"))):
        if isinstance(item, dict) and "encrypted_content" in item:
            yield item["encrypted_content"], ("input", number)


def _in_messages(fields: dict[str, Json]) -> Iterator[tuple[Json, Place]]:
    for number, message in enumerate(_list(fields.get("messages"))):
        content = message.get("content") if isinstance(message, dict) else None
        for position, block in enumerate(_list(content)):
            kind = block.get("type") if isinstance(block, dict) else None
            if kind == "thinking":
                yield block.get("signature"), ("messages", number, position)
            elif kind == "redacted_thinking":
                yield block.get("data"), ("messages", number, position)


def _in_chat(fields: dict[str, Json]) -> Iterator[tuple[Json, Place]]:
    for number, message in enumerate(_list(fields.get("messages"))):
        details = message.get("reasoning_details") if isinstance(message, dict) else None
        for position, detail in enumerate(_list(details)):
            if isinstance(detail, dict):
                yield detail.get("signature") or detail.get("data"), ("messages", number, position)


_FINDERS: Final[dict[str, Callable[[dict[str, Json]], Iterator[tuple[Json, Place]]]]] = {
    "openai_responses": _in_responses,
    "anthropic_messages": _in_messages,
    "openai_chat": _in_chat,
}


def _strip_responses(items: list[Any], places: set[Place]) -> list[Any]:
    kept = [item for number, item in enumerate(items) if (number,) not in places]
    # Another account knows none of these ids, and asks for the reasoning that belongs to them.
    return [
        {name: value for name, value in item.items() if name != "id"}
        if isinstance(item, dict) and item.get("type") in _OF_THE_MODEL and "encrypted_content" not in item
        else item
        for item in kept
    ]


def _strip_messages(messages: list[Any], places: set[Place]) -> list[Any]:
    touched = {place[0] for place in places}
    found: list[Any] = []
    for number, message in enumerate(messages):
        if number not in touched:
            found.append(message)
            continue
        blocks = [block for position, block in enumerate(message["content"]) if (number, position) not in places]
        if blocks:
            found.append({**message, "content": blocks})
    return found


def _strip_chat(messages: list[Any], places: set[Place]) -> list[Any]:
    touched = {place[0] for place in places}
    return [
        {
            **message,
            "reasoning_details": [
                detail
                for position, detail in enumerate(message["reasoning_details"])
                if (number, position) not in places
            ],
        }
        if number in touched
        else message
        for number, message in enumerate(messages)
    ]


_STRIPPERS: Final[dict[str, Callable[[list[Any], set[Place]], list[Any]]]] = {
    "openai_responses": _strip_responses,
    "anthropic_messages": _strip_messages,
    "openai_chat": _strip_chat,
}


def _waits_for_tool(messages: list[Any]) -> bool:
    """Whether the last turn gives a tool's result to an assistant that no longer begins with its thinking."""
    last = next((one for one in reversed(messages) if isinstance(one, dict) and one.get("role") == "assistant"), None)
    blocks = [
        block.get("type") for block in _list(None if last is None else last.get("content")) if isinstance(block, dict)
    ]
    return "tool_use" in blocks and blocks[0] not in ("thinking", "redacted_thinking")


def _path(place: Place) -> str:
    return str(place[0]) + "".join(f"[{number}]" for number in place[1:2])


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []
