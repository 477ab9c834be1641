"""Which of an upstream's headers the caller gets to see: its rate limits, its request ids, how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

Headers = tuple[tuple[bytes, bytes], ...]

_LIMITS: Final = b"x-ratelimit-"
_PASSED: Final = (
    b"anthropic-ratelimit-",
    b"openai-processing-ms",
    b"openai-version",
    b"x-request-id",
    b"request-id",
    b"retry-after",
)
_MOST_NAMES: Final = 1024
_kinds: dict[bytes, Literal["passed", "limit", ""]] = {}
"""What has become of names: an upstream sends the same ones with every answer."""


def passed_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Headers, Headers]:
    """Give the headers to pass on, and apart from them the x-ratelimit-* ones; names are in lower case."""
    passed, limits = [], []
    for header in headers:
        kind = _kinds.get(header[0])
        if kind is None:
            kind = _kind_of(header[0])
        if kind == "passed":
            passed.append(header)
        elif kind == "limit":
            limits.append(header)
    return tuple(passed), tuple(limits)


def _kind_of(name: bytes) -> Literal["passed", "limit", ""]:
    kind: Literal["passed", "limit", ""] = ""
    if name.startswith(_LIMITS):
        kind = "limit"
    elif name.startswith(_PASSED):
        kind = "passed"
    if len(_kinds) < _MOST_NAMES:
        _kinds[name] = kind
    return kind
