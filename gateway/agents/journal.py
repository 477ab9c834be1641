"""The journal of the runs that this process executes: gathers their events, and writes those of all runs together, in batches.

The first event after a pause is written nearly at once; those that follow shortly after are written together, for all runs in one
transaction, so that a hundred runs that speak at once cost little more than one. Events reach followers when they are written,
and not before: what one saw is never taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio
import msgspec
import structlog

from gateway.agents.holding import Holding
from gateway.agents.means import Means
from gateway.agents.unbroken import unbroken
from gateway.core.errors import Conflict, StoreUnavailable, SwitchgearError
from gateway.stores.runs import Entry, Fenced, Piece, RunEvent
from gateway.stores.tool_calls import NotConsumed

log = structlog.get_logger()

WINDOW: Final = 0.03
"""Seconds between two writes: with the write itself, an event is out after 50 ms."""
GATHER: Final = 0.004
"""Seconds that the first event after a pause waits for others: an answer that comes whole is one write with its end."""
MOST: Final = 64
"""Events of one run that wait for the end of the window; with more it is over."""
MOST_BEHIND: Final = 4096
"""Events of one run that wait to be written; then its model is held up."""
MOST_RUNS: Final = 256
"""Runs in one write."""
_NOTHING: Final = Entry()
_PATIENCE: Final = 0.25
"""Seconds between two tries of a write that the database did not take."""


class Journal:
    """What one run says. Its events are written by the Scribe; what has to be written at once, and ends it, by itself."""

    def __init__(self, means: Means, scribe: Scribe, holding: Holding) -> None:
        self.holding = holding
        self.lock = anyio.Lock()
        self.unsure = False
        self._waiting: list[RunEvent] = []
        self._means = means
        self._scribe = scribe
        self._closed = False
        self._room = anyio.Event()

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return bool(self._waiting) and not self._closed

    async def put(self, events: Sequence[RunEvent]) -> None:
        """Take events that belong together. Waits only while too many wait to be written."""
        self._waiting += events
        self._scribe.note(self, full=len(self._waiting) >= MOST)
        while len(self._waiting) > MOST_BEHIND and not self._closed:
            self._room = anyio.Event()
            await self._room.wait()

    def take(self) -> list[RunEvent]:
        """Give what waits: whoever takes it has the lock, and writes it."""
        taken, self._waiting = self._waiting, []
        self._room.set()
        return taken

    def put_back(self, events: list[RunEvent]) -> None:
        """Have events wait again that were not written, as far as is known."""
        self._waiting = events + self._waiting
        self.unsure = True

    def close(self) -> None:
        """Nothing comes any more. What waits, and was not written, is not."""
        self._closed = True
        self._room.set()

    async def write(self, entry: Entry) -> None:
        """Write all that waits, and `entry` after it, at once; when this returns it is in the journal, and followers know.

        A database that is away is waited for as long as the lease holds. Raises Fenced, and StoreUnavailable. A write is not left
        half known: who is cancelled meanwhile is so when it is done (`unbroken`), for its events have their numbers already.
        """
        await unbroken(self._write(entry))

    async def _write(self, entry: Entry) -> None:
        async with self.lock:
            self.holding.ending = entry.status is not None
            waiting = self.take()
            whole = msgspec.structs.replace(entry, events=(*waiting, *entry.events))
            if whole != _NOTHING:
                try:
                    await self._commit(whole, own=bool(entry.events))
                except NotConsumed:
                    # Nothing was written; what was said before is still to be.
                    self._waiting = waiting + self._waiting
                    raise
                self._means.listeners.tell(self.holding.run.id, whole.events)
        if self.waits:
            self._scribe.note(self)

    async def _commit(self, entry: Entry, *, own: bool) -> None:
        """Write an entry, with what waited before it; `own` says that it has events besides those."""
        means, run = self._means, self.holding.run
        began = means.clock.monotonic()
        left: Entry | None = entry
        while left is not None:
            try:
                await means.runs.write(run.id, run.epoch, left)
                break
            except StoreUnavailable as error:
                self.unsure = True
                log.warning("run.journal_away", run=run.id, reason=error.message)
                if self.holding.is_over(means.clock.wall()):
                    raise
                await anyio.sleep(_PATIENCE)
            except Conflict as error:
                tried, left = left, await self._left_of(left, own=own) if self.unsure else left
                if left is not tried:
                    continue
                if isinstance(error, Fenced):
                    means.counts.fenced.add()
                raise
        self.unsure = False
        means.counts.writing.observe((), means.clock.monotonic() - began)

    async def _left_of(self, entry: Entry, *, own: bool) -> Entry | None:
        """Give what is left to write where an earlier try was done after all, None where that is nothing, the same entry where none was."""
        events = entry.events
        found = await self._written_before(events) if events else 0
        if events and found < len(events):
            # Perhaps the first of these events alone, which the Scribe had tried to write.
            return msgspec.structs.replace(entry, events=events[found:]) if found else entry
        if (own and events) or await self._has_items(entry):
            return None
        # Those events may have been written without the rest: calls, and leave that is used up, can be written again.
        return msgspec.structs.replace(entry, events=()) if events else entry

    async def _has_items(self, entry: Entry) -> bool:
        """Whether the items of an entry are written, and so is all of it."""
        if not entry.items:
            return False
        return entry.items[0].id in {item.id for item in await self._means.runs.items(self.holding.run.id)}

    async def _written_before(self, events: Sequence[RunEvent]) -> int:
        """Give how many of these events are there already, under this lease."""
        run = self.holding.run
        found = await self._means.runs.find(None, run.id)
        if found is None or found.epoch != run.epoch:
            return 0
        return min(max(0, found.next_seq - events[0].seq), len(events))

    async def settle(self, events: list[RunEvent]) -> None:
        """Find out what is with events that the store did not take; what is left of them waits again. The lock is held."""
        done = await self._written_before(events) if self.unsure else 0
        if not done:
            self._means.counts.fenced.add()
            self.holding.end("lost")
            return
        self._means.listeners.tell(self.holding.run.id, events[:done])
        self._waiting = events[done:] + self._waiting
        self.unsure = False


class Scribe:
    """Writes the events of all runs of this process. Its `run` is a task that works until it is cancelled."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._noted: dict[Journal, None] = {}
        self._wake = anyio.Event()
        self._full = anyio.Event()
        self._wrote_at = -WINDOW

    def open(self, holding: Holding) -> Journal:
        """Give the journal of a run that is held."""
        return Journal(self._means, self, holding)

    def note(self, journal: Journal, *, full: bool = False) -> None:
        """There is something to write; where it is much, now."""
        self._noted[journal] = None
        self._wake.set()
        if full:
            self._full.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        now = self._means.clock.monotonic
        while True:
            await self._wake.wait()
            if not self._full.is_set():
                with anyio.move_on_after(max(GATHER, self._wrote_at + WINDOW - now())):
                    await self._full.wait()
            self._wake, self._full = anyio.Event(), anyio.Event()
            self._wrote_at = now()
            try:
                await self._write()
            except Exception:
                log.exception("run.journal_crashed")  # whatever it is, it is not worth the server
                await anyio.sleep(_PATIENCE)

    async def _write(self) -> None:
        """Write what waits, of as many runs as go into one write."""
        some = list(self._noted)[:MOST_RUNS]
        for journal in some:
            del self._noted[journal]
        if self._noted:
            self._wake.set()
        taken: dict[Journal, list[RunEvent]] = {}
        try:
            for journal in some:
                # One that writes by itself at this moment says when there is more.
                if journal.waits and not journal.lock.locked():
                    journal.lock.acquire_nowait()
                    taken[journal] = journal.take()
            if taken:
                with anyio.CancelScope(shield=True):
                    await self._append(taken)
        finally:
            for journal in taken:
                journal.lock.release()

    async def _append(self, taken: dict[Journal, list[RunEvent]]) -> None:
        means = self._means
        pieces = [
            Piece(run=journal.holding.run.id, epoch=journal.holding.run.epoch, events=events)
            for journal, events in taken.items()
        ]
        began = means.clock.monotonic()
        try:
            refused = set(await means.runs.append(pieces))
        except StoreUnavailable as error:
            log.warning("runs.journal_away", runs=len(pieces), reason=error.message)
            await self._keep_back(taken)
            return
        means.counts.writing.observe((), means.clock.monotonic() - began)
        for journal, events in taken.items():
            if journal.holding.run.id in refused:
                await self._settle(journal, events)
            else:
                journal.unsure = False
                means.listeners.tell(journal.holding.run.id, events)

    async def _settle(self, journal: Journal, events: list[RunEvent]) -> None:
        try:
            await journal.settle(events)
        except SwitchgearError:
            journal.put_back(events)
        if journal.waits:
            self.note(journal)

    async def _keep_back(self, taken: dict[Journal, list[RunEvent]]) -> None:
        """Have what was not written, as far as is known, wait until the database is there again."""
        for journal, events in taken.items():
            journal.put_back(events)
            if journal.holding.is_over(self._means.clock.wall()):
                journal.holding.end("lost")
            else:
                self.note(journal)
        await anyio.sleep(_PATIENCE)
