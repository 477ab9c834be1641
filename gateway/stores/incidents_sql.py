"""Incidents in a SQL database: one adapter for SQLite and PostgreSQL. What is only read is in `incidents_reading.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.database import Database
from gateway.stores.durable import be_durable
from gateway.stores.incident_threads_tables import INCIDENT_THREADS
from gateway.stores.incidents import Beginning, Board, Changes, Found, Incident, IncidentEvent, Schedule, Wanted
from gateway.stores.incidents_reading import IncidentReading, in_pieces, is_of
from gateway.stores.incidents_rows import (
    alert_row,
    delivery_row,
    event_row,
    incident_notices,
    incident_row,
    read_alert,
    read_incident,
)
from gateway.stores.incidents_tables import (
    HAS_RUN,
    INCIDENT_ALERTS,
    INCIDENT_EVENTS,
    INCIDENT_RUNS,
    INCIDENTS,
    IS_DUE,
    IS_LEFT,
    IS_OPEN,
    SEVERITIES,
    TRIGGER_DELIVERIES,
    TRIGGER_SCHEDULES,
    UNKNOWN_SEVERITY,
)
from gateway.stores.outbox_sql import add_notices

_IN_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:trigger, 7246922))")
"""On PostgreSQL two replicas would each find that there is no incident yet. SQLite has one writer anyway."""
_MINUTE: Final = 60.0


class SqlIncidents(IncidentReading):
    """The incident store over a database."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        dialect: Any = postgresql if database.kind == "postgres" else sqlite
        self._put_incident = _replacing(dialect.insert(INCIDENTS), ["id"], INCIDENTS)
        self._put_alert = _replacing(dialect.insert(INCIDENT_ALERTS), ["trigger", "fingerprint"], INCIDENT_ALERTS)
        self._add_run = dialect.insert(INCIDENT_RUNS).on_conflict_do_nothing(index_elements=["run"])
        self._put_schedule = _replacing(dialect.insert(TRIGGER_SCHEDULES), ["trigger"], TRIGGER_SCHEDULES)

    async def take_in(self, trigger: str, wanted: Wanted, fold: Callable[[Found], Changes]) -> Changes:
        """Write what `fold` makes of what there is, and give it. It is on the disk then."""
        async with self._turn(trigger) as connection:
            await be_durable(connection)
            changes = fold(await _found(connection, trigger, wanted))
            await self._write(connection, changes)
        return changes

    async def begin_due(
        self, trigger: str, *, now: float, most: int, decide: Callable[[Board], Beginning]
    ) -> Sequence[Incident]:
        """Write what `decide` makes of the board, and give the incidents whose runs it wants begun."""
        async with self._turn(trigger) as connection:
            board = await _board(connection, trigger, now, most)
            if not board.due and not board.left:
                return ()
            beginning = decide(board)
            await self._write(connection, beginning.changes)
            if beginning.held is not None:
                await _leave_over(connection, trigger, now, beginning.held)
            if beginning.begin:
                rows = [
                    {"run": each.run, "incident": each.id, "trigger": trigger, "at": now} for each in beginning.begin
                ]
                await connection.execute(self._add_run, rows)
        return beginning.begin

    async def change(self, trigger: str, incident: str, fold: Callable[[Incident], Changes | None]) -> Incident | None:
        """Write what `fold` makes of one incident, None for nothing; give it as it then is, None where it is gone."""
        async with self._turn(trigger) as connection:
            row = (await connection.execute(select(INCIDENTS).where(is_of(None, incident)))).mappings().first()
            if row is None:
                return None
            before = read_incident(row)
            changes = fold(before)
            if changes is None:
                return before
            await self._write(connection, changes)
            after = next((each for each in changes.incidents if each.id == incident), before)
            if after.run != before.run and after.run:
                # Another run goes on in the place of the one before: it is of this incident, too.
                row_of_run = {"run": after.run, "incident": after.id, "trigger": trigger, "at": after.updated_at}
                await connection.execute(self._add_run, row_of_run)
        return after

    async def advance(self, schedule: Schedule, before: Schedule | None) -> bool:
        """Write how far a schedule has come; False where somebody else was faster (`before` is not what is there)."""
        table = TRIGGER_SCHEDULES
        async with self._turn(schedule.trigger) as connection:
            row = (await connection.execute(select(table).where(table.c.trigger == schedule.trigger))).mappings()
            found = row.first()
            if (None if found is None else Schedule(**found)) != before:
                return False
            await connection.execute(self._put_schedule, msgspec.structs.asdict(schedule))
        return True

    async def remove_old(self, trigger: str, before: float, *, most: int = 500) -> int:
        """Forget some incidents that were over before then, what belongs to them, and deliveries from before then; give how many."""
        columns = INCIDENTS.c
        over = select(columns.id).where(columns.trigger == trigger, columns.ended_at < before, columns.phase == "")
        deliveries = TRIGGER_DELIVERIES.c
        async with self._turn(trigger) as connection:
            some = list((await connection.execute(over.limit(most))).scalars())
            await connection.execute(
                delete(TRIGGER_DELIVERIES).where(deliveries.trigger == trigger, deliveries.at < before)
            )
            for table in (INCIDENT_ALERTS, INCIDENT_EVENTS, INCIDENT_RUNS, INCIDENT_THREADS):
                await connection.execute(delete(table).where(table.c.incident.in_(some)))
            await connection.execute(delete(INCIDENTS).where(columns.id.in_(some)))
        return len(some)

    @asynccontextmanager
    async def _turn(self, trigger: str) -> AsyncIterator[AsyncConnection]:
        """Open a transaction in which nobody else changes what belongs to a trigger."""
        async with self._database.begin() as connection:
            if self._database.kind == "postgres":
                await connection.execute(_IN_TURN, {"trigger": trigger})
            yield connection

    async def _write(self, connection: AsyncConnection, changes: Changes) -> None:
        for statement, rows in (
            (self._put_incident, [incident_row(each) for each in changes.incidents]),
            (self._put_alert, [alert_row(each) for each in changes.alerts]),
            (insert(INCIDENT_EVENTS), [event_row(each) for each in changes.events]),
            (insert(TRIGGER_DELIVERIES), [delivery_row(each) for each in changes.deliveries]),
        ):
            if rows:
                await connection.execute(statement, rows)
        await add_notices(connection, incident_notices(changes))


