"""Pins in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.runs_rows import read_json, write_json
from gateway.stores.tool_calls_tables import TOOL_PINS
from gateway.stores.tool_pins import Pin

_KEY: Final = ["server", "tool"]
_ADD: Final = {
    "postgres": postgresql.insert(TOOL_PINS).on_conflict_do_nothing(index_elements=_KEY),
    "sqlite": sqlite.insert(TOOL_PINS).on_conflict_do_nothing(index_elements=_KEY),
}
_columns = TOOL_PINS.c


class SqlPins:
    """The store of pins over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_server(self, server: str) -> Sequence[Pin]:
        """Give the pins of a server, by name."""
        found = select(TOOL_PINS).where(_columns.server == storable(server)).order_by(_columns.tool)
        async with self._database.connect() as connection:
            return sorted(map(_read, (await connection.execute(found)).mappings()), key=lambda pin: pin.tool)

    async def add(self, pins: Sequence[Pin]) -> None:
        """Keep pins of tools that have none yet; those that have one keep it."""
        # In one order everywhere, so that two replicas never wait for each other's rows.
        rows = sorted(map(_row, pins), key=lambda row: (row["server"], row["tool"]))
        if rows:
            async with self._database.begin() as connection:
                await connection.execute(_ADD[self._database.kind], rows)

    async def replace(self, pin: Pin, *, before: str) -> bool:
        """Put a pin in the place of the one with the definition `before` (empty: none); False when it is not that any more."""
        row = _row(pin)
        there = and_(_columns.server == row["server"], _columns.tool == row["tool"], _columns.definition == before)
        change = update(TOOL_PINS).where(there).values(row) if before else _ADD[self._database.kind].values(row)
        async with self._database.begin() as connection:
            return (await connection.execute(change)).rowcount > 0

    async def remove(self, server: str, tool: str) -> bool:
        """Forget a pin; False when there is none."""
        gone = delete(TOOL_PINS).where(_columns.server == storable(server), _columns.tool == storable(tool))
        async with self._database.begin() as connection:
            return (await connection.execute(gone)).rowcount > 0


def _row(pin: Pin) -> dict[str, Any]:
    return {
        "server": storable(pin.server),
        "tool": storable(pin.tool),
        "definition": pin.definition,
        "body": write_json(pin.body),
        "accepted_by": storable(pin.accepted_by),
        "accepted_at": pin.accepted_at,
    }


def _read(row: RowMapping) -> Pin:
    body = read_json(row["body"])
    return Pin(**{name: row[name] for name in Pin.__struct_fields__ if name != "body"}, body=body)
