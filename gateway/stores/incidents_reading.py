"""What there is to read of incidents in a SQL database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, true, tuple_

from gateway.stores.database import Database
from gateway.stores.incidents import Alert, Incident, IncidentEvent, IncidentState, Schedule, TriggerFigures
from gateway.stores.incidents_rows import read_alert, read_event, read_incident
from gateway.stores.incidents_tables import (
    HAS_RUN,
    INCIDENT_ALERTS,
    INCIDENT_EVENTS,
    INCIDENT_RUNS,
    INCIDENTS,
    IS_DUE,
    IS_LEFT,
    IS_OPEN,
    TRIGGER_DELIVERIES,
    TRIGGER_SCHEDULES,
)

_AT_ONCE: Final = 500
"""Names in one statement."""


def in_pieces(names: Collection[str]) -> Iterator[list[str]]:
    """Give names in lists that one statement takes."""
    some = sorted(names)
    for start in range(0, len(some), _AT_ONCE):
        yield some[start : start + _AT_ONCE]


def is_of(tenant: str | None, incident: str) -> ColumnElement[bool]:
    """Give the condition that a row is this incident, and the tenant's; None is any."""
    return and_(INCIDENTS.c.id == incident, true() if tenant is None else INCIDENTS.c.tenant == tenant)


