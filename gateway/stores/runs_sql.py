"""The run journal in a SQL database: one adapter for SQLite and PostgreSQL. What writers do to a run is in `runs_writing.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict
from gateway.stores.agent_versions_sql import forget_unused
from gateway.stores.approvals_writing import cancel_approvals, remove_approvals
from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.runs import LIVE, Entry, Link, Piece, Place, Run, RunEvent, RunItem, RunStatus
from gateway.stores.runs_rows import read_events, read_item, read_link, read_run
from gateway.stores.runs_tables import (
    IS_CHILD,
    IS_CONTINUATION,
    IS_LIVE,
    IS_WAITING,
    RUN_BODIES,
    RUN_EVENTS,
    RUN_ITEMS,
    RUNS,
)
from gateway.stores.runs_writing import IF_HELD, OUT_OF_ORDER, RunWriter, add_entries, add_run, changes, fenced, holding
from gateway.stores.tool_calls_tables import TOOL_BLOBS, TOOL_CALLS

_REMOVED_AT_ONCE: Final = 25
_LOOKED_UP_AT_ONCE: Final = 500
"""Runs in one transaction: a long one keeps all others waiting on SQLite."""

_BY_TENANT: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 7246911))")
"""On PostgreSQL two who begin at once would not see each other's run, and there would be one too many."""

_IN_FORCE: Final = (
    select(RUNS.c.id, RUNS.c.epoch, RUNS.c.cancel_requested_at)
    .where(
        RUNS.c.id.in_(bindparam("names", expanding=True)),
        RUNS.c.status == "in_progress",
        RUNS.c.lease_until.is_not(None),
    )
    .order_by(RUNS.c.id)
    .with_for_update()
)
_AT_ONCE: Final = 500
"""Leases in one statement."""


_FIRST: Final = (
    select(RUNS.c.id, RUNS.c.previous, literal(1).label("place"))
    .where(RUNS.c.id == bindparam("of"), RUNS.c.tenant == bindparam("by"))
    .cte("chain", recursive=True)
)
_LINKS: Final = _FIRST.union_all(
    select(RUNS.c.id, RUNS.c.previous, _FIRST.c.place + 1).where(
        RUNS.c.id == _FIRST.c.previous, RUNS.c.tenant == bindparam("by"), _FIRST.c.place < bindparam("most")
    )
)
_CHAIN: Final = (
    select(RUNS.c.id, RUNS.c.status, RUNS.c.previous, RUNS.c.conversation, RUN_BODIES.c.lineage)
    .join(_LINKS, _LINKS.c.id == RUNS.c.id)
    .join(RUN_BODIES, RUN_BODIES.c.run == RUNS.c.id)
    .order_by(_LINKS.c.place)
)
"""Each by the one before, in one question however long the chain is."""
_PARENT: Final = RUNS.alias("parents")
_NEXT: Final = RUNS.alias("continuations")
_ENDED: Final = ("completed", "incomplete", "failed", "cancelled")
_LEFT_ALONE: Final = (
    select(RUNS.c.id)
    .outerjoin(_PARENT, _PARENT.c.id == RUNS.c.parent)
    .where(
        RUNS.c.parent != "",
        or_(_PARENT.c.id.is_(None), _PARENT.c.status.in_(_ENDED), _PARENT.c.cancel_requested_at.is_not(None)),
    )
)
_GOES_ON: Final = (
    exists()
    .where(_NEXT.c.continues == RUNS.c.parent, _NEXT.c.continues != "", _NEXT.c.status.not_in(_ENDED))
    .correlate(RUNS)
)
"""Whether somebody goes on from the parent: he goes on with its children, too."""
_WAITED_FOR: Final = exists().where(_PARENT.c.id == RUNS.c.parent, _PARENT.c.status.not_in(_ENDED)).correlate(RUNS)
_IS_ORPHAN: Final = and_(IS_WAITING, RUNS.c.parent != "", not_(_WAITED_FOR), not_(_GOES_ON))