def _replacing(adding: Any, key: list[str], table: Any) -> Any:
    """Give an insertion that takes the place of the row with the same key."""
    values = {column.name: adding.excluded[column.name] for column in table.columns if column.name not in key}
    return adding.on_conflict_do_update(index_elements=key, set_=values)


async def _found(connection: AsyncConnection, trigger: str, wanted: Wanted) -> Found:
    """Give what there is of what is asked for."""
    incidents, alerts, deliveries = INCIDENTS.c, INCIDENT_ALERTS.c, TRIGGER_DELIVERIES.c

    async def every(statement: Any, column: Any, names: Collection[str]) -> list[Any]:
        rows: list[Any] = []
        for piece in in_pieces(names):
            rows += (await connection.execute(statement.where(column.in_(piece)))).mappings()
        return rows

    found = [
        read_alert(row)
        for row in await every(
            select(INCIDENT_ALERTS).where(alerts.trigger == trigger), alerts.fingerprint, wanted.fingerprints
        )
    ]
    by_key = select(INCIDENTS).where(incidents.trigger == trigger, IS_OPEN)
    open_ones = [read_incident(row) for row in await every(by_key, incidents.key, wanted.keys)]
    owners = {alert.incident for alert in found if alert.incident} - {each.id for each in open_ones}
    others = [read_incident(row) for row in await every(select(INCIDENTS), incidents.id, owners)]
    known = select(deliveries.dedupe).where(deliveries.trigger == trigger)
    delivered = await every(known, deliveries.dedupe, wanted.dedupes)
    return Found(
        open={each.key: each for each in open_ones},
        incidents={each.id: each for each in (*open_ones, *others)},
        alerts={alert.fingerprint: alert for alert in found},
        delivered={row["dedupe"] for row in delivered},
    )


