"""Writing to the journal: whose run it is, what an entry changes, and many entries in one transaction.

A hundred runs that stream write thousands of entries a second; a transaction for each would take longer than the entries come. So
entries that are handed in while a transaction is under way go into the next one together. Each is checked by itself,
and refused by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anyio
import msgspec
from sqlalchemy import and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict, InvalidRequest, StoreUnavailable, SwitchgearError
from gateway.stores.approvals_writing import add_approvals, check_tools, consume_approvals
from gateway.stores.blobs_sql import add_texts
from gateway.stores.database import Database
from gateway.stores.durable import be_durable
from gateway.stores.outbox_sql import add_notices
from gateway.stores.runs import LIVE, Entry, Fenced, Piece, Run, RunItem
from gateway.stores.runs_rows import body_row, events_row, item_rows, run_row, write_json
from gateway.stores.runs_tables import RUN_BODIES, RUN_EVENTS, RUN_ITEMS, RUNS
from gateway.stores.tool_calls_sql import write_calls

_HELD: Final = and_(
    RUNS.c.id == bindparam("held_run"),
    RUNS.c.epoch == bindparam("held_epoch"),
    RUNS.c.status == "in_progress",
    RUNS.c.lease_until.is_not(None),
)
"""Whether the lease is still that of this epoch. One that was given back has no end; one that is over is still there."""

# Built once: building a statement costs more than SQLite takes to execute it.
IF_HELD: Final = update(RUNS).where(_HELD)
_WRITE: Final = IF_HELD.values(next_seq=RUNS.c.next_seq + bindparam("count"))
_WRITE_ON: Final = _WRITE.where(RUNS.c.next_seq == bindparam("first"))
_FIND_HELD: Final = select(RUNS.c.id).where(_HELD)
_ADD_EVENTS: Final = insert(RUN_EVENTS)
_ADD_ITEMS: Final = insert(RUN_ITEMS)
_SET_RESPONSE: Final = (
    update(RUN_BODIES).where(RUN_BODIES.c.run == bindparam("of_run")).values(response=bindparam("document"))
)

_MOVE_ON: Final = update(RUNS).where(RUNS.c.id == bindparam("of_run")).values(next_seq=bindparam("next"))

OUT_OF_ORDER: Final = "The events do not begin with the run's next number, or do not follow each other."
_MOST_TOGETHER: Final = 64


class _Handed(msgspec.Struct):
    """An entry that was handed in, and what became of it."""

    run: str
    epoch: int
    entry: Entry
    values: dict[str, Any]
    done: bool = False
    error: SwitchgearError | None = None


class RunWriter:
    """Writes entries, those that come at the same time together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = anyio.Lock()
        self._handed: list[_Handed] = []

    async def write(self, run: str, epoch: int, entry: Entry) -> None:
        """Write an entry, all of it or nothing. Raises Fenced, Conflict and StoreUnavailable."""
        check_tools(run, entry)
        mine = _Handed(run=run, epoch=epoch, entry=entry, values=changes(entry))
        self._handed.append(mine)
        try:
            # Whoever comes first writes for those who wait behind him; they find it done.
            async with self._turn:
                while not mine.done:
                    await self._write_some()
        finally:
            if not mine.done and mine in self._handed:
                self._handed.remove(mine)
        if mine.error is not None:
            raise mine.error

    async def append(self, pieces: Sequence[Piece]) -> Sequence[str]:
        """Write events of several runs in one transaction; give the runs of which nothing was written."""
        columns = RUNS.c
        held = select(columns.id, columns.epoch, columns.next_seq).where(
            columns.id.in_([piece.run for piece in pieces]),
            columns.status == "in_progress",
            columns.lease_until.is_not(None),
        )
        async with self._database.begin() as connection:
            # In one order everywhere, as above.
            found = await connection.execute(held.order_by(columns.id).with_for_update())
            next_of = {(row.id, row.epoch): row.next_seq for row in found}
            fit = [piece for piece in pieces if _follows(piece, next_of.get((piece.run, piece.epoch)))]
            if fit:
                rows = [events_row(piece.run, piece.epoch, piece.events) for piece in fit]
                await connection.execute(_MOVE_ON, [{"of_run": row["run"], "next": row["last"] + 1} for row in rows])
                await connection.execute(_ADD_EVENTS, rows)
        written = {piece.run for piece in fit}
        return [piece.run for piece in pieces if piece.run not in written]

    async def _write_some(self) -> None:
        # In one order everywhere, so that two replicas never wait for each other's rows.
        group = sorted(self._handed[:_MOST_TOGETHER], key=lambda each: each.run)
        del self._handed[:_MOST_TOGETHER]
        try:
            # The others' entries are in it: that one of them leaves must not end it.
            with anyio.CancelScope(shield=True):
                await self._write_group(group)
        finally:
            for each in group:
                if not each.done:
                    each.done, each.error = True, StoreUnavailable("Whether it was written is not known.")

    async def _write_group(self, group: Sequence[_Handed]) -> None:
        try:
            await self._write_together(group)
        except InvalidRequest as error:  # a Conflict is one
            if len(group) == 1:
                group[0].done, group[0].error = True, error
                return
            # One of them cannot be kept as it is, or lacks an approval, and nothing was written: each is tried by itself.
            for each in group:
                await self._write_group([each])
        except SwitchgearError as error:
            for each in group:
                each.done, each.error = True, error

    async def _write_together(self, group: Sequence[_Handed]) -> None:
        errors: list[SwitchgearError | None] = []
        async with self._database.begin() as connection:
            errors += [await _begin_entry(connection, each) for each in group]
            accepted = [each for each, error in zip(group, errors, strict=True) if error is None]
            await add_entries(connection, [(each.run, each.epoch, each.entry) for each in accepted])
        for each, error in zip(group, errors, strict=True):
            each.done, each.error = True, error


