"""Spilled results in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import LargeBinary, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.tool_calls_tables import TOOL_BLOBS

_KEY: Final = ["run", "name"]
_MOST: Final = 2**30
"""Bytes that neither database keeps in one place."""


def _putting(dialect: Any) -> Any:
    return dialect.insert(TOOL_BLOBS).on_conflict_do_nothing(index_elements=_KEY)


_PUT: Final = {"postgresql": _putting(postgresql), "sqlite": _putting(sqlite)}


class SqlBlobs:
    """The store of spilled results over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, run: str, name: str, *, offset: int, limit: int) -> tuple[bytes, int] | None:
        """Give bytes from `offset` on and the size of the whole; None where the run has none of that name."""
        columns = TOOL_BLOBS.c
        part = func.substr(columns.body, _within(offset) + 1, _within(limit), type_=LargeBinary())
        found = select(part.label("part"), columns.size)
        found = found.where(columns.run == storable(run), columns.name == storable(name))
        async with self._database.connect() as connection:
            row = (await connection.execute(found)).first()
        return None if row is None else (bytes(row.part), row.size)


async def add_texts(connection: AsyncConnection, run: str, texts: Sequence[tuple[str, bytes]]) -> None:
    """Keep texts (name, bytes) of a run that there is, in the caller's transaction; one of a name that is there stays."""
    rows = [{"run": storable(run), "name": storable(name), "size": len(text), "body": text} for name, text in texts]
    await connection.execute(_PUT[connection.dialect.name], rows)


def _within(number: int) -> int:
    """Give a number of bytes that both databases count with: a model says which part it wants."""
    return min(max(0, number), _MOST)
