"""What can be read off an answer's bytes without decoding all of it: usage, how it ended, whether it did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.usage import Usage
from gateway.dialects.dialect import Outcome
from gateway.dialects.openai_responses.usage import decode_usage


class _Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The few fields of a Response that an Outcome needs; the decoder skips over all others."""

    status: str | None = None
    usage: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    output: list[_Kind] | None = None


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None


class _Terminal(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    response: _Summary | None = None
    code: str | None = None
    error: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Summary).decode
_decode_terminal = msgspec.json.Decoder(_Terminal).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NAMED_AT_END = re.compile(rb'"type":\s*"response\.(completed|incomplete)"')
_TERMINAL = {"completed": "stop", "incomplete": "length", "failed": None}


def read_document(body: bytes) -> Outcome:
    """Read usage and finish reason off a whole answer's bytes."""
    try:
        return _outcome(_decode_summary(body))
    except _UNREADABLE:
        return Outcome(usage=_last_usage(body), complete=body.rstrip().endswith(b"}"))


def _outcome(summary: _Summary) -> Outcome:
    code = (summary.error or {}).get("code") or ("server_error" if summary.status == "failed" else None)
    reason = None if code else "stop"
    if summary.status == "incomplete":
        reason = "content_filter" if (summary.incomplete_details or {}).get("reason") == "content_filter" else "length"
    elif reason and any(item.type in ("function_call", "custom_tool_call") for item in summary.output or ()):
        reason = "tool_calls"
    return Outcome(usage=decode_usage(summary.usage), finish_reason=reason, error=str(code) if code else None)


def read_tail(tail: bytes) -> Outcome:
    """Read the same off the end of a stream. Its last event holds the whole answer, so its beginning may be missing."""
    text = tail.rstrip().removesuffix(b"[DONE]").rstrip().removesuffix(b"data:")  # some end as Chat Completions does
    start = text.rfind(b"\ndata:")  # JSON has no line breaks inside: this is where the last event's data begins
    if start >= 0 or text.startswith(b"data:"):
        try:
            return _terminal(_decode_terminal(_first_line(text[start + 6 if start >= 0 else 5 :])))
        except _UNREADABLE:
            return Outcome(complete=False)
    line = _first_line(text)
    usage = _last_usage(line)
    named = _NAMED_AT_END.search(line)  # OpenAI names the event before the response, vLLM after it
    reason = _TERMINAL[named[1].decode()] if named else None
    # A response has usage only once it has ended.
    return Outcome(usage=usage, finish_reason=reason, complete=usage is not None and line.endswith(b"}"))


def _first_line(text: bytes) -> bytes:
    """Give the data without the comments that may follow it."""
    return text.strip().partition(b"\n")[0].rstrip()


def _terminal(event: _Terminal) -> Outcome:
    if event.type == "error" or event.error:
        return Outcome(error=str(event.code or (event.error or {}).get("code") or "server_error"))
    if event.response is None or event.type.removeprefix("response.") not in _TERMINAL:
        return Outcome(complete=False)
    return _outcome(event.response)


def _last_usage(data: bytes) -> Usage | None:
    for start in _backwards(data, b'"usage"'):
        text = data[start + 7 :].decode("utf-8", "replace").lstrip().removeprefix(":").lstrip()
        try:
            found, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            continue
        if (usage := decode_usage(found)) is not None:
            return usage
    return None


def _backwards(data: bytes, sought: bytes) -> Iterator[int]:
    end = len(data)
    while (end := data.rfind(sought, 0, end)) >= 0:
        yield end
