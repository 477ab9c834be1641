"""Errors in OpenAI's form, both ways; shared by every dialect that OpenAI made, and by those that copied it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.core.errors import (
    ContextLengthExceeded,
    Forbidden,
    InvalidOutput,
    InvalidRequest,
    RateLimited,
    SwitchgearError,
    Unauthenticated,
    Unavailable,
    UpstreamRefused,
)
from gateway.core.items import Json

MAX_MESSAGE = 2048
"""Characters of an upstream's message that are passed on."""

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(prompt|input|request).{0,40}(is )?too long|maximum.{0,20}(context|prompt).{0,20}"
    r"(length|tokens)|exceeds? the (available )?(context|maximum number of tokens)",
    re.IGNORECASE,
)
_TOO_LONG_CODES = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}


def error_object(error: SwitchgearError) -> dict[str, Json]:
    """Give what stands under `error`: message, type, param, code; of an invalid answer more."""
    found = {"message": error.message, "type": _type(error), "param": error.param, "code": error.code}
    return {**found, **about_output(error)}


def about_output(error: SwitchgearError) -> dict[str, Json]:
    """Give what an error says of an answer that is not of the promised form: `violations`, and `raw`, what the model said."""
    if not isinstance(error, InvalidOutput) or error.raw is None:
        return {}
    return {"violations": list(error.violations), "raw": error.raw}


def encode_error(error: SwitchgearError) -> bytes:
    """Give the JSON document for an error."""
    return msgspec.json.encode({"error": error_object(error)})


def _type(error: SwitchgearError) -> str:
    """Name the kind as OpenAI does; its clients sort by HTTP status, people by this."""
    if isinstance(error, InvalidRequest):
        return "invalid_request_error"
    if isinstance(error, Unauthenticated):
        return "authentication_error"
    if isinstance(error, Forbidden):
        return "permission_error"
    if isinstance(error, RateLimited) or error.status == 429:
        return "rate_limit_error"
    if isinstance(error, Unavailable) or error.status == 503:
        return "service_unavailable_error"
    return "invalid_request_error" if error.status < 500 else "server_error"


def read_error(status: int, body: bytes) -> SwitchgearError:
    """Translate an upstream's error answer, whatever it looks like. Never raises."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UpstreamRefused(_garbage(status, body), upstream_status=_http(status))
    return refusal(value, status)


def refusal(value: Json, status: int) -> SwitchgearError:
    """Translate a decoded error document; `status` is the HTTP status, or a guess where there was none."""
    fields = _fields(value)
    message = _message(fields) or f"The upstream answered with status {status} and no message."
    message = message[:MAX_MESSAGE]
    param = fields.get("param") if isinstance(fields.get("param"), str) else None
    code = fields.get("code") or fields.get("status") or fields.get("type")
    code = code if isinstance(code, str) else None
    if code == InvalidOutput.code:
        # Another gateway, or a child of ours, has judged the answer.
        return _invalid_output(fields, message, param)
    if status in (400, 413, 422) and (code in _TOO_LONG_CODES or _TOO_LONG.search(message)):
        return ContextLengthExceeded(message, param=param)
    return UpstreamRefused(message, upstream_status=_http(status), param=param, code=code)


def _invalid_output(fields: dict[str, Json], message: str, param: str | None) -> InvalidOutput:
    raw, found = fields.get("raw"), fields.get("violations")
    violations = tuple(str(one)[:MAX_MESSAGE] for one in found) if isinstance(found, list) else (message,)
    return InvalidOutput(message, param=param, violations=violations, raw=raw if isinstance(raw, str) else "")


def in_stream(value: Json) -> SwitchgearError:
    """Translate an error that came inside a stream, where the HTTP status said 200."""
    fields = _fields(value)
    code = fields.get("code")
    status = code if isinstance(code, int) else fields.get("status_code")
    if isinstance(code, str) and code.isdigit():
        status = int(code)
    if not isinstance(status, int) or not 400 <= status < 600:
        kind = f"{fields.get('type')} {code}".lower()
        status = 429 if "rate_limit" in kind else 400 if "invalid_request" in kind or "content_filter" in kind else 500
    return refusal(value, status)


def _http(status: int) -> int:
    return status if 400 <= status < 600 else 502


def _fields(value: Json) -> dict[str, Json]:
    """Find the object that has the message: OpenAI nests it, Gemini puts that into a list, vLLM may not nest at all."""
    if isinstance(value, list):
        value = value[0] if value else {}
    if not isinstance(value, dict):
        return {"message": value}
    inner = value.get("error")
    if isinstance(inner, dict):
        return inner
    if isinstance(inner, str):
        return {**value, "message": value.get("message") or inner}
    return value


def _message(fields: dict[str, Json]) -> str:
    for name in ("message", "detail", "msg", "error_description"):
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, (list, dict)) and value:
            # FastAPI's validation errors: a list of {loc, msg}.
            return msgspec.json.encode(value).decode()
    return ""


def _garbage(status: int, body: bytes) -> str:
    text = body[: 4 * MAX_MESSAGE].decode("utf-8", "replace").strip()
    if not text:
        return f"The upstream answered with status {status} and an empty body."
    if text[:1] == "<":
        title = _between(text, "<title", "</title") or _between(text, "<h1", "</h1")
        said = f": {title}" if title else "."
        return f"The upstream answered with status {status} and a web page{said}"[:MAX_MESSAGE]
    return f"The upstream answered with status {status}: {text}"[:MAX_MESSAGE]


def _between(page: str, start: str, end: str) -> str:
    """Give the text of the first element, in one line. (A pattern would take quadratic time on a hostile page.)"""
    lowered = page.lower()
    first = lowered.find(">", max(0, lowered.find(start)))
    last = lowered.find(end, first)
    return " ".join(page[first + 1 : last].split()) if start in lowered and 0 <= first < last else ""
