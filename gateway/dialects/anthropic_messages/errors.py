"""Errors, both ways: `{"type": "error", "error": {"type", "message"}}`."""

from __future__ import annotations

import re

import msgspec

from gateway.core.errors import ContextLengthExceeded, InvalidOutput, SwitchgearError, UpstreamRefused
from gateway.core.items import Json

Raw = dict[str, Json]

MAX_MESSAGE = 2048
"""Characters of an upstream's message that are kept."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""HTTP status -> error type; other 4xx are `invalid_request_error`, other 5xx and 422 (the model's fault) `api_error`."""

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Error type -> the status that it would have had, for errors within a stream."""

_TOO_LONG = re.compile(
    r"prompt is too long|exceeds? (?:the )?context (?:limit|window)|maximum context length", re.IGNORECASE
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode_error(error: SwitchgearError) -> bytes:
    """Give the error document.

    `param` and `code` stand beside type and message, and the message names the parameter. A prompt that does not fit says
    so in Anthropic's words, because clients look for them to shorten the conversation.
    """
    message = error.message
    if isinstance(error, ContextLengthExceeded) and "prompt is too long" not in message.lower():
        message = f"prompt is too long: {message}"
    elif error.param and error.param not in message:
        message = f"{error.param}: {message}"
    body: Raw = {"type": _type_of(error.status), "message": message, "code": error.code}
    if error.param:
        body["param"] = error.param
    if isinstance(error, InvalidOutput) and error.raw is not None:
        body |= {"violations": list(error.violations), "raw": error.raw}
    return _encode({"type": "error", "error": body})


def _type_of(status: int) -> str:
    if kind := _TYPES.get(status):
        return kind
    return "invalid_request_error" if 400 <= status < 500 and status != 422 else "api_error"


def read_error(status: int, body: bytes) -> SwitchgearError:
    """Translate an upstream's error answer. Never raises."""
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UpstreamRefused(_not_json(status, body), upstream_status=status)
    found = fields.get("error") if isinstance(fields, dict) else None
    if isinstance(found, str):
        found = {"message": found}
    if not isinstance(found, dict):
        found = fields if isinstance(fields, dict) else {}
    return _error(status, found)


def _not_json(status: int, body: bytes) -> str:
    start = body.lstrip()[:200].lower()
    if not start:
        return f"The upstream answered with status {status} and no body."
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return f"The upstream answered with status {status} and an HTML page instead of JSON."
    return f"The upstream answered with status {status} and a body that is not JSON."


def stream_error(found: Raw) -> SwitchgearError:
    """Translate the `error` of an error event; its type says which status it would have had."""
    return _error(_STATUSES.get(str(found.get("type")), 500), found)


def _error(status: int, found: Raw) -> SwitchgearError:
    kind = found.get("type")
    text = found.get("message")
    if not isinstance(text, str) or not text:
        text = f"The upstream answered with status {status} and gave no reason."
    text = text[:MAX_MESSAGE]
    if status in (400, 413) and _TOO_LONG.search(text):
        return ContextLengthExceeded(text)
    return UpstreamRefused(text, upstream_status=status, code=kind if isinstance(kind, str) else None)
