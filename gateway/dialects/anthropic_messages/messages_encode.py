"""Items to `system` and `messages` of a request.

- Leading system and developer messages become `system`; later ones become messages of role `system`, which the API takes.
- Neighbours of one role become one message; within a user's message tool results come first, as the API demands.
- Thinking of this API goes back byte for byte where it stood; that of others is left out and named `reasoning`.
- A refusal becomes text. Empty texts, which the API refuses, are left out, unless this API's own client wrote them.
- A trailing message of the assistant is a prefill and stays.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Item, Json, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.dialects.anthropic_messages.blocks_encode import (
    call_id,
    foreign_block,
    marked,
    request_block,
    thinking_block,
    tool_input,
)
from gateway.dialects.anthropic_messages.names import NAME, TITLE
from gateway.dialects.anthropic_messages.sealed_reasoning import is_native
from gateway.dialects.rest import Leftovers, note
from gateway.dialects.tool_choices import calls_left_out

Raw = dict[str, Json]


class _Turn(msgspec.Struct):
    """One wire message in the making. `plain` while its content may stand as a text."""

    role: str
    blocks: list[Raw]
    plain: bool = True
    keep: bool = False
    placed: bool = False
    fields: dict[str, Any] = {}


def encode_messages(items: tuple[Item, ...], left: Leftovers) -> tuple[Json, list[Raw]]:
    """Give (`system` or None, `messages`). Raises UnsupportedParameter, or InvalidRequest when no message is left."""
    head = 0
    while head < len(items) and _is_leading(items[head]):
        head += 1
    system = _system(items[:head], left)
    turns: list[_Turn] = []
    unheard = calls_left_out(items, NAME)
    for number, item in enumerate(items[head:], head):
        if isinstance(item, ToolResult) and item.call_id in unheard:
            left.refuse(f"items[{number}]")
        else:
            _add(item, turns, left)
    messages = [_wire(turn) for turn in turns if turn.blocks or turn.keep]
    if not messages:
        msg = f"The {TITLE}, which would serve this call, needs at least one message that is not a system prompt."
        raise InvalidRequest(msg, param="messages")
    return system, messages


def _is_leading(item: Item) -> bool:
    return (
        isinstance(item, Message) and item.role in ("system", "developer") and note(item.rest, NAME, "inline") is None
    )


def _system(items: tuple[Item, ...], left: Leftovers) -> Json:
    if not items:
        return None
    turn = _Turn(role="system", blocks=[])
    for item in items:
        if isinstance(item, Message):
            _say(item, turn, "system", left)
    if turn.plain and len(turn.blocks) == 1 and set(turn.blocks[0]) == {"type", "text"}:
        return turn.blocks[0]["text"]
    return turn.blocks if turn.blocks or turn.keep else None


def _role(item: Item) -> str:
    if isinstance(item, Message):
        return "system" if item.role == "developer" else item.role
    return "user" if isinstance(item, ToolResult) else "assistant"


def _add(item: Item, turns: list[_Turn], left: Leftovers) -> None:
    if isinstance(item, Reasoning) and not is_native(item):
        left.hint("reasoning")
        return
    role = _role(item)
    if turns and not turns[-1].blocks and not turns[-1].keep:
        # Nothing of it was left, so its neighbours meet.
        turns.pop()
    if not turns or turns[-1].role != role or note(item.rest, NAME, "begins"):
        turns.append(_Turn(role=role, blocks=[], fields=note(item.rest, NAME, "message") or {}))
    turn = turns[-1]
    path = f"messages[{len(turns) - 1}]"
    if isinstance(item, Message):
        _say(item, turn, path, left)
        return
    turn.plain = False
    if isinstance(item, ToolResult):
        _add_result(item, turn, path, left)
    elif (block := _model_block(item, path, left)) is not None:
        turn.blocks.append(block)


def _say(item: Message, turn: _Turn, path: str, left: Leftovers) -> None:
    left.foreign(item.rest, path + ".")
    if item.name is not None:
        left.hint("name")
    ours = NAME in item.rest
    first = len(turn.blocks)
    for part in item.parts:
        if isinstance(part, Text | Refusal) and not part.text and not ours:
            continue
        at = f"{path}.content[{len(turn.blocks)}]"
        if turn.role == "system" and not isinstance(part, Text):
            left.refuse(at, "Anything but text in a system prompt")
            continue
        if (block := request_block(part, at, left)) is not None:
            turn.blocks.append(block)
    if item.cache is not None and len(turn.blocks) > first:
        turn.blocks[-1].setdefault("cache_control", item.cache)
    turn.keep = turn.keep or ours
    if note(item.rest, NAME, "blocks"):
        turn.plain = False


def _model_block(item: Item, path: str, left: Leftovers) -> Raw | None:
    """Give the block of a step of the model: thinking, a tool call, something foreign."""
    if isinstance(item, Foreign):
        return foreign_block(item, path, left)
    left.foreign(item.rest, path + ".")
    if isinstance(item, Reasoning):
        block = thinking_block(item)
        return None if block is None else marked(block, item.cache, item.rest)
    if isinstance(item, ToolCall):
        call: Raw = {"type": "tool_use", "id": call_id(item.call_id), "name": item.name, "input": tool_input(item)}
        return marked(call, item.cache, item.rest)
    return None


def _add_result(item: ToolResult, turn: _Turn, path: str, left: Leftovers) -> None:
    left.foreign(item.rest, path + ".")
    result: Raw = {"type": "tool_result", "tool_use_id": call_id(item.call_id)}
    listed = note(item.rest, NAME, "blocks")
    parts = (request_block(part, f"{path}.content", left) for part in item.parts)
    blocks = [block for block in parts if block is not None]
    if not listed and len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        result["content"] = blocks[0]["text"]
    elif listed or blocks:
        result["content"] = blocks if listed else [b for b in blocks if b.get("text") != ""]
    if item.is_error or note(item.rest, NAME, "is_error") is False:
        result["is_error"] = item.is_error
    marked(result, item.cache, item.rest)
    turn.placed = turn.placed or bool(note(item.rest, NAME, "placed"))
    turn.blocks.append(result)


def _wire(turn: _Turn) -> Raw:
    blocks = turn.blocks
    if turn.role == "user" and not turn.placed:
        blocks = sorted(blocks, key=lambda block: block["type"] != "tool_result")
    content: Json = blocks
    if turn.plain and len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        content = blocks[0]["text"]
    return {"role": turn.role, "content": content, **turn.fields}