def _follows(piece: Piece, first: int | None) -> bool:
    """Whether the events of a piece are the next ones, without gaps."""
    return first is not None and all(event.seq == number for number, event in enumerate(piece.events, first))


def holding(run: str, epoch: int) -> dict[str, Any]:
    """Give the parameters of `IF_HELD`."""
    return {"held_run": run, "held_epoch": epoch}


def fenced(run: str) -> Fenced:
    """Say that a lease is over."""
    return Fenced(f"The response {run} is no longer executed here.")


def changes(entry: Entry) -> dict[str, Any]:
    """Give what an entry changes in the run's row, besides the next number.

    Raises Conflict when its events have a gap among them.
    """
    first = entry.events[0].seq if entry.events else 0
    if any(event.seq != first + number for number, event in enumerate(entry.events)):
        raise Conflict(OUT_OF_ORDER)
    values: dict[str, Any] = {}
    if entry.spent is not None:
        values["spent"] = msgspec.to_builtins(entry.spent)
    if entry.status is not None:
        if entry.status in LIVE:
            raise ValueError(f"no entry makes a run {entry.status}: a lease does")
        values |= {"status": entry.status, "ended_at": entry.ended_at, "lease_owner": "", "lease_until": None}
    return values


async def _begin_entry(connection: AsyncConnection, handed: _Handed) -> SwitchgearError | None:
    """Take the numbers of an entry's events, where its writer holds the run; else say why not."""
    held, events = holding(handed.run, handed.epoch), handed.entry.events
    values = {**held, **handed.values, "count": len(events)}
    if events:
        values["first"] = events[0].seq
    if (await connection.execute(_WRITE_ON if events else _WRITE, values)).rowcount:
        return None
    # Either the lease is gone, or the numbers are others.
    there = (await connection.execute(_FIND_HELD, held)).first()
    return fenced(handed.run) if there is None else Conflict(OUT_OF_ORDER)


async def add_entries(connection: AsyncConnection, entries: Sequence[tuple[str, int, Entry]]) -> None:
    """Add what is beside the rows of runs, which are locked by now: (run, epoch, entry)."""
    if events := [events_row(run, epoch, entry.events) for run, epoch, entry in entries if entry.events]:
        await connection.execute(_ADD_EVENTS, events)
    if items := [row for run, _, entry in entries for row in item_rows(run, entry.items)]:
        await connection.execute(_ADD_ITEMS, items)
    documents = [(run, entry.response) for run, _, entry in entries if entry.response is not None]
    if documents:
        rows = [{"of_run": run, "document": write_json(response)} for run, response in documents]
        await connection.execute(_SET_RESPONSE, rows)
    for run, _, entry in entries:
        await _add_tools(connection, run, entry)


async def _add_tools(connection: AsyncConnection, run: str, entry: Entry) -> None:
    """Add what an entry says of tools. Raises Conflict, and NotConsumed."""
    if entry.calls or entry.approvals or entry.consume:
        await be_durable(connection)
        # Approvals before calls, as everywhere.
        await consume_approvals(connection, run, entry)
        await add_approvals(connection, entry.approvals)
        await write_calls(connection, entry.calls)
    if entry.kept:
        await add_texts(connection, run, entry.kept)
    if entry.notices:
        await add_notices(connection, entry.notices)


async def add_run(connection: AsyncConnection, run: Run, items: Sequence[RunItem]) -> None:
    """Add a new run with its input, in the caller's transaction."""
    await connection.execute(insert(RUNS), run_row(run))
    await connection.execute(insert(RUN_BODIES), body_row(run))
    if items:
        await connection.execute(_ADD_ITEMS, item_rows(run.id, items))
