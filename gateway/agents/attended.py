"""Where the events of a run go that somebody waits for: to its client at once, and to the journal behind.

The run is kept right before its first event goes out; its end is written before it goes out, so that whoever reads it can go on
from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import structlog

from gateway.agents.continuing import go_on
from gateway.agents.desk import Take
from gateway.agents.journal import Journal
from gateway.agents.means import Means
from gateway.agents.unbroken import unbroken
from gateway.core.errors import StoreUnavailable
from gateway.stores.runs import Entry, Fenced, Run, RunEvent, RunItem

log = structlog.get_logger()

Told = TypeVar("Told")


class Attended:
    """A Sink. `kept` is called when the run is in the journal (`is_kept`); one with `store: false` is only passed on."""

    def __init__(
        self, means: Means, run: Run, items: Sequence[RunItem], journal: Journal, take: Take, kept: Callable[[], None]
    ) -> None:
        self.run = run
        self._means = means
        self._items = items
        self._journal = journal
        self._take = take
        self._kept = kept
        self.is_kept = False
        self._passing = run.request.get("store") is False

    async def put(self, events: Sequence[RunEvent]) -> None:
        """Give events to the client. Raises StoreUnavailable when the run cannot be kept: then nothing was given."""
        await self._tell_journal(self._journal.put, events)
        for event in events:
            await self._take(event)

    async def write(self, entry: Entry) -> None:
        """Write an entry, then give its events to the client. One whose run is lost gets them all the same: it has heard the rest."""
        try:
            await self._tell_journal(self._journal.write, entry)
        except (Fenced, StoreUnavailable) as error:
            if not self.is_kept or entry.calls or entry.approvals or entry.consume:
                raise  # nothing is given of what is not kept, and nothing done that is not written
            log.warning("run.end_not_written", run=self.run.id, reason=error.message)
        if entry.status is not None:
            self.run = msgspec.structs.replace(
                self.run,
                status=entry.status,
                response=entry.response,
                ended_at=entry.ended_at,
                spent=entry.spent or self.run.spent,
            )
        for event in entry.events:
            await self._take(event)

    async def _tell_journal(self, tell: Callable[[Told], Awaitable[None]], what: Told) -> None:
        if self._passing:
            return
        if self.is_kept:
            await tell(what)
        else:
            # Its first events have their numbers: a run that is kept is kept with them, whoever leaves meanwhile.
            await unbroken(self._begin(tell, what))

    async def _begin(self, tell: Callable[[Told], Awaitable[None]], what: Told) -> None:
        # The lease is counted from here: what came before, a slow model or a server of tools that starts, may have taken long.
        until = self._means.clock.wall() + self._means.settings.lease
        self.run = msgspec.structs.replace(self.run, lease_until=until)
        if self.run.continues:
            await go_on(self._means, self.run, self._items)
        else:
            await self._means.runs.add(self.run, self._items)
        self.is_kept = True
        self._kept()
        await tell(what)
