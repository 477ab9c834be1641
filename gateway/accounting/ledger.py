"""The ledger's writer: one row for each call in the database, whatever happens to the process, the client or the database.

Opening a call writes a line to the spool before the upstream is asked; finishing it writes the row there. One task carries rows
from the spool to the database, in batches; what is there is forgotten here. A process that is killed leaves its spool to
the next one, or to a sibling: finished rows are inserted, calls without one become rows with the error `interrupted`. The
call's id is the row's key, so what comes twice is kept once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
from anyio import CancelScope, Event, Lock, create_task_group, move_on_after, sleep, to_thread
from anyio.lowlevel import checkpoint

from gateway.accounting.ledger_insertion import Insertion, LedgerCounts
from gateway.accounting.ledger_lines import decode_rows, encode_opened, encode_row
from gateway.accounting.ledger_replay import Replay
from gateway.accounting.ledger_retention import remove_rows
from gateway.accounting.ledger_rows import Pricing, opened_of, row_of, rows_beside
from gateway.accounting.ledger_spool import SEGMENT_BYTES, Segment, Spool, sync_paths
from gateway.config.ledger_settings import LedgerSettings
from gateway.core.call import Call
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import SwitchgearError
from gateway.core.ids import new_id
from gateway.core.record import Record
from gateway.stores.ledger import LedgerRow, LedgerStore

log = structlog.get_logger()

SPOOLED_AT_ONCE: Final = 100
BATCH_ROWS: Final = 400
BATCH_BYTES: Final = 256 * 1024
READ_AT_ONCE: Final = 32 * 1024
GATHER_SECONDS: Final = 0.2
"""For which rows wait for others: a transaction costs what fifty rows cost."""

BATCH_PAUSE: Final = 0.002
"""Seconds between batches when many wait: the loop belongs to the calls."""

MOST_IN_MEMORY: Final = 10_000
"""Rows kept in memory when the spool takes none."""

RETENTION_SECONDS: Final = 3600.0
SYNC_SECONDS: Final = 0.05


class Ledger:
    """Notes calls and writes their rows. `open` and `take` cost microseconds and never raise; `run` does the rest."""

    def __init__(
        self,
        store: LedgerStore,
        settings: LedgerSettings,
        *,
        pricing: Callable[[], Pricing],
        clock: Clock = SYSTEM_CLOCK,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Open the spool. Raises OSError when its folder cannot be used."""
        self.counts = LedgerCounts()
        self._store = store
        self._settings = settings
        self._wall = clock.wall
        self._folder = Path(settings.spool)
        self._spool = Spool(
            self._folder, max_bytes=settings.spool_bytes, new_id=new_id(""), segment_bytes=segment_bytes
        )
        self._insertion = Insertion(store, self._folder, self.counts)
        self._replay = Replay(
            store, self._insertion, self.counts, folder=self._folder, own=self._spool.path, pricing=pricing
        )
        # The last eighth is for rows: a call that is not noted still gets its row, unless the process dies.
        self._spare = settings.spool_bytes // 8
        self._unfinished: dict[str, Segment] = {}
        self._memory: deque[LedgerRow] = deque()
        self._lock = Lock()
        self._wake = Event()

    # --- on the path ---

    def open(self, call: Call, targets: tuple[str, ...]) -> None:
        """Note a call that is about to reach an upstream, before it does. `targets` are "provider/model" in their order."""
        if call.id in self._unfinished:
            return
        segment = self._spool.append(encode_opened(opened_of(call, targets, self._wall())), spare=self._spare)
        if segment is None:
            self.counts.unopened += 1
            return
        segment.unfinished += 1
        self._unfinished[call.id] = segment

    # --- right behind it ---

    def take(self, records: Sequence[Record]) -> None:
        """Accept the records of finished calls: a Sink of the recorder. Requests of nobody that is known have no row."""
        rows: list[LedgerRow] = []
        for record in records:
            if record.caller:
                rows.append(row_of(record))
                if record.beside:
                    rows.extend(rows_beside(record))
        self.enter(rows)

    def enter(self, rows: Iterable[LedgerRow]) -> None:
        """Accept rows, also of things that are no calls: a tool, a cache hit."""
        taken = list(rows)
        for start in range(0, len(taken), SPOOLED_AT_ONCE):
            self._keep(taken[start : start + SPOOLED_AT_ONCE])
        if taken:
            self._wake.set()

    def _keep(self, rows: list[LedgerRow]) -> None:
        if self._spool.append(b"".join([encode_row(row) for row in rows])) is not None:
            self.counts.waiting += len(rows)
        else:
            kept = rows[: MOST_IN_MEMORY - len(self._memory)]
            self._memory.extend(kept)
            self.counts.waiting += len(kept)
            self._drop(len(rows) - len(kept))
        # Only now: a segment goes when its calls are finished, and the rows must be somewhere else by then.
        for row in rows:
            segment = self._unfinished.pop(row.id, None)
            if segment is not None:
                segment.unfinished -= 1

    def _drop(self, rows: int) -> None:
        if rows and not self.counts.dropped:
            log.error("ledger.row.dropped", hint="spool and memory are full; from here on only the metric tells")
        self.counts.dropped += rows

    @property
    def spool_bytes(self) -> int:
        """Bytes of this process's spool on the disk."""
        return self._spool.size

    # --- off the path ---

    async def run(self) -> None:
        """Carry rows to the database until cancelled; also those that dead processes left."""
        async with create_task_group() as tasks:
            tasks.start_soon(self._carry_on)
            tasks.start_soon(self._replay.run)
            if self._settings.sync:
                tasks.start_soon(self._sync_on)
            if self._settings.keep_days is not None:
                tasks.start_soon(self._expire_on, self._settings.keep_days * 86_400.0)

    async def flush(self) -> None:
        """Write what is waiting now. Raises StoreUnavailable when the database is away."""
        while await self._carry():
            await checkpoint()

    async def aclose(self, seconds: float = 5.0) -> None:
        """Write what is waiting, for some seconds at most, and let go of the spool. What is left, the next process writes.

        To be called when `run` has ended and no more records come.
        """
        try:
            with move_on_after(seconds, shield=True):
                await self.flush()
        except (SwitchgearError, OSError) as error:
            log.warning("ledger.waiting", reason=str(error), rows=self.counts.waiting)
        finally:
            # The spool may have space or a disk again.
            left = [row for row in self._memory if self._spool.append(encode_row(row)) is None]
            self._drop(len(left))
            if self.counts.waiting:
                log.warning("ledger.left", rows=self.counts.waiting, lost=len(left))
            self._spool.close()

    async def _carry_on(self) -> None:
        while True:
            self._wake = Event()
            carried = await self._insertion.persist(self._carry_whole)
            if carried and self.counts.waiting >= BATCH_ROWS:
                await sleep(BATCH_PAUSE)
                continue
            if not (carried and self.counts.waiting):
                await self._wake.wait()
            await sleep(GATHER_SECONDS)

    async def _carry_whole(self) -> bool:
        """Do not stop in the middle: a driver whose transaction is cancelled is left with a thread that keeps the process."""
        carried = False
        with CancelScope(shield=True):
            carried = await self._carry()
        return carried  # noqa: RET504 - as far as types know, a scope may end early

    async def _carry(self) -> bool:
        """Bring one batch to the database, and say whether there was one."""
        async with self._lock:
            found = self._find_next()
            if found is not None:
                segment, data = found
                rows = await self._read(data)
                written = await self._insertion.insert(rows)
                self._spool.advance(segment, len(data))
            else:
                rows = list(islice(self._memory, BATCH_ROWS))
                written = await self._insertion.insert(rows)
                for _ in rows:
                    self._memory.popleft()
            self.counts.written += written
            self.counts.waiting -= len(rows)
            return found is not None or bool(rows)

    def _find_next(self) -> tuple[Segment, bytes] | None:
        while (segment := self._spool.next_segment()) is not None:
            try:
                return segment, segment.read_lines(BATCH_BYTES)
            except FileNotFoundError:
                self._spool.forget(segment)
                lost = self.counts.waiting - len(self._memory)
                self.counts.waiting -= lost
                self._drop(lost)
        return None

    async def _read(self, data: bytes) -> list[LedgerRow]:
        rows: list[LedgerRow] = []
        while data:
            end = data.find(b"\n", READ_AT_ONCE) + 1 or len(data)
            found, unreadable = decode_rows(data[:end])
            data = data[end:]
            rows += found
            if unreadable:
                self.counts.unreadable += unreadable
                log.warning("ledger.line.unreadable", spool=str(self._spool.path), lines=unreadable)
            await checkpoint()  # calls go on
        return rows

    # --- power cuts and age ---

    async def _sync_on(self) -> None:
        while True:
            await sleep(SYNC_SECONDS)
            paths = self._spool.take_unsynced()
            if paths:
                try:
                    await to_thread.run_sync(sync_paths, paths)
                except OSError as error:
                    log.warning("ledger.sync_failed", reason=error.strerror)

    async def _expire_on(self, age: float) -> None:
        while True:
            await self._insertion.persist(lambda: self._expire(self._wall() - age))
            await sleep(RETENTION_SECONDS)

    async def _expire(self, before: float) -> bool:
        removed = await remove_rows(self._store, before=before)
        if removed:
            log.info("ledger.expired", rows=removed)
        return True
