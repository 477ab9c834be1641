"""Which single resources of a server are watched, and for whom: the server is asked to tell of each once, however many want to hear of it.

It survives the connection: who watches goes on hearing after the server was away, and is told then that everything may be another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

MOST_WATCHED: Final = 1024
"""Resources of one server that are watched at once."""

Updated = Callable[[str], None]
"""Takes the URI of a resource that is another now. It must not wait and must not raise."""


class Watched:
    """The resources of one server. It belongs to one event loop."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[object, Updated]] = {}
        self.changed = anyio.Event()

    @property
    def uris(self) -> frozenset[str]:
        """Give what is watched."""
        return frozenset(self._wanted)

    @contextmanager
    def watch(self, uri: str, updated: Updated) -> Iterator[bool]:
        """While the context is open, tell of a resource; False where too many are watched."""
        known = uri in self._wanted
        if not known and len(self._wanted) >= MOST_WATCHED:
            yield False
            return
        token = object()
        self._wanted.setdefault(uri, {})[token] = updated
        if not known:
            self._change()
        try:
            yield True
        finally:
            listeners = self._wanted[uri]
            del listeners[token]
            if not listeners:
                del self._wanted[uri]
                self._change()

    def tell(self, uri: str) -> None:
        """A resource is another now: its own URI, or that of a part of it."""
        for watched, listeners in tuple(self._wanted.items()):
            if uri == watched or uri.startswith(watched.rstrip("/") + "/"):
                for updated in tuple(listeners.values()):
                    updated(watched)

    def tell_all(self) -> None:
        """Nobody knows what was missed."""
        for uri in tuple(self._wanted):
            self.tell(uri)

    def _change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()