async def _board(connection: AsyncConnection, trigger: str, now: float, most: int) -> Board:
    columns, runs = INCIDENTS.c, INCIDENT_RUNS.c
    own = columns.trigger == trigger
    ready = and_(own, IS_DUE, columns.due_at <= now, columns.phase == "")
    left = and_(own, HAS_RUN, columns.phase == "starting", or_(columns.until.is_(None), columns.until <= now))
    ordered = select(INCIDENTS).order_by(columns.opened_at, columns.id)
    due = [read_incident(row) for row in (await connection.execute(ordered.where(left).limit(most))).mappings()]
    due += [read_incident(row) for row in (await connection.execute(ordered.where(ready).limit(most))).mappings()]
    count = select(func.count()).select_from(INCIDENTS)
    waiting = (await connection.execute(count.where(ready))).scalar_one()
    going = (
        await connection.execute(count.where(own, HAS_RUN, columns.phase.in_(("starting", "running"))))
    ).scalar_one()
    begun = select(runs.at).where(runs.trigger == trigger, runs.at > now - _MINUTE).order_by(runs.at)
    storm = select(INCIDENTS).where(own, IS_OPEN, columns.kind == "storm")
    stormy = (await connection.execute(storm)).mappings().first()
    return Board(
        due=due,
        more=max(0, waiting - most),
        begun=list((await connection.execute(begun)).scalars()),
        going=going,
        storm=None if stormy is None else read_incident(stormy),
        left=await _left(connection, own, most),
    )


async def _left(connection: AsyncConnection, own: ColumnElement[bool], most: int) -> list[tuple[Incident, int]]:
    """Give what storms left over, the most severe and the oldest first, each with how many of its storm had a run."""
    columns = INCIDENTS.c
    rank = case(SEVERITIES, value=func.lower(columns.severity), else_=UNKNOWN_SEVERITY)
    found = select(INCIDENTS).where(own, IS_LEFT, columns.phase == "", columns.runs == 0, columns.due_at.is_(None))
    ordered = found.order_by(rank, columns.opened_at, columns.id).limit(most)
    some = [read_incident(row) for row in (await connection.execute(ordered)).mappings()]
    if not some:
        return []
    storms = {one.part_of for one in some}
    had = select(columns.part_of, func.count()).where(columns.part_of.in_(storms), columns.runs > 0)
    counts = {row[0]: row[1] for row in await connection.execute(had.group_by(columns.part_of))}
    return [(one, counts.get(one.part_of, 0)) for one in some]


async def _leave_over(connection: AsyncConnection, trigger: str, now: float, storm: Incident) -> None:
    """Have all that is due, and had no run, be part of a storm."""
    columns = INCIDENTS.c
    rest = update(INCIDENTS).where(
        columns.trigger == trigger,
        IS_DUE,
        columns.due_at <= now,
        columns.phase == "",
        columns.runs == 0,
        columns.kind != "storm",
    )
    held = await connection.execute(rest.values(held="storm", part_of=storm.id, due_at=None, updated_at=now))
    said = IncidentEvent(
        incident=storm.id, seq=storm.last_seq + 1, at=now, name="incidents.held", body={"count": held.rowcount}
    )
    await connection.execute(insert(INCIDENT_EVENTS), [event_row(said)])
    more = update(INCIDENTS).where(columns.id == bindparam("of"))
    await connection.execute(
        more.values(alerts=columns.alerts + held.rowcount, last_seq=said.seq, updated_at=now), {"of": storm.id}
    )
