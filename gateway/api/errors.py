"""Errors on their way out: in which dialect, with which headers. The JSON is the dialects' business."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.asgi import AsgiSend, Headers, Scope, reply
from gateway.core.errors import InvalidOutput, LimitExceeded, MethodNotAllowed, SwitchgearError
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT

_JSON = b"application/json"


async def reply_error(send: AsgiSend, dialect: Dialect, error: SwitchgearError, headers: Headers) -> None:
    """Answer with an error in the caller's dialect. Every 429 and 503 carries `retry-after`."""
    headers = [header for header in headers if header[0] != b"retry-after"]
    headers.append((b"content-type", _JSON))
    seconds = error.retry_after
    if seconds is None and error.status in (429, 503):
        seconds = 1.0
    if seconds is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-seconds // 1))))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode("ascii")))
    if isinstance(error, LimitExceeded):
        headers += error.headers
    if isinstance(error, InvalidOutput) and error.structured:
        headers.append((b"x-switchgear-structured", error.structured.encode("ascii")))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await reply(send, error.status, dialect.encode_error(error), headers)


def dialect_of(scope: Scope) -> Dialect:
    """Give the dialect in which a client of this path expects its errors."""
    return _dialect(scope["path"].encode("utf-8", "replace"), scope["headers"])


def render_refusal(path: bytes, headers: Iterable[tuple[bytes, bytes]], status: int, code: str, message: str) -> bytes:
    """Give the JSON for a request that the server refused before any endpoint saw it."""
    error = SwitchgearError(message)
    error.status, error.code = status, code
    return _dialect(path, headers).encode_error(error)


def _dialect(path: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Dialect:
    anthropic = path.startswith(b"/v1/messages") or any(name == b"anthropic-version" for name, _ in headers)
    return ANTHROPIC_MESSAGES if anthropic else OPENAI_CHAT