class SqlRuns:
    """The run store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = RunWriter(database)

    async def add(self, run: Run, items: Sequence[RunItem], *, most_live: int | None = None) -> bool:
        """Keep a new run with its input; False when its tenant has that many live ones. Raises Conflict when its id is taken."""
        async with self._database.begin() as connection:
            if most_live is not None and await self._live(connection, run.tenant) >= most_live:
                return False
            await add_run(connection, run, items)
        return True

    async def _live(self, connection: AsyncConnection, tenant: str) -> int:
        if self._database.kind == "postgres":
            await connection.execute(_BY_TENANT, {"tenant": tenant})
        live = select(func.count()).select_from(RUNS).where(RUNS.c.tenant == tenant, IS_LIVE)
        return (await connection.execute(live)).scalar_one()

    async def claim(
        self, owner: str, *, now: float, until: float, most: int, but: Collection[str] = ()
    ) -> Sequence[Run]:
        """Take leases on some runs that are queued, or in progress under a lease that is over, the oldest first."""
        return await self._claim(true(), owner, now=now, until=until, most=most, but=but)

    async def _claim(
        self, which: ColumnElement[bool], owner: str, *, now: float, until: float, most: int, but: Collection[str] = ()
    ) -> Sequence[Run]:
        columns = RUNS.c
        free = or_(columns.status == "queued", columns.lease_until.is_(None), columns.lease_until <= now)
        due = _runs().where(which, IS_LIVE, free).order_by(columns.created_at, columns.id).limit(most)
        # PostgreSQL passes over what another one is claiming at this moment; on SQLite nobody else is here.
        due = due.with_for_update(of=RUNS, skip_locked=True)
        taken = {"status": "in_progress", "lease_owner": owner, "lease_until": until}
        async with self._database.begin() as connection:
            found = [read_run(row) for row in (await connection.execute(due)).mappings() if row["id"] not in but]
            if found:
                change = update(RUNS).where(columns.id.in_([run.id for run in found]))
                started = func.coalesce(columns.started_at, now)
                await connection.execute(change.values(epoch=columns.epoch + 1, started_at=started, **taken))
        return [
            msgspec.structs.replace(
                run, epoch=run.epoch + 1, started_at=now if run.started_at is None else run.started_at, **taken
            )
            for run in found
        ]

    async def take(self, run: str, owner: str, *, now: float, until: float) -> Run | None:
        """Take a lease on this run, as `claim` does; None where it is held by somebody, has ended, or is not there."""
        return next(iter(await self._claim(_is(None, run), owner, now=now, until=until, most=1)), None)

    async def children(self, run: str) -> Sequence[Run]:
        """Give the runs that a run has begun by its calls, the oldest first."""
        found = _runs().where(RUNS.c.parent == storable(run), IS_CHILD).order_by(RUNS.c.created_at, RUNS.c.id)
        async with self._database.connect() as connection:
            return [read_run(row) for row in (await connection.execute(found)).mappings()]

    async def continued_by(self, run: str) -> str:
        """Give the id of the run that goes on from one that waited; empty where none does."""
        found = select(RUNS.c.id).where(RUNS.c.continues == storable(run), IS_CONTINUATION)
        async with self._database.connect() as connection:
            return (await connection.execute(found)).scalars().first() or ""

    async def left_alone(self, runs: Sequence[str]) -> Sequence[str]:
        """Give those of these runs whose parent has ended, is gone, or is to end."""
        if not runs:
            return []
        async with self._database.connect() as connection:
            return list((await connection.execute(_LEFT_ALONE.where(RUNS.c.id.in_(runs)))).scalars())

    async def orphans(self, *, most: int = 100) -> Sequence[Run]:
        """Give runs that wait for people although nobody will go on with them."""
        found = _runs().where(_IS_ORPHAN).order_by(RUNS.c.created_at, RUNS.c.id).limit(most)
        async with self._database.connect() as connection:
            return [read_run(row) for row in (await connection.execute(found)).mappings()]

    async def renew(self, leases: Mapping[str, int], *, until: float) -> Mapping[str, bool]:
        """Keep leases, each of a run and its epoch; give those that are kept, and whether the end of the run has been asked for."""
        kept: dict[str, bool] = {}
        names, columns = sorted(leases), RUNS.c
        async with self._database.begin() as connection:
            for first in range(0, len(names), _AT_ONCE):
                # In one order, as all who write to several runs at once.
                rows = await connection.execute(_IN_FORCE, {"names": names[first : first + _AT_ONCE]})
                held = {row.id: row.cancel_requested_at is not None for row in rows if row.epoch == leases[row.id]}
                if held:
                    await connection.execute(update(RUNS).where(columns.id.in_(held)).values(lease_until=until))
                kept.update(held)
        return kept

    async def release(self, run: str, epoch: int) -> None:
        """Give a lease back, so that another may claim the run at once; who gave it back is fenced, too. Raises Fenced."""
        values = {**holding(run, epoch), "lease_owner": "", "lease_until": None}
        async with self._database.begin() as connection:
            done = await connection.execute(IF_HELD, values)
        if not done.rowcount:
            raise fenced(run)

    async def write(self, run: str, epoch: int, entry: Entry) -> None:
        """Write what happened, all of it or nothing. Raises Fenced, and Conflict when the events or items do not fit to what is there."""
        await self._writer.write(run, epoch, entry)

    async def append(self, pieces: Sequence[Piece]) -> Sequence[str]:
        """Write events of several runs in one transaction; give the runs of which nothing was written."""
        return await self._writer.append(pieces)

    async def cancel_requested(self, runs: Sequence[str]) -> Sequence[str]:
        """Give those of these runs that are in progress and whose end has been asked for."""
        if not runs:
            return []
        columns = RUNS.c
        asked = select(columns.id).where(columns.id.in_(runs), columns.cancel_requested_at.is_not(None))
        async with self._database.connect() as connection:
            return list((await connection.execute(asked.where(columns.status == "in_progress"))).scalars())

    async def request_cancel(self, tenant: str, run: str, *, now: float, ended: Entry) -> Run | None:
        """Ask for a run's end; None when the tenant has none of that id. Gives the run as it then is."""
        async with self._database.begin() as connection:
            found = await _find(connection, tenant, run, for_update=True)
            if found is not None and found.status in ("waiting", "completed"):
                await cancel_approvals(connection, found.id, now)
            if found is None or (change := _cancelling(found, now, ended)) is None:
                return found
            if change.events and change.events[0].seq != found.next_seq:
                raise Conflict(OUT_OF_ORDER)
            values = {"cancel_requested_at": now, "next_seq": found.next_seq + len(change.events), **changes(change)}
            await connection.execute(update(RUNS).where(RUNS.c.id == found.id).values(values))
            await add_entries(connection, [(found.id, found.epoch, change)])
            return await _find(connection, tenant, run)

    async def find(self, tenant: str | None, run: str) -> Run | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        async with self._database.connect() as connection:
            return await _find(connection, tenant, run)

    async def list(
        self, tenant: str | None, *, after: str = "", limit: int = 20, status: RunStatus | None = None, agent: str = ""
    ) -> Sequence[Run]:
        """Give a page, the newest first. `after` is the id of the last one before; one that is not there gives nothing."""
        columns = RUNS.c
        page = _runs().where(_of(tenant))
        if status is not None:
            page = page.where(columns.status == status)
        if agent:
            page = page.where(columns.agent == storable(agent))
        async with self._database.connect() as connection:
            if after:
                last = select(columns.created_at, columns.id).where(_is(tenant, after))
                at = (await connection.execute(last)).first()
                if at is None:
                    return []
                page = page.where(tuple_(columns.created_at, columns.id) < tuple_(*at))
            ordered = page.order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)
            return [read_run(row) for row in (await connection.execute(ordered)).mappings()]

    async def events(self, run: str, *, after: int = -1, limit: int = 500) -> Sequence[RunEvent]:
        """Give events that follow number `after`, in order."""
        columns = RUN_EVENTS.c
        # Numbers have no gaps, so that they say which rows hold so many.
        rows = select(columns.first, columns.body).where(
            columns.run == storable(run), columns.last > after, columns.first <= after + limit
        )
        async with self._database.connect() as connection:
            found = (await connection.execute(rows.order_by(columns.last))).mappings().all()
        return [event for row in found for event in read_events(row) if after < event.seq <= after + limit]

    async def items(self, run: str, place: Place | None = None) -> Sequence[RunItem]:
        """Give the items of a run in order, its input before its output."""
        columns = RUN_ITEMS.c
        found = select(RUN_ITEMS).where(columns.run == storable(run))
        if place is not None:
            found = found.where(columns.place == place)
        async with self._database.connect() as connection:
            rows = await connection.execute(found.order_by(columns.place, columns.position))
            return [read_item(row) for row in rows.mappings()]

    async def find_items(self, tenant: str, ids: Sequence[str]) -> Sequence[RunItem]:
        """Give those items of a tenant's runs that have these ids, each once: of several with one id the latest."""
        columns, found = RUN_ITEMS.c, dict[str, RunItem]()
        mine = select(RUN_ITEMS).join(RUNS, RUNS.c.id == columns.run).where(RUNS.c.tenant == tenant)
        ordered = mine.order_by(RUNS.c.created_at, RUNS.c.id, columns.position)
        wanted = [storable(each) for each in ids]
        async with self._database.connect() as connection:
            for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
                some = ordered.where(columns.id.in_(wanted[start : start + _LOOKED_UP_AT_ONCE]))
                found |= {row["id"]: read_item(row) for row in (await connection.execute(some)).mappings()}
        return list(found.values())

    async def chain(self, tenant: str, run: str, *, most: int) -> Sequence[Link]:
        """Give a run and those that it goes on from by `previous`, the last first, at most so many."""
        async with self._database.connect() as connection:
            rows = await connection.execute(_CHAIN, {"of": storable(run), "by": storable(tenant), "most": most})
            return [read_link(row) for row in rows.mappings()]

    async def items_of(self, runs: Sequence[str]) -> Sequence[RunItem]:
        """Give the items of several runs, in their order."""
        columns = RUN_ITEMS.c
        order = {run: number for number, run in enumerate(runs)}
        some = select(RUN_ITEMS).where(columns.run.in_(list(order))).order_by(columns.place, columns.position)
        async with self._database.connect() as connection:
            rows = (await connection.execute(some)).mappings().all() if order else ()
        return [read_item(row) for row in sorted(rows, key=lambda row: order[row["run"]])]

    async def remove(self, tenant: str, run: str) -> bool:
        """Forget a run that nobody executes, and all that was written of it; False when there is none. Raises Conflict for one that is live."""
        async with self._database.begin() as connection:
            status = select(RUNS.c.status).where(_is(tenant, run)).with_for_update()
            found = (await connection.execute(status)).scalar_one_or_none()
            if found is None:
                return False
            if found in LIVE:
                raise Conflict("The response is still in progress: cancel it first.")
            await _remove(connection, [run])
        return True

    async def remove_expired(self, now: float, *, most: int = 500) -> int:
        """Forget runs that nobody executes and that are to be kept no longer; give how many."""
        columns = RUNS.c
        expired = select(columns.id).where(columns.expires_at <= now, columns.status.not_in(LIVE))
        removed = 0
        while removed < most:
            some = expired.limit(min(_REMOVED_AT_ONCE, most - removed)).with_for_update(skip_locked=True)
            async with self._database.begin() as connection:
                runs = list((await connection.execute(some)).scalars())
                await _remove(connection, runs)
            removed += len(runs)
            if len(runs) < _REMOVED_AT_ONCE:
                async with self._database.begin() as connection:
                    await forget_unused(connection, now)
                break
        return removed


