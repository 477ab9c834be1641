"""Reads usage and finish reason off an answer's bytes, without decoding what was said. Nothing here raises."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.items import Json
from gateway.dialects.anthropic_messages.errors import stream_error
from gateway.dialects.anthropic_messages.names import FINISH_REASONS
from gateway.dialects.anthropic_messages.usage import decode_usage, merge_usage
from gateway.dialects.dialect import Outcome

Raw = dict[str, Json]

_LAST_EVENTS = 16
"""How many events from the end are looked at for the last message_delta: pings and unknown ones may stand between."""


class _Document(msgspec.Struct):
    """A message, or an error, less its content."""

    type: str = ""
    stop_reason: str | None = None
    usage: Raw | None = None
    error: Raw = {}


class _Delta(msgspec.Struct, frozen=True):
    stop_reason: str | None = None


class _End(msgspec.Struct):
    """An event of the end of a stream; `delta` is that of message_delta."""

    type: str = ""
    delta: _Delta = _Delta()
    usage: Raw | None = None
    error: Raw = {}


class _Start(msgspec.Struct):
    message: _Document


_document = msgspec.json.Decoder(_Document).decode
_end = msgspec.json.Decoder(_End).decode
_start = msgspec.json.Decoder(_Start).decode


def read_message(body: bytes) -> Outcome:
    """Read a whole answer; an unreadable one gives an empty Outcome."""
    try:
        document = _document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome()
    if document.type == "error":
        return Outcome(error=stream_error(document.error).code)
    return Outcome(
        usage=None if document.usage is None else decode_usage(document.usage),
        finish_reason=_reason(document.stop_reason),
    )


def read_message_stream(head: bytes, tail: bytes) -> Outcome:
    """Read a stream: message_start from its first bytes, message_delta and message_stop from its last."""
    usage = _first_usage(head)
    reason: str | None = None
    error: str | None = None
    complete = False
    for data in _last_data(tail):
        if b"message_" not in data and b'"error"' not in data:
            continue
        try:
            found = _end(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if found.type == "message_stop":
            complete = True
        elif found.type == "error":
            error = stream_error(found.error).code
        elif found.type == "message_delta":
            reason = _reason(found.delta.stop_reason)
            if found.usage is not None:
                usage = merge_usage(usage or {}, found.usage)
            break
    return Outcome(
        usage=None if usage is None else decode_usage(usage), finish_reason=reason, complete=complete, error=error
    )


def _reason(stop_reason: str | None) -> str | None:
    return None if stop_reason is None else FINISH_REASONS.get(stop_reason, "stop")


def _first_usage(head: bytes) -> Raw | None:
    at = head.find(b'"message_start"')
    if at < 0:
        return None
    start = head.rfind(b"data:", 0, at)
    end = head.find(b"\n", at)
    line = head[start + 5 : end if end >= 0 else None] if start >= 0 else b""
    try:
        return _start(line).message.usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _last_data(tail: bytes) -> Iterator[bytes]:
    """Give the data of the last events, the very last first."""
    end = len(tail)
    found = 0
    while end > 0 and found < _LAST_EVENTS:
        start = tail.rfind(b"\n", 0, end) + 1
        if tail.startswith(b"data:", start):
            found += 1
            yield tail[start + 5 : end]
        end = start - 1
