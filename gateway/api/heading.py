"""What the door reads of a request's headers: who calls and from where, whether the body is JSON, in which trace, what an upstream may see.

Whether any of it is good enough is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.api.asgi import Scope
from gateway.api.identity import raise_contradiction
from gateway.cache.wishes import CONTROL, HEADERS

TRACEPARENT_BYTES: Final = 55
PASSED_HEADERS: Final = frozenset({b"anthropic-beta", b"anthropic-version", b"openai-beta"})

_NOTED: Final = "switchgear.heading"
_NONE: Final[dict[str, Any]] = {}
_FIELDS: Final = {
    b"authorization": "authorization",
    b"content-encoding": "content_encoding",
    b"content-type": "content_type",
    b"host": "host",
    b"origin": "origin",
    b"x-api-key": "api_key",
    b"x-session-id": "session",
}


class Heading:
    """The headers that the door reads. Requests with the same head share one: nothing is changed after it was read."""

    __slots__ = (
        "api_key", "authorization", "cache", "content_encoding", "content_type", "forwarded", "host", "origin", "passed", "session", "trace",
    )  # fmt: skip

    def __init__(self) -> None:
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        self.content_type: bytes | None = None
        self.content_encoding: bytes | None = None
        self.forwarded: bytes | None = None
        self.host: bytes | None = None
        self.origin: bytes | None = None
        self.session: bytes | None = None
        self.trace: str | None = None
        self.cache: dict[bytes, bytes] | None = None
        self.passed: tuple[tuple[bytes, bytes], ...] = ()


def heading_of(scope: Scope) -> Heading:
    """Give the heading of a request, which need not be read where the same head came before. Raises InvalidRequest for contradictions."""
    notes = scope.get("extensions", _NONE).get("switchgear.notes")
    if notes is None:
        return read_heading(scope["headers"])
    found: Heading | None = notes.get(_NOTED)
    if found is None:
        found = notes[_NOTED] = read_heading(scope["headers"])
    return found


def read_heading(headers: Iterable[tuple[bytes, bytes]]) -> Heading:
    """Read headers, in one pass. Raises InvalidRequest where two of them contradict each other."""
    found = Heading()
    for name, value in headers:
        field = _FIELDS.get(name)
        if field is not None:
            if getattr(found, field) not in (None, value):
                raise_contradiction(name)
            setattr(found, field, value)
        elif name == b"x-forwarded-for":
            found.forwarded = value if found.forwarded is None else found.forwarded + b"," + value
        elif name == b"traceparent":
            found.trace = value.decode("latin-1") if len(value) == TRACEPARENT_BYTES else None
        elif name in PASSED_HEADERS:
            found.passed = (*found.passed, (name, value))
        elif name in HEADERS:
            _note_wish(found, name, value)
    return found


def _note_wish(found: Heading, name: bytes, value: bytes) -> None:
    wishes = found.cache
    if wishes is None:
        wishes = found.cache = {}
    before = wishes.get(name)
    if before is None:
        wishes[name] = value
    elif name == CONTROL:
        wishes[name] = before + b"," + value
    elif before != value:
        raise_contradiction(name)
