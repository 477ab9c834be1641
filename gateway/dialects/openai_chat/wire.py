"""What the hub's answers look like on the wire, for streams and for whole answers alike."""

from __future__ import annotations

from gateway.core.call import Call
from gateway.core.events import Finished, FinishReason, Started
from gateway.core.items import Foreign, Item, Json, Message, Refusal, Text, ToolCall
from gateway.dialects.answer_ids import answer_id
from gateway.dialects.openai_chat.names import NAME, UNSURE
from gateway.dialects.rest import note, own

FINISH: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "stop_sequence": "stop",
}
"""The hub's reason -> finish_reason. A refusal in the model's own words is a stop, as with OpenAI."""


def choice_of(item: Item) -> int:
    """Give the choice that an item belongs to: not 0 only where `n` is above 1."""
    number = note(item.rest, NAME, "choice") if item.rest else None
    return number if isinstance(number, int) else 0


def finish_reason(finished: Finished, choice: int, *, refusal: bool, deprecated: bool) -> str:
    """Give the choice's `finish_reason`."""
    detail: dict[str, Json] = finished.detail.get(NAME) or {}
    reason = (detail.get("reasons") or {}).get(str(choice), finished.reason)
    if reason == "refusal" and refusal:
        return "stop"
    if reason == "tool_calls" and deprecated:
        return "function_call"
    return FINISH.get(reason, "stop")


def about(finished: Finished) -> dict[str, Json]:
    """Give what the upstream said about its answer besides: fingerprint, tier, moderation."""
    detail: dict[str, Json] = finished.detail.get(NAME) or {}
    return {name: value for name, value in detail.items() if name not in ("usage", "reasons", UNSURE)}


def wants_usage(call: Call) -> bool:
    """Whether the client asked for a chunk with usage at the stream's end. (A call that went verbatim was not checked.)"""
    options = call.fields.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def raw_usage(finished: Finished) -> Json:
    """Give the upstream's own `usage` where it spoke this dialect."""
    return (finished.detail.get(NAME) or {}).get("usage")


def head(started: Started, call: Call, kind: str) -> dict[str, Json]:
    """Give the fields that every chunk and every answer begins with."""
    return {
        "id": answer_id(started.id, call.id, "chatcmpl-"),
        "object": kind,
        "created": started.created,
        "model": started.model or call.model,
    }


def is_function_call(item: Item) -> bool:
    """Whether a tool call is to go out in the deprecated form."""
    return isinstance(item, ToolCall) and note(item.rest, NAME, "function") is not None


def encode_tool_call(item: ToolCall) -> dict[str, Json]:
    """Give one entry of `tool_calls`."""
    mine = own(item.rest, NAME) if item.rest else {}
    text = "arguments" if item.kind == "function" else "input"
    return {"id": item.call_id, "type": item.kind, item.kind: {"name": item.name, text: item.arguments}, **mine}


def citations(message: Message) -> list[Json]:
    """Give the citations that this API knows, in its form: those of URLs."""
    found = [mark for part in message.parts if isinstance(part, Text) for mark in part.annotations]
    return [
        mark if "url_citation" in mark else {"type": "url_citation", "url_citation": _without_type(mark)}
        for mark in found
        if isinstance(mark, dict) and mark.get("type") == "url_citation"
    ]


def _without_type(mark: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in mark.items() if name != "type"}


def audio(message: Message) -> Json:
    """Give the spoken answer, None where there is none."""
    parts = (part for part in message.parts if isinstance(part, Foreign) and part.dialect == NAME)
    return next((part.raw["audio"] for part in parts if part.raw.get("type") == "audio"), None)


def has_refusal(item: Item) -> bool:
    """Whether the model says in its own words that it will not."""
    return isinstance(item, Message) and any(isinstance(part, Refusal) for part in item.parts)
