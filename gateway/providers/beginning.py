"""Holds back the beginning of a verbatim stream for as long as it says nothing, so that another target can still answer."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.errors import UpstreamBroken
from gateway.dialects.dialect import Dialect
from gateway.dialects.sse import SseParser

MOST_HELD: Final = 64 * 1024
"""Bytes that are held back at most: what says nothing for longer goes out as it is."""

_ANY: Final = msgspec.json.Decoder(msgspec.Raw)


class Beginning:
    """What a stream has said so far, until it says something."""

    __slots__ = ("_dialect", "_held", "over")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._held = b""
        self.over = False

    def take(self, data: bytes) -> bytes:
        """Take whole events; give all that was held with them once they say something, nothing before.

        Raises the error that a stream begins with, and UpstreamBroken where its first event is no JSON: nothing of it has gone
        out, so it can still have a status of its own.
        """
        if not data:
            return b""
        if b'"error"' in data:
            self._raise_error(data)
        self._held += data
        if len(self._held) <= MOST_HELD and self._dialect.says_nothing(data):
            return b""
        _must_be_json(self._held)
        self.over = True
        held, self._held = self._held, b""
        return held

    def _raise_error(self, data: bytes) -> None:
        decoder = self._dialect.event_decoder()
        for name, payload in SseParser().feed(self._held + data):
            decoder.feed(name, payload)


def _must_be_json(data: bytes) -> None:
    """Raise for a stream that begins with a broken event: its client could only fail at it, and nobody else could answer any more."""
    at = data.find(b"data:")
    if at < 0:
        return
    line = data[at + 5 : max(data.find(b"\n", at), 0) or None].strip()
    if line in (b"", b"[DONE]") or _is_json(line):
        return
    # An event may have its data in several lines; that is so rare that only what looks broken is taken apart.
    first = next(iter(SseParser().feed(data)), None)
    if first is None or not (first[1] == b"[DONE]" or _is_json(first[1])):
        raise UpstreamBroken("The upstream began its stream with an event that is not JSON.")


def _is_json(text: bytes) -> bool:
    try:
        _ANY.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