def _runs() -> Select[Any]:
    return select(RUNS, *(column for column in RUN_BODIES.columns if column.name != "run")).join(
        RUN_BODIES, RUN_BODIES.c.run == RUNS.c.id
    )


def _of(tenant: str | None) -> ColumnElement[bool]:
    return true() if tenant is None else RUNS.c.tenant == tenant


def _is(tenant: str | None, run: str) -> ColumnElement[bool]:
    return and_(RUNS.c.id == storable(run), _of(tenant))


def _cancelling(run: Run, now: float, ended: Entry) -> Entry | None:
    """What is written when a run's end is asked for; None when nothing is."""
    status = ended.status or "cancelled"
    at = now if ended.ended_at is None else ended.ended_at
    if run.status == "queued":
        return msgspec.structs.replace(ended, status=status, ended_at=at)
    if run.status == "waiting":
        return Entry(status=status, ended_at=at)
    return Entry() if run.status == "in_progress" and run.cancel_requested_at is None else None


async def _find(connection: AsyncConnection, tenant: str | None, run: str, *, for_update: bool = False) -> Run | None:
    found = _runs().where(_is(tenant, run))
    if for_update:
        found = found.with_for_update(of=RUNS)
    row = (await connection.execute(found)).mappings().first()
    return None if row is None else read_run(row)


async def _remove(connection: AsyncConnection, runs: Sequence[str]) -> None:
    if runs:
        await connection.execute(delete(RUNS).where(RUNS.c.id.in_(runs)))
        await remove_approvals(connection, runs)
        for table in (RUN_BODIES, RUN_EVENTS, RUN_ITEMS, TOOL_CALLS, TOOL_BLOBS):
            await connection.execute(delete(table).where(table.c.run.in_(runs)))
