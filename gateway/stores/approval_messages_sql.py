"""Messages about approvals in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.approval_messages import ApprovalMessage
from gateway.stores.approval_messages_tables import APPROVAL_MESSAGES
from gateway.stores.database import Database

_KEY = ("approval", "channel")


class SqlApprovalMessages:
    """The messages over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def of(self, approval: str) -> Sequence[ApprovalMessage]:
        """Give the messages about an approval, by channel."""
        columns = APPROVAL_MESSAGES.c
        found = select(APPROVAL_MESSAGES).where(columns.approval == approval).order_by(columns.channel)
        async with self._database.connect() as connection:
            return [ApprovalMessage(**row) for row in (await connection.execute(found)).mappings()]

    async def remove(self, approval: str, channel: str) -> None:
        """Forget a message."""
        columns = APPROVAL_MESSAGES.c
        this = and_(columns.approval == approval, columns.channel == channel)
        async with self._database.begin() as connection:
            await connection.execute(delete(APPROVAL_MESSAGES).where(this))

    async def keep(self, message: ApprovalMessage) -> None:
        """Keep a message, in the place of what was kept of it."""
        row = msgspec.structs.asdict(message)
        adding = self._dialect.insert(APPROVAL_MESSAGES).values(row)
        changes = {name: adding.excluded[name] for name in row if name not in _KEY}
        async with self._database.begin() as connection:
            await connection.execute(adding.on_conflict_do_update(index_elements=_KEY, set_=changes))
