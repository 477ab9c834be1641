"""Commits that survive a power cut, whatever the database is set to. What was begun on the strength of one cannot be taken back."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_WAIT_FOR_THE_DISK: Final = text(
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)


async def be_durable(connection: AsyncConnection) -> None:
    """Have this transaction be on the disk when its commit returns.

    On SQLite every commit is (`synchronous=FULL`). On PostgreSQL an operator may have turned it off; what waits for more than the
    disk, as for a replica, is left as it is.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_WAIT_FOR_THE_DISK)
