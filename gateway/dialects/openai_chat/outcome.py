"""Reads off an answer's bytes what the record needs, without decoding the answer: the hot path of verbatim answers."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.dialects.dialect import Outcome
from gateway.dialects.openai_chat.usage import Counts, decode_usage, usage_of


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    usage: dict[str, Any] | None = None
    error: Any = None


class _SureAnswer(msgspec.Struct):
    usage: Counts
    choices: list[_Choice] = []
    error: None = None


class _Usage(msgspec.Struct):
    usage: dict[str, Any] | None = None


_decode_sure = msgspec.json.Decoder(_SureAnswer).decode
_decode = msgspec.json.Decoder(_Answer).decode
_decode_any = msgspec.json.Decoder().decode
_USAGE = b'"usage":'
_DONE = (b"data: [DONE]", b"data:[DONE]")
_FINISH = b'"finish_reason":'
_EMPTY = (b'"choices":[]', b'"choices": []', b"[DONE]")


def read_answer(body: bytes) -> Outcome:
    """Read a whole answer. Never raises: an unreadable body gives an empty, incomplete Outcome, and so does one without choices."""
    try:
        sure = _decode_sure(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_answer(body)
    if not sure.choices:
        return Outcome(usage=usage_of(sure.usage), complete=False)
    return Outcome(usage=usage_of(sure.usage), finish_reason=sure.choices[0].finish_reason)


def read_document(body: bytes) -> Outcome:
    """Read a document that counts as answers do, and has no choices. Never raises."""
    try:
        return Outcome(usage=usage_of(_decode_sure(body).usage))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_answer(body, chosen=False)


def _read_odd_answer(body: bytes, *, chosen: bool = True) -> Outcome:
    """Read an answer without usage, with figures of other kinds, or with an error in it."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome(complete=False)
    error = _error_code(answer.error) if answer.error else None
    reason = answer.choices[0].finish_reason if answer.choices else None
    usage = decode_usage(answer.usage) if answer.usage else None
    complete = error is None and (bool(answer.choices) or not chosen)
    return Outcome(usage=usage, finish_reason=reason, complete=complete, error=error)


def says_nothing(data: bytes) -> bool:
    """Whether whole events of a stream's beginning have no choice: Azure begins with one about its filters."""
    if not data.startswith((b":", b"data:")) or not any(mark in data for mark in _EMPTY):
        return False
    end = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    return all(_has_no_choice(event) for event in data.split(end) if event.strip())


def _has_no_choice(event: bytes) -> bool:
    if event.startswith(b":") or _is_done(event):
        return True
    try:
        chunk = _decode_any(event[event.find(b"data:") + 5 :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and not chunk.get("error")


def _is_done(event: bytes) -> bool:
    return event.startswith(_DONE)


def read_stream(head: bytes, tail: bytes) -> Outcome:
    """Read a stream by its end: the last usage, the last finish reason, and `[DONE]` as the mark of completeness."""
    usage = _last_usage(tail)
    if usage is None and head is not tail:
        usage = _last_usage(head)
    at = tail.rfind(b'"error":')
    error = None
    if at >= 0:
        line = tail[tail.rfind(b"data:", 0, at) + 5 : _line_end(tail, at)]
        error = _stream_error(line)
    reason = _last_reason(tail)
    complete = error is None and (tail.rstrip().endswith(_DONE) or reason is not None)
    return Outcome(usage=usage, finish_reason=reason, complete=complete, error=error)


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


def _last_usage(data: bytes) -> Any:
    """Find the last `usage` that is an object. A text that looks like one cannot be taken for it: quotes are escaped there."""
    end = len(data)
    while (at := data.rfind(_USAGE, 0, end)) >= 0:
        if data[at + len(_USAGE) : at + len(_USAGE) + 2].lstrip()[:1] == b"{":
            line = data[data.rfind(b"data:", 0, at) + 5 : _line_end(data, at)]
            try:
                found = _usage_of(line).usage
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found = None
            if found and (usage := decode_usage(found)):
                return usage
        end = at
    return None


_usage_of = msgspec.json.Decoder(_Usage).decode


def _last_reason(data: bytes) -> str | None:
    end = len(data)
    while (at := data.rfind(_FINISH, 0, end)) >= 0:
        value = data[at + len(_FINISH) : at + len(_FINISH) + 64].lstrip()
        if value[:1] == b'"' and (close := value.find(b'"', 1)) > 0:
            return value[1:close].decode("utf-8", "replace")
        end = at
    return None


def _stream_error(line: bytes) -> str | None:
    try:
        value = _decode_any(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    return _error_code(error) if error else None


def _error_code(error: Any) -> str:
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        return str(code) if code else "upstream_error"
    return "upstream_error"


def strip_usage_chunk(data: bytes) -> bytes:
    """Take the usage-only event out of event-aligned stream bytes: for a client that did not ask for what we asked for."""
    if b'"choices":[]' not in data and b'"choices": []' not in data:
        return data
    end = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    return b"".join(event + end for event in data.split(end) if event.strip(b"\r\n") and not _is_usage_only(event))


def _is_usage_only(event: bytes) -> bool:
    if b'"choices":[]' not in event and b'"choices": []' not in event:
        return False
    try:
        chunk = _decode_any(event[event.find(b"data:") + 5 :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)
