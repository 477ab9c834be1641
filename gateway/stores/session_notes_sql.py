"""What is kept of MCP clients' sessions, in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.session_notes import MOST_RESOURCES
from gateway.stores.session_notes_tables import SESSION_NOTES

_columns = SESSION_NOTES.c
_KEY: Final = ["session", "kind", "name"]
_LEVEL: Final = "level"
_RESOURCE: Final = "resource"


class SqlSessionNotes:
    """The store of session notes over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def level(self, session: str) -> str:
        """Give from which level on a session wants to hear what is logged; empty where it has not said so."""
        found = select(_columns.value).where(_of(session, _LEVEL))
        async with self._database.connect() as connection:
            return (await connection.execute(found)).scalar_one_or_none() or ""

    async def set_level(self, session: str, level: str, *, until: float) -> None:
        """Keep it, for as long as the session can last."""
        async with self._database.begin() as connection:
            await connection.execute(self._put(session, _LEVEL, "", level, until))

    async def resources(self, session: str) -> Sequence[str]:
        """Give the resources that a session watches, by their URIs as its client knows them, sorted."""
        found = select(_columns.value).where(_of(session, _RESOURCE))
        async with self._database.connect() as connection:
            return sorted((await connection.execute(found)).scalars())

    async def watch(self, session: str, uri: str, *, until: float) -> bool:
        """Have a session watch a resource; once is as good as twice. False where it watches as many as it may."""
        name = _digest(uri)
        others = select(func.count()).where(_of(session, _RESOURCE), _columns.name != name)
        async with self._database.begin() as connection:
            if (await connection.execute(others)).scalar_one() >= MOST_RESOURCES:
                return False
            await connection.execute(self._put(session, _RESOURCE, name, storable(uri), until))
        return True

    async def unwatch(self, session: str, uri: str) -> None:
        """Have a session no longer watch a resource."""
        async with self._database.begin() as connection:
            await connection.execute(
                delete(SESSION_NOTES).where(_of(session, _RESOURCE), _columns.name == _digest(uri))
            )

    async def sweep(self, now: float) -> int:
        """Forget what was kept of sessions that are over; give how much it was."""
        async with self._database.begin() as connection:
            return (await connection.execute(delete(SESSION_NOTES).where(_columns.expires_at <= now))).rowcount

    def _put(self, session: str, kind: str, name: str, value: str, until: float) -> Any:
        row = {"session": session, "kind": kind, "name": name, "value": value, "expires_at": until}
        insert: Any = postgresql.insert if self._database.kind == "postgres" else sqlite.insert
        changed = {"value": value, "expires_at": until}
        return insert(SESSION_NOTES).values(row).on_conflict_do_update(index_elements=_KEY, set_=changed)


def _of(session: str, kind: str) -> Any:
    return and_(_columns.session == session, _columns.kind == kind)


def _digest(uri: str) -> str:
    return hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()
