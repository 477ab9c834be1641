"""Whole answers, both ways."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, SwitchgearError, UpstreamBroken
from gateway.core.events import Finished, FinishReason, Started
from gateway.core.items import Item, Json, Message, Reasoning, Refusal, ToolCall
from gateway.dialects.openai_errors import in_stream, refusal
from gateway.dialects.openai_responses.decode_items import decode_item
from gateway.dialects.openai_responses.encode_items import item_prefix, output_item
from gateway.dialects.openai_responses.response_object import ResponseDocument, incomplete_reason, request_of
from gateway.dialects.openai_responses.usage import decode_usage
from gateway.dialects.openai_responses.written import NAME

_encode = msgspec.json.Encoder().encode

_STATUS_OF_CODE = {"rate_limit_exceeded": 429, "server_error": 500, "vector_store_timeout": 504}
_CALLERS_FAULT = ("invalid_", "image_", "empty_", "unsupported_", "context_length_exceeded", "failed_to_download")


def encode_document(answer: Answer, call: Call) -> bytes:
    """Give the Response for a whole answer to `call`."""
    document = ResponseDocument(request_of(call), call.id)
    document.start(answer.started)
    cut_off = incomplete_reason(answer.finished, refuses=any(map(refuses, answer.items))) is not None
    last = len(answer.items) - 1
    output: list[Json] = []
    for number, item in enumerate(answer.items):
        status = "incomplete" if number == last and cut_off else "completed"
        wire = output_item(item, item_name(item, document.id, len(output)), status)
        if wire is not None:
            output.append(wire)
    return _encode(document.finished(answer.finished, output))


def item_name(item: Item, response: str, place: int) -> str:
    """Give an item's id: its own if it has the form of this API, else one made from the response's id and its place."""
    prefix, given = item_prefix(item), getattr(item, "id", None)
    if isinstance(given, str) and given.startswith(prefix):
        return given
    return f"{prefix}{response.removeprefix('resp_')}_{place}"


def decode_document(fields: dict[str, Json]) -> Answer:
    """Translate an upstream's Response. Raises UpstreamRefused for a failed one, UpstreamBroken for what is none."""
    if fields.get("status") == "failed" or (fields.get("error") and not fields.get("output")):
        raise failure(fields)
    output = fields.get("output")
    if not isinstance(output, list):
        msg = "The upstream's answer has no `output`."
        raise UpstreamBroken(msg)
    items = tuple(decode_output_item(item, number) for number, item in enumerate(output))
    return Answer(started=started(fields), items=items, finished=finished(fields, items))


def decode_output_item(value: Json, number: int) -> Item:
    """Read one item of an upstream's output. Raises UpstreamBroken."""
    try:
        item = decode_item(value, f"output[{number}]")
    except InvalidRequest as exc:
        msg = f"The upstream's answer is not what the Responses API promises: {exc.message}"
        raise UpstreamBroken(msg) from exc
    # A client may send reasoning in the clear from anywhere; this one is known to be from here.
    is_own = isinstance(item, Reasoning) and item.origin is None
    return msgspec.structs.replace(item, origin=NAME) if is_own else item


def started(fields: dict[str, Json]) -> Started:
    """Give the beginning of an answer off a Response."""
    created = fields.get("created_at")
    return Started(
        id=str(fields.get("id") or ""),
        model=str(fields.get("model") or ""),
        created=int(created) if isinstance(created, (int, float)) else 0,
        target="",
    )


def finished(fields: dict[str, Json], items: Sequence[Item]) -> Finished:
    """Give the end of an answer off a complete or incomplete Response."""
    details = fields.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    if fields.get("status") == "cancelled":
        msg = "The upstream's response was cancelled."
        raise UpstreamBroken(msg)
    usage = decode_usage(fields.get("usage"))
    if fields.get("status") == "incomplete" or why is not None:
        reason: FinishReason = "content_filter" if why == "content_filter" else "length"
        return Finished(reason=reason, usage=usage, detail={} if why is None else {NAME: {"reason": why}})
    detail = {} if fields.get("status") == "completed" else {NAME: {"status": fields.get("status")}}
    return Finished(reason=_end(items), usage=usage, detail=detail)


def _end(items: Sequence[Item]) -> FinishReason:
    if any(isinstance(item, ToolCall) for item in items):
        return "tool_calls"
    return "refusal" if items and refuses(items[-1]) else "stop"


def refuses(item: Item) -> bool:
    """Whether the model says in its own words that it will not."""
    return isinstance(item, Message) and any(isinstance(part, Refusal) for part in item.parts)


def failure(fields: dict[str, Json]) -> SwitchgearError:
    """Give the error of a failed Response, or of an `error` event; the upstream's message is kept."""
    nested = fields.get("error")
    error = nested if isinstance(nested, dict) else fields
    code = error.get("code")
    if isinstance(code, str) and (code in _STATUS_OF_CODE or code.startswith(_CALLERS_FAULT)):
        return refusal(error, _STATUS_OF_CODE.get(code, 400))
    return in_stream(error)
