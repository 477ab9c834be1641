"""Spilled results in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import LargeBinary, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.runs_tables import RUNS
from gateway.stores.tool_calls_tables import TOOL_BLOBS

_NAMES: Final = ("run", "name", "size", "body")
_KEY: Final = ["run", "name"]
_MOST: Final = 2**30
"""Bytes that neither database keeps in one place."""


def _putting(dialect: Any) -> Any:
    values = [bindparam(name, type_=TOOL_BLOBS.c[name].type) for name in _NAMES]
    # Of a run that was forgotten meanwhile nothing may be left.
    of_a_run = select(*values).where(select(RUNS.c.id).where(RUNS.c.id == bindparam("run")).exists())
    return dialect.insert(TOOL_BLOBS).from_select(_NAMES, of_a_run).on_conflict_do_nothing(index_elements=_KEY)


_PUT: Final = {"postgres": _putting(postgresql), "sqlite": _putting(sqlite)}


class SqlBlobs:
    """The store of spilled results over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, run: str, name: str, text: bytes) -> None:
        """Keep a text under a name of the run; one that is there stays. Of a run that there is not nothing is kept."""
        row = {"run": storable(run), "name": storable(name), "size": len(text), "body": text}
        async with self._database.begin() as connection:
            await connection.execute(_PUT[self._database.kind], row)

    async def read(self, run: str, name: str, *, offset: int, limit: int) -> tuple[bytes, int] | None:
        """Give bytes from `offset` on and the size of the whole; None where the run has none of that name."""
        columns = TOOL_BLOBS.c
        part = func.substr(columns.body, _within(offset) + 1, _within(limit), type_=LargeBinary())
        found = select(part.label("part"), columns.size)
        found = found.where(columns.run == storable(run), columns.name == storable(name))
        async with self._database.connect() as connection:
            row = (await connection.execute(found)).first()
        return None if row is None else (bytes(row.part), row.size)


def _within(number: int) -> int:
    """Give a number of bytes that both databases count with: a model says which part it wants."""
    return min(max(0, number), _MOST)
