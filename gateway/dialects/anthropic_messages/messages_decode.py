"""`system` and `messages` of a request: from the wire to items."""

from __future__ import annotations

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Item, Json, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from gateway.dialects.anthropic_messages.blocks_decode import Block, decode_block
from gateway.dialects.anthropic_messages.names import NAME, rest_of, with_notes
from gateway.dialects.anthropic_messages.sealed_reasoning import unseal
from gateway.dialects.anthropic_messages.shapes import Said
from gateway.dialects.rest import extras
from gateway.dialects.sealed_reasoning import PREFIX
from gateway.dialects.shapes import check

Raw = dict[str, Json]

_MISPLACED: dict[str, tuple[type, ...]] = {
    "user": (ToolCall, Reasoning),
    "assistant": (ToolResult,),
}


def decode_system(system: str | list[Raw]) -> Message:
    """Translate the top-level `system`. Raises InvalidRequest with the path of the fault."""
    if isinstance(system, str):
        return Message(role="system", parts=(Text(text=system),))
    parts = tuple(_system_part(raw, f"system[{number}]") for number, raw in enumerate(system))
    return Message(role="system", parts=parts, rest=rest_of({"$blocks": True}))


def _system_part(raw: Raw, path: str) -> Text:
    block = decode_block(raw, path)
    if not isinstance(block, Text):
        msg = f"A system prompt is made of text blocks, not {raw['type']!r}: `{path}.type`."
        raise InvalidRequest(msg, param=f"{path}.type")
    return block


def decode_messages(messages: list[Raw]) -> list[Item]:
    """Translate `messages`. Raises InvalidRequest with the path of the fault."""
    if not messages:
        msg = "At least one message is required: `messages`."
        raise InvalidRequest(msg, param="messages")
    items: list[Item] = []
    before: str | None = None
    for number, raw in enumerate(messages):
        path = f"messages[{number}]"
        said = check(raw, Said, path)
        turn = _turn(said.role, said.content, f"{path}.content")
        notes = _notes(raw, begins=said.role == before)
        items.append(msgspec.structs.replace(turn[0], rest=with_notes(turn[0].rest, notes)) if notes else turn[0])
        items += turn[1:]
        before = said.role
    return items


def _notes(raw: Raw, *, begins: bool) -> dict[str, Json]:
    notes: dict[str, Json] = {}
    if begins:
        notes["$begins"] = True
    if raw["role"] == "system":
        notes["$inline"] = True
    if unknown := extras(raw, {"role", "content"}):
        notes["$message"] = unknown
    return notes


def _turn(role: Role, content: str | list[Raw], path: str) -> list[Item]:
    if isinstance(content, str):
        # An empty text is left out elsewhere; here the client wrote it.
        rest = rest_of({} if content else {"$empty": True})
        return [Message(role=role, parts=(Text(text=content),), rest=rest)]
    items: list[Item] = []
    parts: list[Part] = []
    for number, raw in enumerate(content):
        at = f"{path}[{number}]"
        block = _system_part(raw, at) if role == "system" else decode_block(raw, at)
        if isinstance(block, _MISPLACED.get(role, ())):
            msg = f"A message of role {role!r} cannot contain a block of type {raw['type']!r}: `{at}.type`."
            raise InvalidRequest(msg, param=f"{at}.type")
        if (item := _own_item(block, role, at)) is None:
            assert not isinstance(block, ToolCall | ToolResult | Reasoning)  # noqa: S101 - tells mypy what _own_item did
            parts.append(block)
            continue
        if parts:
            items.append(_message(role, parts))
        if isinstance(item, ToolResult) and items and not isinstance(items[-1], ToolResult):
            item = msgspec.structs.replace(item, rest=with_notes(item.rest, {"$placed": True}))
        items.append(item)
        parts = []
    if parts or not items:
        items.append(_message(role, parts))
    return items


def _own_item(block: Block, role: Role, path: str) -> Item | None:
    """Give the block as an item of its own, None when it is a part of what is being said."""
    if isinstance(block, Reasoning):
        return _restored(block, path)
    if isinstance(block, ToolCall | ToolResult):
        return block
    # The model's own foreign blocks (server tools and their results) are steps, not parts of its words.
    return block if isinstance(block, Foreign) and role == "assistant" else None


def _restored(item: Reasoning, path: str) -> Reasoning:
    if item.redacted:
        opaque, field = item.encrypted or "", "data"
    else:
        opaque, field = item.signature or "", "signature"
    return unseal(opaque, item.text, f"{path}.{field}") if opaque.startswith(PREFIX) else item


def _message(role: Role, parts: list[Part]) -> Message:
    return Message(role=role, parts=tuple(parts), rest={NAME: {"$blocks": True}})
