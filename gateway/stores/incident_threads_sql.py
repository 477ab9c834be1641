"""Threads of incidents in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.database import Database
from gateway.stores.incident_threads import IncidentThread
from gateway.stores.incident_threads_tables import INCIDENT_THREADS
from gateway.stores.incidents_tables import INCIDENT_RUNS
from gateway.stores.runs_rows import write_json

_names: Final = msgspec.json.Decoder(tuple[str, ...])
_FREE: Final = 0.0


class SqlIncidentThreads:
    """The threads over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect: Any = postgresql if database.kind == "postgres" else sqlite
        self._add = dialect.insert(INCIDENT_THREADS).on_conflict_do_nothing(index_elements=["incident"])

    async def find(self, incident: str) -> IncidentThread | None:
        """Give the thread of an incident."""
        found = select(INCIDENT_THREADS).where(INCIDENT_THREADS.c.incident == incident)
        async with self._database.connect() as connection:
            row = (await connection.execute(found)).mappings().first()
        return None if row is None else _thread(row)

    async def claim(self, incident: str, channel: str, *, now: float, until: float) -> IncidentThread | None:
        """Have the thread to oneself until then, a new one where there is none; None while another one has it."""
        columns = INCIDENT_THREADS.c
        fresh = {"incident": incident, "channel": channel, "ts": "", "shown": "", "told_seq": 0, "asked": b"[]", "until": _FREE}  # fmt: skip
        free = update(INCIDENT_THREADS).where(columns.incident == incident, columns.until <= now)
        async with self._database.begin() as connection:
            await connection.execute(self._add.values(fresh))
            taken = await connection.execute(free.values(until=until).returning(*columns))
            row = taken.mappings().first()
        return None if row is None else _thread(row)

    async def keep(self, thread: IncidentThread) -> None:
        """Write how far it has come."""
        row = msgspec.structs.asdict(thread) | {"asked": write_json(thread.asked)}
        this = update(INCIDENT_THREADS).where(INCIDENT_THREADS.c.incident == row.pop("incident"))
        async with self._database.begin() as connection:
            await connection.execute(this.values(row))

    async def release(self, incident: str) -> None:
        """Let others have it."""
        this = update(INCIDENT_THREADS).where(INCIDENT_THREADS.c.incident == incident)
        async with self._database.begin() as connection:
            await connection.execute(this.values(until=_FREE))

    async def incident_of(self, run: str) -> str:
        """Give the incident that a run was begun for; empty for a run that none was."""
        found = select(INCIDENT_RUNS.c.incident).where(INCIDENT_RUNS.c.run == run)
        async with self._database.connect() as connection:
            return (await connection.execute(found)).scalar_one_or_none() or ""


def _thread(row: RowMapping) -> IncidentThread:
    return IncidentThread(
        incident=row["incident"],
        channel=row["channel"],
        ts=row["ts"],
        shown=row["shown"],
        told_seq=row["told_seq"],
        asked=_names.decode(row["asked"]),
    )
