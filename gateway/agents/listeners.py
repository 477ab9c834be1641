"""Who follows runs: told of what is in the journal, each with a bounded memory of what it has not taken yet.

What is told here may have gaps: one who is slow misses events, and one on another process hears nothing. Whoever follows reads
the journal for what it has not heard: the numbers of events say what that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio

from gateway.agents.counts import Counts
from gateway.stores.runs import RunEvent

MOST_EVENTS: Final = 512
MOST_BYTES: Final = 1024 * 1024
"""What is remembered for one who does not take it; then it is forgotten, and read from the journal."""


class Listener:
    """One who follows."""

    def __init__(self) -> None:
        self._events: deque[RunEvent] = deque()
        self._bytes = 0
        self._told = anyio.Event()

    def tell(self, events: Sequence[RunEvent]) -> None:
        """Remember events, or none of those so far when they are too many."""
        self._events.extend(events)
        self._bytes += sum(len(event.data) for event in events)
        if len(self._events) > MOST_EVENTS or self._bytes > MOST_BYTES:
            self._events.clear()
            self._bytes = 0
        self._told.set()

    def take(self, after: int) -> Sequence[RunEvent]:
        """Give what is remembered from the event after number `after` on; nothing where there is a gap before it."""
        taken = [event for event in self._events if event.seq > after]
        self._events.clear()
        self._bytes = 0
        return taken if taken and taken[0].seq == after + 1 else ()

    async def wait(self, seconds: float) -> bool:
        """Wait until there is news, or so long; tell whether there is."""
        with anyio.move_on_after(seconds):
            await self._told.wait()
        news = self._told.is_set()
        if news:
            self._told = anyio.Event()
        return news


class Listeners:
    """All who follow runs in this process, by run."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._of: dict[str, set[Listener]] = {}

    @contextmanager
    def following(self, run: str) -> Iterator[Listener]:
        """Follow a run for as long as the body runs."""
        listener = Listener()
        self._of.setdefault(run, set()).add(listener)
        self._counts.followers += 1
        try:
            yield listener
        finally:
            self._counts.followers -= 1
            others = self._of[run]
            others.discard(listener)
            if not others:
                del self._of[run]

    def tell(self, run: str, events: Sequence[RunEvent]) -> None:
        """Tell of events that are in the journal."""
        for listener in self._of.get(run, ()):
            listener.tell(events)
