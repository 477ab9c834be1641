"""What litellm raises -> errors of ours: the upstream's own message and status, and how long it asks to wait.

litellm wraps the HTTP answer, several times over, and puts its own words around the message; the answer is still there at
the end of the chain of causes. It knows litellm's exceptions by their attributes only and imports nothing of it.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gateway.core.errors import (
    SwitchgearError,
    UnsupportedParameter,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.dialects.openai_errors import read_error
from gateway.providers.retry_after import retry_after

_OWN_WORDS = re.compile(r"^(?:litellm\.\w+: |\w*Error: |\w+Exception - |Error code: \d+ - )+")
_UNSUPPORTED = re.compile(r"does not support parameters: \[([^\]]*)\]")


def translate(exc: Exception, target: str) -> SwitchgearError:
    """Give our error for anything that a call through litellm raised. Never raises."""
    name, status, said = type(exc).__name__, getattr(exc, "status_code", None), _message(exc)
    if name == "UnsupportedParamsError":
        return _unsupported(said, target)
    chain = list(_chain(exc))
    for each in chain:
        answer = getattr(each, "response", None)
        if getattr(answer, "headers", None) and isinstance(getattr(answer, "status_code", None), int):
            return _refusal(answer, said)
    if any(isinstance(each, TimeoutError) or "Timeout" in type(each).__name__ for each in chain):
        return UpstreamTimeout(f"{target} did not answer in time.")
    if any(isinstance(each, OSError) or type(each).__name__ == "ConnectError" for each in chain):
        return UpstreamUnreachable(f"No connection to {target}: {said}")
    if isinstance(status, int) and 400 <= status < 500:
        return read_error(status, said.encode())
    return UpstreamBroken(f"{target} gave no usable answer: {said}")


def _refusal(answer: Any, said: str) -> SwitchgearError:
    body = b""
    with suppress(Exception):  # a stream's body may not have been read; then its message is in litellm's
        body = answer.content
    error = read_error(answer.status_code, body or said.encode())
    error.retry_after = retry_after(_Headers(answer.headers), now=time.time())
    return error


class _Headers:
    """httpx's headers as `retry_after` asks for them."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def header(self, name: bytes) -> bytes | None:
        value = self._headers.get(name.decode())
        return None if value is None else str(value).encode("utf-8", "replace")


def _unsupported(said: str, target: str) -> UnsupportedParameter:
    found = _UNSUPPORTED.search(said)
    names = [name.strip(" '\"") for name in found.group(1).split(",")] if found else []
    what = ", ".join(f"`{name}`" for name in names) or "one of the parameters"
    return UnsupportedParameter(f"{target} does not know {what}.", param=names[0] if names else None)


def _message(exc: Exception) -> str:
    said = getattr(exc, "message", None)
    said = _OWN_WORDS.sub("", said if isinstance(said, str) else str(exc))
    if said.startswith(("b'", 'b"')):
        # Some adapters show the answer as Python writes bytes.
        with suppress(ValueError, SyntaxError, AttributeError):
            said = ast.literal_eval(said).decode("utf-8", "replace")
    return said.split("\nTraceback (most recent call last)")[0].strip() or type(exc).__name__


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was raised from, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
