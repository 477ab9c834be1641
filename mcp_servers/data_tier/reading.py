"""What is read from a database, and how it is bounded: rows, bytes, and single values. The port that both kinds of database fill."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

import msgspec

from mcp_servers.data_tier.settings import Limits, ParameterType
from mcp_servers.verbs import Json, Refused


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, as JSON values in the order of `columns`; `cut` says why there may be more, empty where there are none."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Json]]
    cut: str = ""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What the database would do: its plan in words, and the cost that it expects, None where it gives none."""

    plan: str
    cost: float | None = None


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a value that its database has cut; `length` is that of the whole, in characters or bytes."""

    start: str | bytes
    length: int


class Reader(Protocol):
    """One database, which is only read. Everything raises Refused."""

    @property
    def dialect(self) -> str:
        """Sqlite or postgres."""
        ...

    @property
    def schema(self) -> str:
        """Where its tables are."""
        ...

    async def read(self, sql: str, arguments: Sequence[object]) -> Found:
        """Give what a query finds."""
        ...

    async def plan(self, sql: str, arguments: Sequence[object]) -> Planned:
        """Give what a query would do."""
        ...

    async def types(self, table: str) -> dict[str, str]:
        """Give the types of a table's columns, by name."""
        ...


class Taking:
    """Takes rows until there are too many, or too much of them."""

    def __init__(self, limits: Limits) -> None:
        self.rows: list[list[Json]] = []
        self.cut = ""
        self._limits = limits
        self._room = limits.bytes

    def take(self, rows: Iterable[Sequence[object]]) -> bool:
        """Take some; False when no more are wanted."""
        for row in rows:
            if len(self.rows) >= self._limits.rows:
                self.cut = f"There are more than {self._limits.rows} rows."
                return False
            values = [_value(value, self._limits.cell) for value in row]
            self._room -= len(json.dumps(values).encode())
            if self._room < 0:
                self.cut = (
                    f"The rows are larger than {self._limits.bytes} bytes together: ask for fewer columns or rows."
                )
                return False
            self.rows.append(values)
        return True


def _value(value: object, most: int) -> Json:
    """Give a value as JSON, cut where it is too long."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        value = Beginning(start=data, length=len(data))
    if not isinstance(value, Beginning):
        text = str(value) if isinstance(value, str | Decimal | UUID | timedelta) else json.dumps(value, default=str)
        value = Beginning(start=text, length=len(text))
    if isinstance(value.start, bytes):
        return f"[{value.length} bytes] {base64.b64encode(value.start[:most]).decode()}"
    return value.start if value.length <= most else f"{value.start[:most]}… [{value.length} characters]"


def argument(value: Json, kind: ParameterType, name: str) -> object:
    """Give the value of a parameter as databases take it. Raises Refused."""
    try:
        if kind == "date":
            return date.fromisoformat(value)
        if kind == "timestamp":
            return datetime.fromisoformat(value)
        if kind == "number" and not isinstance(value, bool):
            return float(value) if isinstance(value, int | float) else _wrong(kind, name)
        expected = {"boolean": bool, "integer": int, "string": str}.get(kind, object)
        fits = isinstance(value, expected) and (kind == "boolean" or not isinstance(value, bool))
        if kind == "integer" and fits and not -(2**63) <= value < 2**63:
            return _wrong(kind, name)
    except (TypeError, ValueError):
        return _wrong(kind, name)
    return value if fits else _wrong(kind, name)


def _wrong(kind: str, name: str) -> object:
    msg = f"The parameter {name!r} has to be a {kind}."
    raise Refused(msg)
