"""Batches in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, select, true, tuple_, update

from gateway.core.errors import Conflict
from gateway.stores.batches import UNFINISHED, Batch, Status
from gateway.stores.batches_tables import BATCHES
from gateway.stores.database import Database
from gateway.stores.files import StoredFile
from gateway.stores.files_sql import add_files
from gateway.stores.files_tables import FILES

_AT_ONCE: Final = 500


class SqlBatches:
    """The batch store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Batch, *, most_unfinished: int) -> bool:
        """Keep a new one; False when its tenant has that many unfinished ones.

        Raises Conflict when its input file is gone.
        """
        columns = BATCHES.c
        unfinished = select(func.count()).where(columns.tenant == batch.tenant, columns.status.in_(UNFINISHED))
        # Locked on PostgreSQL, where others write too: who deletes the file waits, and then sees this batch.
        held = select(FILES.c.id).where(FILES.c.id == batch.input_file, FILES.c.tenant == batch.tenant)
        async with self._database.begin() as connection:
            if (await connection.execute(held.with_for_update())).first() is None:
                raise Conflict("The input file was deleted meanwhile.")
            if (await connection.execute(unfinished)).scalar_one() >= most_unfinished:
                return False
            await connection.execute(insert(BATCHES).values(_row(batch)))
        return True

    async def replace(self, batch: Batch, files: Sequence[StoredFile] = ()) -> bool:
        """Put it in the place of the version before it, and keep the files that it made, both or neither.

        False when the version in the store is another one: somebody was faster.
        """
        before = and_(_is(batch.tenant, batch.id), BATCHES.c.version == batch.version - 1)
        async with self._database.begin() as connection:
            done = await connection.execute(update(BATCHES).where(before).values(_row(batch)))
            if done.rowcount and files:
                await add_files(connection, files)
        return done.rowcount > 0

    async def find(self, tenant: str | None, batch: str) -> Batch | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(BATCHES).where(_is(tenant, batch)))).mappings().first()
        return None if row is None else _batch(row)

    async def list(
        self, tenant: str | None, *, after: str = "", limit: int = 20, status: Status | None = None
    ) -> Sequence[Batch]:
        """Give a page, the newest first; a tenant of None is any, and so is a status.

        `after` is the id of the last one before; one that is not there gives nothing.
        """
        columns = BATCHES.c
        found = select(BATCHES).where(true() if tenant is None else columns.tenant == tenant)
        if status is not None:
            found = found.where(columns.status == status)
        async with self._database.connect() as connection:
            if after:
                last = select(columns.created_at).where(_is(tenant, after))
                at = (await connection.execute(last)).scalar_one_or_none()
                if at is None:
                    return []
                found = found.where(tuple_(columns.created_at, columns.id) < tuple_(at, after))
            ordered = found.order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)
            return [_batch(row) for row in (await connection.execute(ordered)).mappings()]

    async def remove_ended(self, before: float) -> Sequence[Batch]:
        """Forget some of those that ended before then, and give them as they were."""
        columns = BATCHES.c
        moments = (columns.completed_at, columns.failed_at, columns.expired_at, columns.cancelled_at)
        ended = select(BATCHES).where(
            columns.status.not_in(UNFINISHED), func.coalesce(*moments, columns.created_at) < before
        )
        async with self._database.connect() as connection:
            found = [_batch(row) for row in (await connection.execute(ended.limit(_AT_ONCE))).mappings()]
        if found:
            async with self._database.begin() as connection:
                await connection.execute(delete(BATCHES).where(columns.id.in_([batch.id for batch in found])))
        return found

    async def unfinished(self) -> Sequence[str]:
        """Give the ids of all that have not ended, the oldest first."""
        columns = BATCHES.c
        found = select(columns.id).where(columns.status.in_(UNFINISHED)).order_by(columns.created_at, columns.id)
        async with self._database.connect() as connection:
            return list((await connection.execute(found)).scalars())


def _is(tenant: str | None, batch: str) -> ColumnElement[bool]:
    return and_(BATCHES.c.id == batch, true() if tenant is None else BATCHES.c.tenant == tenant)


def _row(batch: Batch) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(batch)
    return row


def _batch(row: RowMapping) -> Batch:
    return msgspec.convert({name: row[name] for name in Batch.__struct_fields__}, Batch)
