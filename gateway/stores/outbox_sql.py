"""The outbox in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.outbox import Letter
from gateway.stores.outbox_tables import IS_WAITING, OUTBOX
from gateway.stores.runs_rows import read_json, write_json
from gateway.stores.tool_calls import Notice

_KEY: Final = ["kind", "dedupe"]
# Built once: building a statement costs more than SQLite takes to execute it.
_ADD: Final = {
    "postgresql": postgresql.insert(OUTBOX).on_conflict_do_nothing(index_elements=_KEY),
    "sqlite": sqlite.insert(OUTBOX).on_conflict_do_nothing(index_elements=_KEY),
}
_CHANGE: Final = update(OUTBOX).where(OUTBOX.c.id == bindparam("of"), IS_WAITING)
_MOST_OF_AN_ERROR: Final = 2000


async def add_notices(connection: AsyncConnection, notices: Iterable[Notice], *, at: float = 0.0) -> None:
    """Put notices into the outbox, in the caller's transaction; what was said before is left out. They are due at once, or at `at`."""
    rows = [
        {
            "kind": notice.kind,
            "dedupe": storable(notice.dedupe),
            "state": "waiting",
            "error": "",
            "attempts": 0,
            "next_at": at,
            "body": write_json(notice.body),
        }
        for notice in notices
    ]
    if rows:
        await connection.execute(_ADD[connection.dialect.name], rows)


class SqlOutbox:
    """The outbox over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, notices: Sequence[Notice], *, at: float) -> None:
        """Keep notices that are due at this time; one whose `dedupe` is known, sent or not, is left out."""
        async with self._database.begin() as connection:
            await add_notices(connection, notices, at=at)

    async def take(self, kinds: Sequence[str], *, now: float, until: float, most: int) -> Sequence[Letter]:
        """Take some that are due, the oldest first; nobody else gets them before `until`."""
        columns = OUTBOX.c
        due = select(OUTBOX).where(IS_WAITING, columns.kind.in_(kinds), columns.next_at <= now)
        # PostgreSQL passes over what another one is taking at this moment; on SQLite nobody else is here.
        due = due.order_by(columns.id).limit(most)
        async with self._database.connect() as connection:
            # Mostly there is nothing, and then nobody who writes has to wait for that.
            if (await connection.execute(due.with_only_columns(columns.id).limit(1))).first() is None:
                return []
        due = due.with_for_update(skip_locked=True)
        async with self._database.begin() as connection:
            found = (await connection.execute(due)).mappings().all()
            if found:
                taken = update(OUTBOX).where(columns.id.in_([row["id"] for row in found]))
                await connection.execute(taken.values(attempts=columns.attempts + 1, next_at=until))
        return [_letter(row) for row in found]

    async def sent(self, letter: int) -> None:
        """It was taken by whom it is for."""
        await self._change(letter, state="sent", error="")

    async def again(self, letter: int, *, at: float, error: str) -> None:
        """It was not: try again then."""
        await self._change(letter, next_at=at, error=_shortened(error))

    async def give_up(self, letter: int, *, error: str) -> None:
        """Never again; it is kept, for people to see."""
        await self._change(letter, state="given_up", error=_shortened(error))

    async def _change(self, letter: int, **values: Any) -> None:
        """Change one that waits: what was sent stays sent, whatever one says who was late with it."""
        async with self._database.begin() as connection:
            await connection.execute(_CHANGE.values(values), {"of": letter})

    async def remove_done(self, before: float, *, most: int = 500) -> int:
        """Forget those that were sent or given up and were last tried before then; give how many."""
        columns = OUTBOX.c
        done = select(columns.id).where(columns.state != "waiting", columns.next_at < before)
        done = done.order_by(columns.next_at).limit(most).with_for_update(skip_locked=True)
        async with self._database.begin() as connection:
            some = list((await connection.execute(done)).scalars())
            if some:
                await connection.execute(delete(OUTBOX).where(columns.id.in_(some)))
        return len(some)

    async def waiting(self) -> int:
        """Give how many wait to be sent."""
        async with self._database.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(OUTBOX).where(IS_WAITING))).scalar_one()


def _shortened(error: str) -> str:
    return storable(error[:_MOST_OF_AN_ERROR])


def _letter(row: RowMapping) -> Letter:
    """Give the letter of a row as it was before it was taken."""
    body = read_json(row["body"])
    return Letter(id=row["id"], kind=row["kind"], dedupe=row["dedupe"], body=body, attempts=row["attempts"] + 1)
