"""Connections: how SQLite and PostgreSQL are opened. What is done with them is the business of `database.py`."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import msgspec
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.stores.sqlite_connection import SqliteConnection, connect

_READERS: Final = 4
_GRACE: Final = 0.5
"""Seconds that the driver waits beyond the server's own limit on a statement, which leaves the connection whole."""


class DatabaseRefused(Exception):
    """The database cannot be used as it is configured, or as it is; trying again will not help. The text says why."""


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections come from: for writing, for reading, and for the migration, which may take its time.

    `drivers` are the drivers' connections that are open.
    """

    writer: AsyncEngine
    reader: AsyncEngine
    migrator: AsyncEngine
    drivers: weakref.WeakSet[Any]

    def sizes(self) -> Iterator[tuple[AsyncEngine, int]]:
        """Yield the engines that are used all the time, and how many connections each has."""
        for engine in (self.writer, self.reader):
            pool = engine.pool
            yield engine, pool.size() if isinstance(pool, QueuePool) else 1

    async def aclose(self, timeout: float) -> None:
        """Close every connection, in good order where that takes no longer than `timeout` seconds."""
        engines = (self.writer, self.reader, self.migrator)
        with anyio.CancelScope(shield=True), anyio.move_on_after(timeout) as scope:
            for engine in engines:
                await engine.dispose()
            for driver in list(self.drivers):
                if isinstance(driver, SqliteConnection):
                    await driver.ended()
        if scope.cancelled_caught:
            self.hang_up()

    def hang_up(self) -> None:
        """Drop every connection without a word, as one does when nobody is there."""
        for driver in list(self.drivers):
            driver.terminate()


def sqlite_engines(settings: SqliteSettings) -> Engines:
    """Prepare one connection that writes and several that read. The file and its folder are made, for this user only.

    Raises DatabaseRefused when there is no such place.
    """
    path = Path(settings.path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its write-ahead log the permissions of the file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseRefused(f"The database's file {path} cannot be used: {error.strerror}.") from None
    drivers: weakref.WeakSet[Any] = weakref.WeakSet()
    return Engines(
        writer=_sqlite(settings, drivers, begin="BEGIN IMMEDIATE", pool_size=1),
        reader=_sqlite(settings, drivers, begin="BEGIN", pool_size=_READERS, query_only=True),
        # A table is rebuilt with foreign keys off.
        migrator=_sqlite(settings, drivers, begin="BEGIN IMMEDIATE", foreign_keys=False),
        drivers=drivers,
    )


def _sqlite(
    settings: SqliteSettings,
    drivers: weakref.WeakSet[Any],
    *,
    begin: str,
    pool_size: int | None = None,
    query_only: bool = False,
    foreign_keys: bool = True,
) -> AsyncEngine:
    path = Path(settings.path)
    pragmas = (
        "journal_mode=WAL",
        # A commit that was acknowledged survives a power cut. In WAL mode NORMAL would not promise it.
        "synchronous=FULL",
        # Gives the room of a write-ahead log that grew in a burst back.
        "journal_size_limit=67108864",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        f"query_only={'ON' if query_only else 'OFF'}",
    )
    # A transaction that reads first and writes then fails at once when somebody else wrote: so it begins as a writer.
    engine = create_async_engine(
        sqlalchemy.URL.create("sqlite+aiosqlite", database=str(path)),
        async_creator=partial(connect, path, settings.timeout, pragmas, drivers.add),
        **_pool(pool_size, settings.timeout),
        **_JSON,
    )

    def begun(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "begin", begun)
    return engine


def postgres_engines(settings: PostgresSettings) -> Engines:
    """Prepare a pool for writing and one for reading, which share `connections`.

    Raises DatabaseRefused for an address that is none, or when the driver is not installed.
    """
    address = _checked(settings.url.reveal())
    # Apart, so that long reports never keep the ledger from writing.
    readers = settings.connections // 2
    writers = settings.connections - readers
    drivers: weakref.WeakSet[Any] = weakref.WeakSet()
    try:
        engines = Engines(
            writer=_postgres(address, settings, pool_size=writers),
            reader=_postgres(address, settings, pool_size=readers).execution_options(postgresql_readonly=True),
            migrator=_postgres(address, settings, timeout=settings.migration_timeout),
            drivers=drivers,
        )
    except ModuleNotFoundError:
        raise DatabaseRefused("PostgreSQL needs the extra: pip install 'switchgear[postgres]'.") from None

    def connected(connection: Any, record: object) -> None:
        del record
        drivers.add(connection.driver_connection)

    for engine in (engines.writer, engines.reader):
        event.listen(engine.sync_engine, "connect", connected)
    return engines


def _postgres(
    address: str, settings: PostgresSettings, *, pool_size: int | None = None, timeout: float | None = None
) -> AsyncEngine:
    seconds = timeout or settings.timeout
    engine = create_async_engine(
        # The address goes to the driver alone, which reads it as libpq does: nothing of ours can print it.
        "postgresql+asyncpg://",
        connect_args={
            "dsn": address,
            "timeout": settings.timeout,
            "command_timeout": seconds + _GRACE,
            "server_settings": {
                "application_name": "switchgear",
                "statement_timeout": str(int(seconds * 1000)),
                # A process that is stopped in the middle of one would keep its rows from all others.
                "idle_in_transaction_session_timeout": str(int(seconds * 1000)),
                "timezone": "UTC",
            },
        },
        pool_pre_ping=pool_size is not None,
        **_pool(pool_size, settings.timeout),
        **_JSON,
    )

    def failed(context: sqlalchemy.engine.ExceptionContext) -> None:
        # Hung up on, and not closed in good order: a silent server would be waited for once more.
        if isinstance(context.original_exception, TimeoutError) and context.connection is not None:
            driver: Any = context.connection.connection.driver_connection
            driver.terminate()

    event.listen(engine.sync_engine, "handle_error", failed)
    return engine


def _checked(address: str) -> str:
    """The address, when it is one; the driver's own complaint would show it."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"postgres", "postgresql"} and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise DatabaseRefused("`database.url` is no address like postgresql://user:password@host:5432/name.")
    return address


def _pool(size: int | None, timeout: float) -> dict[str, Any]:
    """So many connections at once and no more, or each for its use only."""
    if size is None:
        return {"poolclass": NullPool}
    return {"pool_size": size, "max_overflow": 0, "pool_timeout": timeout}


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


_JSON: Final[dict[str, Any]] = {
    "json_serializer": _encode,
    "json_deserializer": msgspec.json.decode,
    # Values stay out of errors, which end up in logs.
    "hide_parameters": True,
}
