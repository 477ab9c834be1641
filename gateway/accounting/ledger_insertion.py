"""Brings ledger rows to the database: tries again for as long as it is away, and puts aside what it can never keep."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog
from anyio import sleep

from gateway.accounting.ledger_lines import encode_row
from gateway.core.errors import Conflict, InvalidRequest, SwitchgearError
from gateway.stores.ledger import LedgerRow, LedgerStore

log = structlog.get_logger()

REFUSED_FILE: Final = "refused.jsonl"
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_REFUSALS: Final = (InvalidRequest, Conflict, ValueError, OverflowError, TypeError)


class LedgerCounts(msgspec.Struct, kw_only=True):
    """What the metrics tell. Counters since the start, but for `waiting`, which is rows that are not yet in the database.

    `written` counts rows of this process, `replayed` those of dead ones (of which the database had some already), and
    `interrupted` calls that a process did not survive. `dropped` rows found no place anywhere and are lost; `unopened` calls could not
    be noted before they went out, and would be missing if the process died; `refused` rows were such as the database cannot
    keep: they are in the file refused.jsonl of the spool folder. `unreadable` lines of a spool made no sense.
    """

    written: int = 0
    waiting: int = 0
    dropped: int = 0
    unopened: int = 0
    replayed: int = 0
    interrupted: int = 0
    refused: int = 0
    unreadable: int = 0


class Insertion:
    """Inserts rows. What the database refuses for good is counted, and kept in a file of `folder`."""

    def __init__(self, store: LedgerStore, folder: Path, counts: LedgerCounts) -> None:
        self._store = store
        self._folder = folder
        self._counts = counts

    async def insert(self, rows: Sequence[LedgerRow]) -> int:
        """Insert rows and give the number of those that are in the database now.

        One that is refused for good does not hold up the others. Raises StoreUnavailable.
        """
        if not rows:
            return 0
        try:
            await self._store.insert(rows)
        except _REFUSALS as error:
            if len(rows) == 1:
                self._put_aside(rows[0], error)
                return 0
            middle = len(rows) // 2
            return await self.insert(rows[:middle]) + await self.insert(rows[middle:])
        return len(rows)

    async def persist(self, act: Callable[[], Awaitable[bool]]) -> bool:
        """Do something that needs the database until it succeeds, with pauses of up to 5 s; give its result."""
        wait = 0.0
        while True:
            try:
                result = await act()
            except (SwitchgearError, OSError) as error:
                if not wait:
                    log.warning("ledger.waiting", reason=str(error), rows=self._counts.waiting)
                wait = min(max(wait * 2, _FIRST_WAIT), _LONGEST_WAIT)
                await sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, guards nothing
            else:
                if wait:
                    log.info("ledger.resumed", rows=self._counts.waiting)
                return result

    def _put_aside(self, row: LedgerRow, error: Exception) -> None:
        with (self._folder / REFUSED_FILE).open("ab") as file:
            file.write(encode_row(row)[1:])
        self._counts.refused += 1
        log.error("ledger.row.refused", row=row.id, reason=type(error).__name__, file=REFUSED_FILE)
