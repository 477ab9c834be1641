"""Bodies that came of late, and what is known of calls with them: whether they are cached, and by which key. A shortcut, and never more."""

from __future__ import annotations

from typing import Final

from gateway.core.caller import Caller

MOST_BODIES: Final = 4096
MOST_BYTES: Final = 16 * 1024**2
LARGEST: Final = 256 * 1024
"""Of a body: reading a larger one costs more than its key."""

Name = tuple[object, str, Caller, bytes]
"""Whose settings they are, the dialect, the caller, the body."""
Known = tuple[str, str]


class Bodies:
    """Forgets all at once when there are too many: to know which came last would cost more than to learn them again."""

    def __init__(self) -> None:
        self._known: dict[Name, Known] = {}
        self._bytes = 0

    def find(self, name: Name) -> Known | None:
        """Give what is known."""
        return self._known.get(name)

    def note(self, name: Name, known: Known) -> None:
        """Know it from now on."""
        size = len(name[3])
        if size > LARGEST:
            return
        if len(self._known) >= MOST_BODIES or self._bytes + size > MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[name] = known
        self._bytes += size
