"""Writes what dead processes left in the spool: their finished rows, and a row for each call that they did not survive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from anyio import sleep

from gateway.accounting.ledger_insertion import Insertion, LedgerCounts
from gateway.accounting.ledger_leftovers import Leftover, find_leftovers
from gateway.accounting.ledger_lines import Opened, decode_lines
from gateway.accounting.ledger_rows import Pricing, interrupted_row
from gateway.stores.ledger import LedgerRow, LedgerStore, RowQuery

log = structlog.get_logger()

EVERY_SECONDS: Final = 30.0
_BATCH_ROWS: Final = 100
_PAUSE: Final = 0.002
"""Seconds between batches: the loop belongs to the calls."""


class Replay:
    """Looks for leftovers again and again: a sibling on the same folder may die at any time."""

    def __init__(
        self,
        store: LedgerStore,
        insertion: Insertion,
        counts: LedgerCounts,
        *,
        folder: Path,
        own: Path,
        pricing: Callable[[], Pricing],
    ) -> None:
        self._store = store
        self._folder = folder
        self._own = own
        self._insertion = insertion
        self._counts = counts
        self._pricing = pricing

    async def run(self) -> None:
        """Replay until cancelled."""
        while True:
            await self._insertion.persist(self.replay_all)
            await sleep(EVERY_SECONDS)

    async def replay_all(self) -> bool:
        """Write every leftover there is. What this raises leaves the rest for another time: StoreUnavailable, OSError."""
        for leftover in find_leftovers(self._folder, self._own):
            try:
                await self._replay(leftover)
                leftover.remove()
            finally:
                leftover.release()
        return True

    async def _replay(self, leftover: Leftover) -> None:
        # A call is opened before its row is written, so what is left in here at the end has no row in the spool.
        opened: dict[str, Opened] = {}
        rows = unreadable = 0
        for chunk in leftover.chunks():
            found: list[LedgerRow] = []
            for line in decode_lines(chunk):
                if line.row is not None:
                    opened.pop(line.row.id, None)
                    found.append(line.row)
                elif line.opened is not None:
                    opened[line.opened.id] = line.opened
                else:
                    unreadable += 1
            await self._insert(found)
            rows += len(found)
        interrupted = await self._end(list(opened.values()))
        self._counts.replayed += rows
        self._counts.interrupted += interrupted
        self._counts.unreadable += unreadable
        log.info("ledger.replayed", spool=leftover.path.name, rows=rows, interrupted=interrupted, unreadable=unreadable)

    async def _end(self, opened: list[Opened]) -> int:
        """Write rows of the calls that have none, and give their number.

        Many may have one: a segment stays for one long call, and those of others, with their rows, are gone long ago.
        """
        pricing = self._pricing()
        ended = 0
        for start in range(0, len(opened), _BATCH_ROWS):
            batch = opened[start : start + _BATCH_ROWS]
            page = await self._store.find_rows(RowQuery(ids=tuple(each.id for each in batch), limit=_BATCH_ROWS))
            known = {row.id for row in page.rows}
            rows = [interrupted_row(each, pricing) for each in batch if each.id not in known]
            await self._insert(rows)
            ended += len(rows)
        return ended

    async def _insert(self, rows: list[LedgerRow]) -> None:
        for start in range(0, len(rows), _BATCH_ROWS):
            await self._insertion.insert(rows[start : start + _BATCH_ROWS])
            await sleep(_PAUSE)
