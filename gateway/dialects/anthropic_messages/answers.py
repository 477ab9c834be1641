"""Whole answers, both ways: a `message` document and the hub's Answer.

What a message says beyond the hub's words (container, stop_details, a stop reason without an equal …) is kept in
`Finished.detail[NAME]`: `stop_reason` as it came when it has no equal, `message` and `usage` for their further fields.
"""

from __future__ import annotations

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, UpstreamBroken
from gateway.core.events import Finished, FinishReason, Started
from gateway.core.items import Foreign, Item, Json, Message, Reasoning, Refusal, Text, ToolCall
from gateway.dialects.answer_ids import answer_id
from gateway.dialects.anthropic_messages.blocks_decode import decode_block
from gateway.dialects.anthropic_messages.blocks_encode import marked, text_block, thinking_block, tool_input
from gateway.dialects.anthropic_messages.errors import stream_error
from gateway.dialects.anthropic_messages.names import FINISH_REASONS, NAME, STOP_REASONS
from gateway.dialects.anthropic_messages.usage import decode_usage, encode_usage, usage_extras

Raw = dict[str, Json]

_encode = msgspec.json.Encoder().encode
_KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})


def decode_message(fields: Raw) -> Answer:
    """Translate a `message` document. Each block becomes one item. Raises UpstreamBroken, UpstreamRefused for an error document."""
    if fields.get("type") == "error" and isinstance(error := fields.get("error"), dict):
        raise stream_error(error)
    content = fields.get("content")
    if fields.get("type", "message") != "message" or not isinstance(content, list):
        msg = "The upstream's answer is not a message of the Anthropic API."
        raise UpstreamBroken(msg)
    usage = fields.get("usage")
    return Answer(
        started=Started(id=_text(fields, "id"), model=_text(fields, "model"), created=0, target=""),
        items=tuple(decode_item(raw, number) for number, raw in enumerate(content)),
        finished=finished(
            stop_reason=fields.get("stop_reason"),
            stop_sequence=fields.get("stop_sequence"),
            usage=usage if isinstance(usage, dict) else None,
            extra=message_extras(fields),
        ),
    )


def _text(fields: Raw, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def message_extras(fields: Raw) -> Raw:
    """Give the fields of a message that the hub has no name for."""
    return {name: value for name, value in fields.items() if name not in _KNOWN}


def decode_item(raw: Json, number: int) -> Item:
    """Translate one block of an answer to an item of its own. Raises UpstreamBroken."""
    if not isinstance(raw, dict):
        msg = f"Block {number} of the upstream's answer is not an object."
        raise UpstreamBroken(msg)
    try:
        block = decode_block(raw, f"content[{number}]")
    except InvalidRequest as exc:
        msg = f"The upstream's answer is not a message of the Anthropic API: {exc.message}"
        raise UpstreamBroken(msg) from exc
    if isinstance(block, Text):
        return Message(role="assistant", parts=(block,))
    if isinstance(block, ToolCall | Reasoning | Foreign):
        return block
    # Images and the like are no blocks of an answer as far as is known.
    return Foreign(dialect=NAME, raw=raw)


def finished(*, stop_reason: Json, stop_sequence: Json, usage: Raw | None, extra: Raw) -> Finished:
    """Make the end of an answer from its wire fields."""
    known = FINISH_REASONS.get(stop_reason) if isinstance(stop_reason, str) else None
    reason: FinishReason = known or "stop"
    detail: Raw = {}
    if STOP_REASONS[reason] != stop_reason:
        detail["stop_reason"] = stop_reason
    if extra:
        detail["message"] = extra
    if usage is not None and (more := usage_extras(usage)):
        detail["usage"] = more
    return Finished(
        reason=reason,
        usage=None if usage is None else decode_usage(usage),
        stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
        detail={NAME: detail} if detail else {},
    )


def encode_message(answer: Answer, call: Call) -> bytes:
    """Give the `message` document for the client of `call`."""
    detail = own_detail(answer.finished)
    content: list[Raw] = []
    for item in answer.items:
        content += encode_item(item)
    calls = any(isinstance(item, ToolCall) for item in answer.items)
    return _encode(
        {
            "id": answer_id(answer.started.id, call.id, "msg_"),
            "type": "message",
            "role": "assistant",
            "model": answer.started.model or call.model,
            "content": content,
            "stop_reason": stop_reason(answer.finished, calls=calls, refuses=_refuses(answer)),
            "stop_sequence": answer.finished.stop_sequence,
            "usage": encode_usage(answer.finished.usage, detail.get("usage")),
            **(detail.get("message") or {}),
        }
    )


def _refuses(answer: Answer) -> bool:
    return any(isinstance(part, Refusal) for item in answer.items if isinstance(item, Message) for part in item.parts)


def own_detail(end: Finished) -> Raw:
    """Give what this dialect kept beside the hub's words."""
    detail = end.detail.get(NAME)
    return detail if isinstance(detail, dict) else {}


def stop_reason(end: Finished, *, calls: bool, refuses: bool) -> Json:
    """Give `stop_reason`. Clients run tools only on `tool_use`, so a `stop` after tool calls is one."""
    detail = own_detail(end)
    if "stop_reason" in detail:
        return detail["stop_reason"]
    if end.reason == "stop" and (calls or refuses):
        return "tool_use" if calls else "refusal"
    return STOP_REASONS[end.reason]


def encode_item(item: Item) -> list[Raw]:
    """Give the blocks that show one item to a client: none where there is nothing to show."""
    if isinstance(item, Message):
        texts = (part for part in item.parts if isinstance(part, Text | Refusal) and part.text)
        foreign = [part.raw for part in item.parts if isinstance(part, Foreign) and part.dialect == NAME]
        return [marked(text_block(part), part.cache, part.rest) for part in texts] + foreign
    if isinstance(item, ToolCall):
        return [marked(tool_use_block(item), None, item.rest)]
    if isinstance(item, Reasoning):
        block = thinking_block(item)
        return [] if block is None else [marked(block, None, item.rest)]
    # What another dialect alone understands cannot be shown to a client of this one.
    return [item.raw] if isinstance(item, Foreign) and item.dialect == NAME else []


def tool_use_block(item: ToolCall) -> Raw:
    """Give the `tool_use` block of a call."""
    return {"type": "tool_use", "id": item.call_id, "name": item.name, "input": tool_input(item)}
