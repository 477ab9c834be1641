"""Files in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict
from gateway.stores.batches import UNFINISHED
from gateway.stores.batches_tables import BATCHES
from gateway.stores.database import Database
from gateway.stores.files import FileQuery, StoredFile
from gateway.stores.files_tables import FILES

_BATCH: Final = 500


class SqlFiles:
    """The file store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, file: StoredFile, *, most_bytes: int | None = None) -> bool:
        """Keep a new one; False when its tenant's files would come to more than `most_bytes`."""
        async with self._database.begin() as connection:
            if most_bytes is not None and await _bytes_of(connection, file.tenant) + file.bytes > most_bytes:
                return False
            await add_files(connection, [file])
        return True

    async def find(self, tenant: str, file: str, *, now: float) -> StoredFile | None:
        """Give one, or None when the tenant has none of that id."""
        async with self._database.connect() as connection:
            found = select(FILES).where(_is(tenant, file), _lives(now))
            row = (await connection.execute(found)).mappings().first()
        return None if row is None else _file(row)

    async def list(self, query: FileQuery) -> Sequence[StoredFile]:
        """Give a page. An `after` that is not there gives nothing."""
        columns = FILES.c
        wanted = [columns.tenant == query.tenant, _lives(query.now)]
        if query.purpose is not None:
            wanted.append(columns.purpose == query.purpose)
        place = tuple_(columns.created_at, columns.id)
        async with self._database.connect() as connection:
            if query.after:
                last = select(columns.created_at).where(_is(query.tenant, query.after))
                at = (await connection.execute(last)).scalar_one_or_none()
                if at is None:
                    return []
                mark = tuple_(at, query.after)
                wanted.append(place < mark if query.newest_first else place > mark)
            order = (columns.created_at, columns.id)
            ordered = [column.desc() for column in order] if query.newest_first else list(order)
            rows = await connection.execute(select(FILES).where(*wanted).order_by(*ordered).limit(query.limit))
            return [_file(row) for row in rows.mappings()]

    async def bytes_of(self, tenant: str) -> int:
        """Give how many bytes a tenant's files have together."""
        async with self._database.connect() as connection:
            return await _bytes_of(connection, tenant)

    async def remove(self, tenant: str, file: str) -> bool:
        """Forget one; False when the tenant has none of that id. Raises Conflict while an unfinished batch reads it."""
        async with self._database.begin() as connection:
            # First, so that no batch can begin with it meanwhile: making one looks at this row under a lock.
            done = await connection.execute(delete(FILES).where(_is(tenant, file)))
            reads = select(BATCHES.c.id).where(BATCHES.c.input_file == file, BATCHES.c.status.in_(UNFINISHED))
            reader = (await connection.execute(reads.limit(1))).scalar_one_or_none()
            if done.rowcount and reader is not None:
                raise Conflict(f"The batch {reader} still reads this file: cancel it first, or wait for its end.")
        return done.rowcount > 0

    async def remove_expired(self, now: float) -> Sequence[str]:
        """Forget those that have expired and that no unfinished batch reads, and give their ids."""
        reading = select(BATCHES.c.input_file).where(BATCHES.c.status.in_(UNFINISHED))
        expired = and_(FILES.c.expires_at <= now, FILES.c.id.not_in(reading))
        async with self._database.begin() as connection:
            found = await connection.execute(select(FILES.c.id).where(expired).limit(_BATCH))
            ids = list(found.scalars())
            await connection.execute(delete(FILES).where(FILES.c.id.in_(ids)))
        return ids

    async def missing(self, ids: Sequence[str]) -> Sequence[str]:
        """Give those of `ids` that are no file, nor about to be the result of an unfinished batch."""
        known: set[str] = set()
        async with self._database.connect() as connection:
            for start in range(0, len(ids), _BATCH):
                wanted = ids[start : start + _BATCH]
                known.update((await connection.execute(select(FILES.c.id).where(FILES.c.id.in_(wanted)))).scalars())
            making = select(BATCHES.c.output_file, BATCHES.c.error_file).where(BATCHES.c.status.in_(UNFINISHED))
            for output, errors in await connection.execute(making):
                known |= {output, errors}
        return [one for one in ids if one not in known]


async def add_files(connection: AsyncConnection, files: Sequence[StoredFile]) -> None:
    """Keep new files within a transaction of somebody else's."""
    await connection.execute(insert(FILES), [msgspec.structs.asdict(file) for file in files])


async def _bytes_of(connection: AsyncConnection, tenant: str) -> int:
    total = select(func.coalesce(func.sum(FILES.c.bytes), 0)).where(FILES.c.tenant == tenant)
    return int((await connection.execute(total)).scalar_one())


def _is(tenant: str, file: str) -> ColumnElement[bool]:
    return and_(FILES.c.id == file, FILES.c.tenant == tenant)


def _lives(now: float) -> ColumnElement[bool]:
    return or_(FILES.c.expires_at.is_(None), FILES.c.expires_at > now)


def _file(row: RowMapping) -> StoredFile:
    return msgspec.convert({name: row[name] for name in StoredFile.__struct_fields__}, StoredFile)