class IncidentReading:
    """Reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active(self) -> Sequence[Incident]:
        """Give the incidents with a present run, and storms that are open, of all triggers."""
        columns = INCIDENTS.c
        found = select(INCIDENTS).where(or_(HAS_RUN, and_(IS_OPEN, columns.kind == "storm")))
        async with self._database.connect() as connection:
            return [read_incident(row) for row in (await connection.execute(found)).mappings()]

    async def due(self, now: float) -> Sequence[str]:
        """Give the triggers that have something due."""
        columns = INCIDENTS.c
        ready = select(columns.trigger).where(IS_DUE, columns.due_at <= now, columns.phase == "")
        left = select(columns.trigger).where(HAS_RUN, columns.phase == "starting", columns.until <= now)
        async with self._database.connect() as connection:
            return list((await connection.execute(ready.union(left))).scalars())

    async def with_left_over(self) -> Sequence[str]:
        """Give the triggers of which a storm left something over that had no run."""
        columns = INCIDENTS.c
        left = select(columns.trigger).where(IS_LEFT, columns.phase == "", columns.runs == 0).distinct()
        async with self._database.connect() as connection:
            return list((await connection.execute(left)).scalars())

    async def schedule(self, trigger: str) -> Schedule | None:
        """Give how far a schedule has come."""
        wanted = select(TRIGGER_SCHEDULES).where(TRIGGER_SCHEDULES.c.trigger == trigger)
        async with self._database.connect() as connection:
            row = (await connection.execute(wanted)).mappings().first()
        return None if row is None else Schedule(**row)

    async def told(self, incident: Incident, *, most: int) -> tuple[Sequence[Alert], int]:
        """Give alerts that the present run is told for the first time, the oldest first and at most so many, and how many there are."""
        columns = INCIDENT_ALERTS.c
        new = and_(
            columns.incident == incident.id, columns.seq > incident.told_seq, columns.seq <= incident.telling_seq
        )
        some = select(INCIDENT_ALERTS).where(new).order_by(columns.seq, columns.fingerprint).limit(most)
        async with self._database.connect() as connection:
            found = [read_alert(row) for row in (await connection.execute(some)).mappings()]
            count = select(func.count()).select_from(INCIDENT_ALERTS).where(new)
            return found, (await connection.execute(count)).scalar_one()

    async def left_over(self, storm: str, *, most: int) -> tuple[Sequence[tuple[str, int]], int]:
        """Give the titles of what a storm left over, the most frequent first, with their counts, and how many there are altogether."""
        columns, count = INCIDENTS.c, func.count()
        titles = (
            select(columns.title, count)
            .where(columns.part_of == storm)
            .group_by(columns.title)
            .order_by(count.desc(), columns.title)
            .limit(most)
        )
        async with self._database.connect() as connection:
            found = [(row[0], row[1]) for row in await connection.execute(titles)]
            total = await connection.execute(select(count).select_from(INCIDENTS).where(columns.part_of == storm))
            return found, total.scalar_one()

    async def find(self, tenant: str | None, incident: str) -> Incident | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(INCIDENTS).where(is_of(tenant, incident)))).mappings().first()
        return None if row is None else read_incident(row)

    async def list(
        self,
        tenant: str | None,
        *,
        after: str = "",
        limit: int = 100,
        trigger: str = "",
        state: IncidentState | None = None,
        storm: str = "",
    ) -> Sequence[Incident]:
        """Give a page, the newest first. `after` is the id of the last one before; one that is not there gives nothing."""
        columns = INCIDENTS.c
        found = select(INCIDENTS).where(true() if tenant is None else columns.tenant == tenant)
        for column, value in ((columns.trigger, trigger), (columns.state, state), (columns.part_of, storm)):
            if value:
                found = found.where(column == value)
        async with self._database.connect() as connection:
            if after:
                last = await connection.execute(select(columns.opened_at).where(is_of(tenant, after)))
                at = last.scalar_one_or_none()
                if at is None:
                    return []
                found = found.where(tuple_(columns.opened_at, columns.id) < tuple_(at, after))
            ordered = found.order_by(columns.opened_at.desc(), columns.id.desc()).limit(limit)
            return [read_incident(row) for row in (await connection.execute(ordered)).mappings()]

    async def events(self, incident: str, *, most: int = 1000) -> Sequence[IncidentEvent]:
        """Give the events of an incident in order, the last ones where there are too many."""
        columns = INCIDENT_EVENTS.c
        wanted = select(INCIDENT_EVENTS).where(columns.incident == incident).order_by(columns.seq.desc()).limit(most)
        async with self._database.connect() as connection:
            return [read_event(row) for row in (await connection.execute(wanted)).mappings()][::-1]

    async def runs(self, incident: str) -> Sequence[str]:
        """Give the ids of its runs, the oldest first."""
        columns = INCIDENT_RUNS.c
        wanted = select(columns.run).where(columns.incident == incident).order_by(columns.at, columns.run)
        async with self._database.connect() as connection:
            return list((await connection.execute(wanted)).scalars())

    async def alerts(self, incident: str, *, most: int = 1000) -> Sequence[Alert]:
        """Give the alerts of an incident, the oldest first."""
        columns = INCIDENT_ALERTS.c
        wanted = select(INCIDENT_ALERTS).where(columns.incident == incident)
        ordered = wanted.order_by(columns.seq, columns.fingerprint).limit(most)
        async with self._database.connect() as connection:
            return [read_alert(row) for row in (await connection.execute(ordered)).mappings()]

    async def figures(self, trigger: str) -> TriggerFigures:
        """Give what there is to say of a trigger."""
        columns, deliveries = INCIDENTS.c, TRIGGER_DELIVERIES.c
        parts = select(columns.held, columns.phase, columns.kind, func.count(), func.min(columns.id))
        parts = parts.where(columns.trigger == trigger, IS_OPEN).group_by(columns.held, columns.phase, columns.kind)
        last = select(deliveries.at, deliveries.outcome).where(deliveries.trigger == trigger)
        async with self._database.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(parts)]
            newest = (await connection.execute(last.order_by(deliveries.at.desc()).limit(1))).first()
        return TriggerFigures(
            open=sum(row[3] for row in rows if row[2] != "storm"),
            running=sum(row[3] for row in rows if row[1] in ("starting", "running")),
            waiting=sum(row[3] for row in rows if row[1] == "waiting"),
            flapping=sum(row[3] for row in rows if row[0] == "flapping"),
            left_over=sum(row[3] for row in rows if row[0] == "storm"),
            storm=next((str(row[4]) for row in rows if row[2] == "storm"), ""),
            last_at=None if newest is None else newest[0],
            last_outcome="" if newest is None else newest[1],
        )
