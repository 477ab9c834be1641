"""Holds back the beginning of a verbatim stream for as long as it says nothing, so that another target can still answer."""

from __future__ import annotations

from typing import Final

from gateway.dialects.dialect import Dialect
from gateway.dialects.sse import SseParser

MOST_HELD: Final = 64 * 1024
"""Bytes that are held back at most: what says nothing for longer goes out as it is."""


class Beginning:
    """What a stream has said so far, until it says something."""

    __slots__ = ("_dialect", "_held", "over")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._held = b""
        self.over = False

    def take(self, data: bytes) -> bytes:
        """Take whole events; give all that was held with them once they say something, nothing before.

        Raises the error that a stream begins with: nothing of it has gone out, so it can still have a status of its own.
        """
        if not data:
            return b""
        if b'"error"' in data:
            self._raise_error(data)
        self._held += data
        if len(self._held) <= MOST_HELD and self._dialect.says_nothing(data):
            return b""
        self.over = True
        held, self._held = self._held, b""
        return held

    def _raise_error(self, data: bytes) -> None:
        decoder = self._dialect.event_decoder()
        for name, payload in SseParser().feed(self._held + data):
            decoder.feed(name, payload)
