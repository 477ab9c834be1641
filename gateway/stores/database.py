"""The database: transactions on SQLite or PostgreSQL, and whether it is well. It knows no table but the revision's.

What drivers raise becomes StoreUnavailable, Conflict or InvalidRequest here, at the boundary. Nothing is tried twice: a
caller knows whether a second try is safe. After a fault the next use opens a new connection, so it recovers by itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Literal

import anyio
import sqlalchemy
import structlog
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.core.errors import StoreUnavailable, SwitchgearError
from gateway.stores import migrations
from gateway.stores.database_engines import DatabaseRefused, Engines, postgres_engines, sqlite_engines
from gateway.stores.database_faults import DRIVER_ERRORS, driver_error, loses_connection, reason, translate

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

__all__ = ["Database", "DatabaseRefused", "migrate_database", "open_database"]

_MIGRATING = 7_246_911_503_348_214
"""The advisory lock of PostgreSQL that one replica holds while it migrates."""

_GRACE = 0.5
"""Seconds beyond the pool's time limit."""

_REFUSALS = {
    "28P01": "does not take the user's password",
    "28000": "does not let this user in",
    "3D000": "has no database of that name",
    "3F000": "has no schema of that name",
    "42501": "does not let this user make tables",
}


class Database:
    """Transactions on one database. `healthy` and `reason` tell how the latest use went."""

    def __init__(self, kind: Literal["sqlite", "postgres"], engines: Engines, timeout: float) -> None:
        self.kind: Literal["sqlite", "postgres"] = kind
        self.healthy = True
        self.reason = ""
        self._engines = engines
        self._timeout = timeout
        # The pools serve whoever asks first when a connection comes back, and that is often who gave it back: others
        # would wait for as long as somebody is busy.
        self._turns = {engine: anyio.Semaphore(size) for engine, size in engines.sizes()}

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that writes; it is committed at the end, or rolled back when the body raises.

        On SQLite one at a time; in the order of asking. Raises StoreUnavailable, Conflict and InvalidRequest for what
        the driver raises in it; when the commit fails, whether it was done is not known.
        """
        return self._transaction(self._engines.writer)

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that only reads. Raises StoreUnavailable."""
        return self._transaction(self._engines.reader)

    async def probe(self) -> bool:
        """Read one row, and say whether that went well. It costs a round trip; `healthy` and `reason` are renewed."""
        try:
            async with self.connect() as connection:
                await connection.run_sync(migrations.find_revision)
        except SwitchgearError:
            return False
        return True

    async def aclose(self) -> None:
        """Close every connection; transactions that are open lose theirs."""
        if not self.healthy:
            self._engines.hang_up()
        await self._engines.aclose(self._timeout)

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        turns = self._turns[engine]
        await self._wait(turns)
        try:
            async with self._connected(engine) as connection:
                yield connection
        finally:
            turns.release()
        self._went_well()

    async def _wait(self, turns: anyio.Semaphore) -> None:
        try:
            with anyio.fail_after(self._timeout):
                await turns.acquire()
        except TimeoutError:
            raise StoreUnavailable("Every connection to the database is busy.", retry_after=1.0) from None

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        connection = await self._acquire(engine)
        try:
            transaction = await connection.begin()
            yield connection
            await transaction.commit()
        except DRIVER_ERRORS as error:
            raise await self._failed(connection, error) from error
        finally:
            # Rolls back what was not committed; also for a caller that is being cancelled, and never for longer than this.
            with anyio.move_on_after(self._timeout + _GRACE, shield=True):
                await self._release(connection)

    async def _acquire(self, engine: AsyncEngine) -> AsyncConnection:
        connection = engine.connect()
        try:
            # Longer than the pool's own limit: that every connection is busy is no fault of the database.
            with anyio.fail_after(self._timeout + _GRACE):
                return await connection.start()
        except DRIVER_ERRORS as error:
            raise await self._failed(None, error) from error

    async def _failed(self, connection: AsyncConnection | None, error: BaseException) -> SwitchgearError:
        """Note a fault and say what it means. A connection of which nothing is known any more is thrown away."""
        translated = translate(error, self._timeout)
        if isinstance(error, OSError) and connection is not None and not connection.invalidated:
            with anyio.move_on_after(self._timeout + _GRACE, shield=True):
                await connection.invalidate(error)
        if isinstance(translated, StoreUnavailable) and loses_connection(error):
            if self.healthy:
                log.warning("database.lost", kind=self.kind, reason=reason(error))
            self.healthy, self.reason = False, reason(error)
        return translated

    async def _release(self, connection: AsyncConnection) -> None:
        try:
            await connection.close()
        except DRIVER_ERRORS as error:
            log.warning("database.connection_dropped", kind=self.kind, reason=reason(error))

    def _went_well(self) -> None:
        if not self.healthy:
            log.info("database.recovered", kind=self.kind)
        self.healthy, self.reason = True, ""


