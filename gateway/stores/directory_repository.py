"""One noun of the directory in a database: one adapter for SQLite and PostgreSQL. It knows no noun by name.

Values travel as parameters, never in statements.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import InvalidRequest, NotFound
from gateway.stores.database import Database
from gateway.stores.directory import MOST_AT_ONCE, Page
from gateway.stores.directory_rules import changed, checked, checked_text, is_id

R = TypeVar("R", bound=msgspec.Struct)


class Noun(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """What the adapter has to know of a noun. `refers` maps fields to the tables that hold what they name."""

    name: str
    record: type[R]
    table: sqlalchemy.Table
    changeable: frozenset[str]
    filters: frozenset[str]
    refers: Mapping[str, sqlalchemy.Table]

    @property
    def owner(self) -> sqlalchemy.Column[str]:
        """The column that says whose a row is."""
        return self.table.c.tenant if "tenant" in self.table.c else self.table.c.id


class SqlRepository(Generic[R]):
    """One noun of the directory; the port says what each method does."""

    def __init__(self, database: Database, noun: Noun[R]) -> None:
        self._database = database
        self._noun = noun

    async def create(self, record: R) -> R:
        """Add a record."""
        record = checked(record)
        async with self._database.begin() as connection:
            await self._insert(connection, record)
        return record

    async def find(self, record_id: str, *, tenant: str | None) -> R | None:
        """Return the record of that id."""
        if not is_id(record_id):
            return None
        async with self._database.connect() as connection:
            return await self._select(connection, record_id, tenant)

    async def list(
        self, *, tenant: str | None, where: Mapping[str, str] = {}, after: str = "", limit: int = 100
    ) -> Page[R]:
        """Return a page of records."""
        limit = max(1, min(limit, MOST_AT_ONCE))
        table = self._noun.table
        query = self._scoped(sqlalchemy.select(table), tenant)
        for name, value in where.items():
            if name not in self._noun.filters:
                raise InvalidRequest(f"A {self._noun.name} is not looked for by '{name[:50]}'.", param=name[:50])
            wanted = checked_text(name, value)
            query = query.where(table.c[name] == (wanted.lower() if name == "email" else wanted))
        if after:
            query = query.where(sqlalchemy.tuple_(table.c.created_at, table.c.id) > _read_cursor(after))
        query = query.order_by(table.c.created_at, table.c.id).limit(limit + 1)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        items = tuple(map(self._record, rows[:limit]))
        return Page(items=items, next=_cursor(rows[limit - 1]) if len(rows) > limit else "")

    async def update(self, record_id: str, changes: Mapping[str, object], *, tenant: str | None) -> R:
        """Change some fields."""
        async with self._database.begin() as connection:
            record = await self._load(connection, record_id, tenant)
            record = changed(record, changes, self._noun.changeable)
            await self._refer(connection, record, only=changes)
            row = self._row(record)
            values = {name: row[name] for name in changes}
            if values:
                await self._change(connection, record_id, values)
        return record

    async def delete(self, record_id: str, *, tenant: str | None) -> None:
        """Remove a record."""
        async with self._database.begin() as connection:
            await self._load(connection, record_id, tenant)
            await self._remove(connection, record_id)

    async def _insert(self, connection: AsyncConnection, record: R, **extra: object) -> None:
        await self._refer(connection, record)
        await connection.execute(self._noun.table.insert().values({**self._row(record), **extra}))

    async def _change(self, connection: AsyncConnection, record_id: str, values: Mapping[str, object]) -> None:
        await connection.execute(self._noun.table.update().where(self._noun.table.c.id == record_id).values(values))

    async def _remove(self, connection: AsyncConnection, record_id: str) -> None:
        await connection.execute(self._noun.table.delete().where(self._noun.table.c.id == record_id))

    async def _load(self, connection: AsyncConnection, record_id: str, tenant: str | None) -> R:
        """Return a record and keep it from changing until the transaction ends."""
        record = await self._select(connection, record_id, tenant, lock=True) if is_id(record_id) else None
        if record is None:
            raise NotFound(f"There is no {self._noun.name} of that id.")
        return record

    async def _select(
        self, connection: AsyncConnection, record_id: str, tenant: str | None, *, lock: bool = False
    ) -> R | None:
        table = self._noun.table
        query = self._scoped(sqlalchemy.select(table).where(table.c.id == record_id), tenant)
        row = (await connection.execute(query.with_for_update() if lock else query)).mappings().first()
        return None if row is None else self._record(row)

    def _scoped(self, query: sqlalchemy.Select[Any], tenant: str | None) -> sqlalchemy.Select[Any]:
        if tenant is None:
            return query
        return query.where(self._noun.owner == (tenant if is_id(tenant) else ""))

    async def _refer(self, connection: AsyncConnection, record: R, only: Mapping[str, object] | None = None) -> None:
        """See that what a record names is there, in its tenant. The foreign keys hold it so."""
        for field, table in self._noun.refers.items():
            value = getattr(record, field)
            if not value or (only is not None and field not in only):
                continue
            query = sqlalchemy.select(table.c.id).where(table.c.id == value)
            if "tenant" in table.c:
                query = query.where(table.c.tenant == getattr(record, "tenant", None))
            if await connection.scalar(query) is None:
                raise InvalidRequest(f"There is no {field.replace('_', ' ')} '{value}'.", param=field)

    def _row(self, record: R) -> dict[str, Any]:
        """The columns of a record: an empty text that may be missing is NULL, so that it is unique to nobody."""
        columns = self._noun.table.c
        return {
            name: None if value == "" and columns[name].nullable else value
            for name, value in msgspec.structs.asdict(record).items()
        }

    def _record(self, row: sqlalchemy.RowMapping) -> R:
        # By the record's names: what SQLAlchemy calls a column is no plain str, which msgspec asks for.
        kind = self._noun.record
        present = {name: value for name in kind.__struct_fields__ if (value := row[name]) is not None}
        return msgspec.convert(present, kind, builtin_types=(bytes,))


def _cursor(row: sqlalchemy.RowMapping) -> str:
    """Where a page ended. It names no row that must still be there."""
    return base64.urlsafe_b64encode(msgspec.json.encode((row["created_at"], row["id"]))).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[float, str]:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        created_at, record_id = msgspec.json.decode(decoded, type=tuple[float, str])
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("'after' is not from a page of this list.", param="after") from None
    if not is_id(record_id):
        raise InvalidRequest("'after' is not from a page of this list.", param="after")
    return created_at, record_id
