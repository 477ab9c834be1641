"""Bodies that came of late, as they were read: the same bytes need not be read again. It belongs to one configuration, and goes with it."""

from __future__ import annotations

from typing import Final

from gateway.core.known import Known

MOST_BODIES: Final = 4096
MOST_BYTES: Final = 32 * 1024**2
LARGEST: Final = 256 * 1024
"""Of a body."""
MOST_MET: Final = 16_384

_RECORD_BYTES: Final = 6 * 1024  # with the keys of many callers
_OBJECT_BYTES: Final = 256
_VALUE_BYTES: Final = 120
_DECODED_TIMES: Final = 3  # of what it was decoded from, both together

Name = tuple[str, bytes]
"""The dialect, and the body."""


class Bodies:
    """Keeps what comes a second time. Forgets all at once when there is too much: to know which came last would cost more than to read them again."""

    def __init__(self) -> None:
        self._known: dict[Name, Known] = {}
        self._met: set[int] = set()
        self._bytes = 0

    def find(self, dialect: str, body: bytes) -> Known | None:
        """Give what is known of a body."""
        # Where nothing is cached nothing is known, and a long body costs a look at all of it.
        return self._known.get((dialect, body)) if self._known else None

    def meet(self, dialect: str, body: bytes, read: Known) -> Known | None:
        """Note a body that was not known: what it says is kept, and given, when it has been met before."""
        if len(body) > LARGEST:
            return None
        name = (dialect, body)
        met = hash(name)
        if met not in self._met:
            if len(self._met) >= MOST_MET:
                self._met.clear()
            self._met.add(met)
            return None
        cost = cost_of(body, decoded=read.content is not None)
        if len(self._known) >= MOST_BODIES or self._bytes + cost > MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        if cost > MOST_BYTES:
            return None
        self._known[name] = read
        self._bytes += cost
        return read


def cost_of(body: bytes, *, decoded: bool) -> int:
    """Give the most memory, in bytes, that a JSON body and what it says can take: short values cost far more than their text.

    `decoded` says that it was translated, too.
    """
    wide = not body.isascii() or b"\\u" in body  # one such sign, and each of a text has four bytes
    values = body.count(b"[") + body.count(b",")
    said = (5 if wide else 2) * len(body) + _OBJECT_BYTES * body.count(b"{") + _VALUE_BYTES * values
    return _RECORD_BYTES + said * (_DECODED_TIMES if decoded else 1)
