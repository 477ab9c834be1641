"""A PostgreSQL database that is read.

Walls behind the guard: a read-only transaction, a role where one is set, an empty search path, a time limit that the server keeps, and its own
estimate of the cost.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Final

import anyio
import asyncpg

from mcp_servers.data_tier.postgres_sizes import Sized
from mcp_servers.data_tier.reading import Found, Planned, Taking
from mcp_servers.data_tier.settings import Limits, Postgres
from mcp_servers.verbs import Json, Refused

_PAGE: Final = 100
_CONNECTIONS: Final = 4
_GRACE: Final = 2.0
_SETTINGS: Final = {
    "application_name": "switchgear data tier",
    "default_transaction_read_only": "on",
    # The guard writes texts so; with `off`, a backslash would end them elsewhere.
    "standard_conforming_strings": "on",
}


class PostgresReader:
    """A Reader."""

    dialect = "postgres"

    def __init__(self, settings: Postgres, limits: Limits) -> None:
        self.schema = settings.schema
        self._settings = settings
        self._limits = limits
        self._room = anyio.Semaphore(_CONNECTIONS)

    async def read(self, sql: str, arguments: Sequence[object]) -> Found:
        """Give what a query finds, if its plan is cheap enough. Raises Refused."""
        async with self._reading() as connection:
            self._check(await _explain(connection, sql, arguments))
            taking, columns = Taking(self._limits), []
            attributes = (await connection.prepare(sql)).get_attributes()
            columns = [each.name for each in attributes]
            sized = Sized(sql, attributes, most=self._limits.cell, page=_PAGE)
            cursor = await (await connection.prepare(sized.sql)).cursor(*arguments)
            while rows := await cursor.fetch(sized.rows):
                if not taking.take(tuple(sized.values(tuple(row.values()))) for row in rows):
                    break
            return Found(columns=columns, rows=taking.rows, cut=taking.cut)

    async def plan(self, sql: str, arguments: Sequence[object]) -> Planned:
        """Give what a query would do. Raises Refused."""
        async with self._reading() as connection:
            plan = await _explain(connection, sql, arguments)
        lines = [f"{'  ' * depth}{_line(node)}" for depth, node in _nodes(plan)]
        return Planned(plan="\n".join(lines), cost=float(plan["Total Cost"]))

    async def types(self, table: str) -> dict[str, str]:
        """Give the types of a table's columns. Raises Refused."""
        async with self._reading() as connection:
            rows = await connection.fetch(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
                self.schema,
                table,
            )
        return {row["column_name"]: row["data_type"] for row in rows}

    def _check(self, plan: dict[str, Json]) -> None:
        cost = float(plan["Total Cost"])
        if cost > self._limits.cost:
            msg = f"The query is too expensive: the database expects a cost of {cost:.0f}, and {self._limits.cost:.0f} are allowed. Narrow it."
            raise Refused(msg)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection in a transaction that only reads, and ends with what was asked."""
        limits = self._limits
        milliseconds = int(limits.seconds * 1000)
        async with self._room:
            try:
                with anyio.fail_after(limits.seconds + _GRACE):
                    connection = await asyncpg.connect(
                        self._settings.address(),
                        timeout=math.ceil(limits.seconds),
                        server_settings={
                            **_SETTINGS,
                            "statement_timeout": str(milliseconds),
                            "search_path": "pg_catalog",
                        },
                    )
                    try:
                        async with connection.transaction(readonly=True):
                            if self._settings.role is not None:
                                await connection.execute(f'SET LOCAL ROLE "{self._settings.role}"')
                            yield connection
                    finally:
                        with anyio.move_on_after(_GRACE, shield=True):
                            await connection.close(timeout=_GRACE / 2)
            except asyncpg.QueryCanceledError:
                raise Refused(_too_long(limits)) from None
            except asyncpg.PostgresError as error:
                msg = f"The database says: {str(error)[:300]}"
                raise Refused(msg) from None
            except TimeoutError:
                raise Refused(_too_long(limits)) from None
            except (OverflowError, ValueError):
                # PostgreSQL's years and intervals reach further than Python's.
                msg = (
                    "A value of the answer, a date or an interval, is larger than can be read here: ask for it as text."
                )
                raise Refused(msg) from None
            except (OSError, asyncpg.InterfaceError):
                msg = "The database cannot be reached."
                raise Refused(msg) from None


async def _explain(connection: asyncpg.Connection, sql: str, arguments: Sequence[object]) -> dict[str, Json]:
    found = await connection.fetchval(f"EXPLAIN (FORMAT JSON, VERBOSE) {sql}", *arguments)
    plan: dict[str, Json] = json.loads(str(found))[0]["Plan"]
    return plan


def _nodes(plan: Mapping[str, Json], depth: int = 0) -> Iterator[tuple[int, Mapping[str, Json]]]:
    yield depth, plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each, depth + 1)


def _line(node: Mapping[str, Json]) -> str:
    on = f" on {node['Relation Name']}" if "Relation Name" in node else ""
    return f"{node['Node Type']}{on} (cost {node['Total Cost']:g}, rows {node['Plan Rows']})"


def _too_long(limits: Limits) -> str:
    return f"The query took more than {limits.seconds:g} seconds: ask for less, or narrow it."