async def open_database(settings: SqliteSettings | PostgresSettings) -> Database:
    """Connect and bring the tables up to date; replicas that start at once wait for the one that does it.

    Raises DatabaseRefused when the database cannot be used as it is (a newer program made it, a wrong password), and
    StoreUnavailable when it cannot be reached.
    """
    engines = _engines(settings)
    try:
        await _bring_up_to_date(engines.migrator, settings)
    except BaseException:
        await engines.aclose(settings.timeout)
        raise
    return Database(settings.kind, engines, settings.timeout)


async def migrate_database(settings: SqliteSettings | PostgresSettings, target: str = migrations.NEWEST) -> str:
    """Bring a database that nobody uses to revision `target`, forward or back, and return the revision.

    `head` is the newest, `base` an empty database. Raises as `open_database` does.
    """
    engines = _engines(settings)
    try:
        return await _migrate(engines.migrator, settings, target)
    finally:
        await engines.aclose(settings.timeout)


def _engines(settings: SqliteSettings | PostgresSettings) -> Engines:
    return sqlite_engines(settings) if isinstance(settings, SqliteSettings) else postgres_engines(settings)


async def _bring_up_to_date(migrator: AsyncEngine, settings: SqliteSettings | PostgresSettings) -> None:
    async with _migrating(migrator, settings) as connection:
        if await connection.run_sync(migrations.is_newest):
            return
    await _migrate(migrator, settings, migrations.NEWEST)


async def _migrate(migrator: AsyncEngine, settings: SqliteSettings | PostgresSettings, target: str) -> str:
    async with _migrating(migrator, settings) as connection:
        if isinstance(settings, PostgresSettings):
            await connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_MIGRATING)))
        reached = await connection.run_sync(migrations.migrate, target)
        if isinstance(settings, SqliteSettings):
            await _check_references(connection)
        await connection.commit()
    log.info("database.migrated", kind=settings.kind, revision=reached)
    return reached


async def _check_references(connection: AsyncConnection) -> None:
    """SQLite can only rebuild a table with its foreign keys off, so what they promise is checked before the commit."""
    broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).fetchall()
    if broken:
        tables = sorted({str(row[0]) for row in broken})
        raise DatabaseRefused(
            f"A migration left rows that refer to nothing in {', '.join(tables)}; nothing was changed."
        )


@asynccontextmanager
async def _migrating(
    migrator: AsyncEngine, settings: SqliteSettings | PostgresSettings
) -> AsyncIterator[AsyncConnection]:
    try:
        async with aclosing(await _first_connection(migrator)) as connection:
            yield connection
    except migrations.UnknownRevision as error:
        raise DatabaseRefused(
            f"There is no revision {error.revision!r} in this version of Switchgear: a newer one made the database. "
            "Run that one, or go back with its tables first."
        ) from None
    except DRIVER_ERRORS as error:
        # The driver's own words may quote the address.
        raise _refusal(settings, error) from None


async def _first_connection(migrator: AsyncEngine) -> AsyncConnection:
    try:
        return await migrator.connect().start()
    except (ValueError, exc.InterfaceError) as error:
        # Only an address can make the driver say so, and it may quote it.
        if isinstance(driver_error(error), ValueError):
            raise DatabaseRefused("`database.url` has a parameter that the driver does not take.") from None
        raise


def _refusal(settings: SqliteSettings | PostgresSettings, error: BaseException) -> Exception:
    """What keeps a database from being opened: for good, or for now."""
    state = str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")
    if state in _REFUSALS:
        return DatabaseRefused(f"The PostgreSQL server {_REFUSALS[state]} (SQLSTATE {state}).")
    if isinstance(settings, SqliteSettings) and not isinstance(error, exc.OperationalError | TimeoutError):
        return DatabaseRefused(f"{settings.path} cannot be used as a database: {reason(error)}.")
    cause = driver_error(error)
    if isinstance(cause, OSError) and cause.errno:
        why = "its name leads nowhere" if cause.errno < 0 else os.strerror(cause.errno)  # below 0: of the resolver
        return StoreUnavailable(f"The database cannot be reached: {why}.", retry_after=1.0)
    return translate(error, settings.timeout)
