"""One connection to SQLite, in a thread of its own, that can be told to end more than once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import anyio
from aiosqlite import Connection, Cursor
from aiosqlite.context import contextmanager

_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BETWEEN: Final = 0.01
_never: Final = threading.Event()


class SqliteCursor(Cursor):
    """aiosqlite's cursor, that visits the thread once for a statement: it is executed, and its rows are fetched, in one go.

    A statement is four visits otherwise (to make a cursor, to execute, to fetch, to close), each of which costs more than most statements do.
    """

    _rows: Sequence[Any] = ()

    async def execute(self, sql: str, parameters: Any = None) -> Self:
        """Execute a statement; its rows, if it gives any, are in memory afterwards."""

        def all_of_it() -> Sequence[Any]:
            self._cursor.execute(sql, () if parameters is None else parameters)
            return () if self._cursor.description is None else self._cursor.fetchall()

        visit: Callable[..., Any] = self._execute  # aiosqlite does not say its types
        self._rows = await visit(all_of_it)
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Give the rows that are left."""
        rows, self._rows = self._rows, ()
        return rows

    async def close(self) -> None:
        """Let go of the rows. Of the statement nothing is left to be ended: all of it was fetched."""
        self._rows = ()


class SqliteConnection(Connection):
    """aiosqlite's connection, whose thread is asked to end once only.

    SQLAlchemy's clean-up of a call that was cancelled closes a connection and, when it is cancelled once more, stops it beside.
    Whoever asked second would wait for a thread that has gone: his task, and a loop that closes, would never end.
    """

    _ending: asyncio.Future[Any] | None = None

    @contextmanager
    async def cursor(self) -> Cursor:
        """Give a new cursor. It is made here and now: nothing of the file is needed for it."""
        return SqliteCursor(self, self._conn.cursor())

    def stop(self) -> asyncio.Future[Any] | None:
        """Have the thread close the connection and end; the same future for everybody who asks."""
        if self._ending is None:
            self._ending = super().stop()
        return self._ending

    def terminate(self) -> None:
        """End without waiting for it."""
        self.stop()

    async def ended(self) -> None:
        """Wait until a thread that was asked to end has done so: it answers to this loop."""
        if self._ending is not None:
            await asyncio.wait([self._ending])  # which cancels nothing


async def connect(
    path: Path, timeout: float, pragmas: Sequence[str], opened: Callable[[SqliteConnection], None] = lambda one: None
) -> SqliteConnection:
    """Open a connection and set it up; `timeout` is how many seconds it waits for a lock. Who uses it begins transactions.

    `opened` is told of it as soon as there is a thread.
    """

    def open_() -> sqlite3.Connection:
        # Always used in its thread, but closed in another one where nobody has closed it.
        made = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            for pragma in pragmas:
                _patiently(made, f"PRAGMA {pragma}", timeout)
        except BaseException:
            made.close()
            raise
        return made

    connection = SqliteConnection(open_, iter_chunk_size=64)
    # The process ends although it is open.
    connection._thread.daemon = True  # noqa: SLF001 as SQLAlchemy does: there is no other way
    opened(connection)
    # Its thread cannot be called back: who is cancelled meanwhile closes what it has opened.
    with anyio.CancelScope(shield=True):
        try:
            await connection
        except BaseException:
            connection.stop()
            await connection.ended()
            raise
    return connection


def _patiently(connection: sqlite3.Connection, statement: str, timeout: float) -> None:
    """Execute it, waiting for locks also where SQLite does not: several that make one file at once would be told that it is locked."""
    until = time.monotonic() + timeout
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _LOCKED or time.monotonic() >= until:
                raise
        else:
            return
        _never.wait(_BETWEEN)  # in the connection's own thread
