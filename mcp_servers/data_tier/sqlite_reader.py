"""A SQLite file that is read. Three walls behind the guard: the file is opened read-only, an authorizer allows listed columns alone, and time is bounded."""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread

from mcp_servers.data_tier.reading import Found, Planned, Taking
from mcp_servers.data_tier.settings import Limits, Table
from mcp_servers.data_tier.sqlite_texts import put_in
from mcp_servers.verbs import Refused

T = TypeVar("T")

_STEPS: Final = 1000
"""Instructions of SQLite's machine between two looks at the clock."""
_PAGE: Final = 100
_LARGEST_VALUE: Final = 4 * 1024 * 1024
_LONGEST_PATTERN: Final = 256
"""Of LIKE, whose time grows with the product of the pattern and the text."""
_ALLOWED_FUNCTIONS: Final = frozenset({
    "abs", "avg", "ceil", "ceiling", "coalesce", "concat", "count", "cume_dist", "date", "datetime", "dense_rank",
    "first_value", "floor", "group_concat", "ifnull", "iif", "instr", "julianday", "lag", "last_value", "lead",
    "length", "like", "lower", "ltrim", "max", "min", "nullif", "percent_rank", "rank", "replace", "round",
    "row_number", "rtrim", "strftime", "substr", "substring", "sum", "time", "total", "trim", "unixepoch", "upper",
})  # fmt: skip


class SqliteReader:
    """A Reader. A connection of its own for each query: opening one costs less than a wrong state of a shared one."""

    dialect = "sqlite"
    schema = "main"

    def __init__(self, path: Path, tables: Mapping[str, Table], limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._columns = {name.lower(): {each.lower() for each in table.columns} for name, table in tables.items()}

    async def read(self, sql: str, arguments: Sequence[object]) -> Found:
        """Give what a query finds. Raises Refused."""
        return await self._run(functools.partial(self._read, sql, arguments))

    async def plan(self, sql: str, arguments: Sequence[object]) -> Planned:
        """Give what a query would do; SQLite expects no cost. Raises Refused."""
        found = await self._run(functools.partial(self._read, f"EXPLAIN QUERY PLAN {sql}", arguments))
        return Planned(plan="\n".join(str(row[3]) for row in found.rows))

    async def types(self, table: str) -> dict[str, str]:
        """Give the types of a table's columns, as they are declared. Raises Refused."""
        return await self._run(functools.partial(self._types, table))

    async def _run(self, work: functools.partial[T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except sqlite3.Error as error:
            raise Refused(_said(error, self._limits)) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=self._limits.seconds)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _read(self, sql: str, arguments: Sequence[object]) -> Found:
        connection = self._open()
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            put_in(connection, _LARGEST_VALUE)
            connection.set_authorizer(self._may)
            end = time.monotonic() + self._limits.seconds
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            cursor = connection.execute(sql, arguments)
            taking = Taking(self._limits)
            while rows := cursor.fetchmany(_PAGE):
                if not taking.take(rows):
                    break
            columns = [each[0] for each in cursor.description or ()]
            return Found(columns=columns, rows=taking.rows, cut=taking.cut)
        finally:
            connection.close()

    def _types(self, table: str) -> dict[str, str]:
        connection = self._open()
        try:
            rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
            return {str(name): str(kind) for name, kind in rows}
        finally:
            connection.close()

    def _may(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        del database, trigger
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            # Counting the rows of a table reads a column without a name.
            columns = self._columns.get((first or "").lower())
            return (
                sqlite3.SQLITE_OK
                if columns is not None and (not second or second.lower() in columns)
                else sqlite3.SQLITE_DENY
            )
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _ALLOWED_FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY


def _said(error: sqlite3.Error, limits: Limits) -> str:
    text = str(error)
    if text == "interrupted":
        return f"The query took more than {limits.seconds:g} seconds: ask for less, or narrow it."
    if text == "user-defined function raised exception":
        return "A text becomes too long in this query, or is none."
    if "prohibited" in text or "not authorized" in text:
        return "The query reads what is not on the list of tables and columns."
    return f"The database says: {text[:300]}"
