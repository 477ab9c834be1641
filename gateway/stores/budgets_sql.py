"""Budgets in a SQL database: one adapter for SQLite and PostgreSQL. Every change takes the next revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.budgets import Budget
from gateway.stores.budgets_tables import BUDGETS, BUDGETS_REVISION, LIMIT_COUNTS
from gateway.stores.counters import Count
from gateway.stores.database import Database

_BATCH: Final = 200


class SqlBudgets:
    """The budget store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, budget: Budget) -> None:
        """Keep a new one. Raises Conflict when its tenant has one of that name."""
        async with self._database.begin() as connection:
            await _next_revision(connection)
            await connection.execute(insert(BUDGETS).values(_row(budget)))

    async def replace(self, budget: Budget) -> bool:
        """Put it in the place of the version before it; False when there is none of its id, tenant and that version."""
        columns = BUDGETS.c
        same = and_(_is(budget.tenant, budget.id), columns.version == budget.version - 1)
        async with self._database.begin() as connection:
            await _next_revision(connection)
            done = await connection.execute(update(BUDGETS).where(same).values(_row(budget)))
        return done.rowcount > 0

    async def remove(self, tenant: str | None, budget: str) -> bool:
        """Remove one; False when the tenant has none of that id."""
        async with self._database.begin() as connection:
            await _next_revision(connection)
            done = await connection.execute(delete(BUDGETS).where(_is(tenant, budget)))
        return done.rowcount > 0

    async def find(self, tenant: str | None, budget: str) -> Budget | None:
        """Give one, or None when the tenant has none of that id."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(BUDGETS).where(_is(tenant, budget)))).mappings().first()
        return None if row is None else _budget(row)

    async def list(self, tenant: str | None) -> Sequence[Budget]:
        """Give all of them, by name."""
        found = select(BUDGETS).where(_of(tenant)).order_by(BUDGETS.c.name, BUDGETS.c.id)
        async with self._database.connect() as connection:
            return [_budget(row) for row in (await connection.execute(found)).mappings()]

    async def revision(self) -> int:
        """Give a number that grows with every change of any budget."""
        async with self._database.connect() as connection:
            return int((await connection.execute(select(BUDGETS_REVISION.c.number))).scalar_one())

    async def save_counts(self, counts: Iterable[Count], now: float) -> None:
        """Keep what slots hold, in place of what was kept of them, and forget those that expired before `now`."""
        rows = [msgspec.structs.asdict(count) for count in counts]
        dialect = postgresql if self._database.kind == "postgres" else sqlite
        async with self._database.begin() as connection:
            for start in range(0, len(rows), _BATCH):
                adding = dialect.insert(LIMIT_COUNTS).values(rows[start : start + _BATCH])
                new = {"amount": adding.excluded.amount, "expires": adding.excluded.expires}
                await connection.execute(adding.on_conflict_do_update(index_elements=["key", "slot"], set_=new))
            await connection.execute(delete(LIMIT_COUNTS).where(LIMIT_COUNTS.c.expires <= now))

    async def load_counts(self, now: float) -> Sequence[Count]:
        """Give what was kept and has not expired."""
        found = select(LIMIT_COUNTS).where(LIMIT_COUNTS.c.expires > now)
        async with self._database.connect() as connection:
            return [Count(**row) for row in (await connection.execute(found)).mappings()]


async def _next_revision(connection: AsyncConnection) -> None:
    """Take the next revision, and with it a lock until the commit: revisions become visible in their order."""
    await connection.execute(update(BUDGETS_REVISION).values(number=BUDGETS_REVISION.c.number + 1))


def _is(tenant: str | None, budget: str) -> ColumnElement[bool]:
    return and_(BUDGETS.c.id == budget, _of(tenant))


def _of(tenant: str | None) -> ColumnElement[bool]:
    return true() if tenant is None else BUDGETS.c.tenant == tenant


def _row(budget: Budget) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(budget)
    return row


def _budget(row: RowMapping) -> Budget:
    return msgspec.convert({name: row[name] for name in Budget.__struct_fields__}, Budget)
