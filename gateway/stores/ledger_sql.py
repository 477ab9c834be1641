"""The ledger in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint
from sqlalchemy import ColumnElement, RowMapping, delete, func, select, tuple_

from gateway.core.decision import Decision
from gateway.core.errors import InvalidRequest
from gateway.stores.database import Database
from gateway.stores.ledger import (
    MOST_ROWS,
    PERIODS,
    LedgerRow,
    RowPage,
    RowQuery,
    UsageQuery,
    UsageRow,
    storable,
)
from gateway.stores.ledger_periods import find_zone
from gateway.stores.ledger_tables import LEDGER
from gateway.stores.ledger_usage import (
    check_query,
    conditions,
    divisions,
    milliseconds,
    read_usage,
    usage_statement,
)
from gateway.stores.rollouts_tables import CALL_SCORES

_MOST_IDS = 1000
_ALL_WHOLE = 2**63
_WRITTEN_AT_ONCE = 100
_FIELDS = LedgerRow.__struct_fields__
_texts = itemgetter(*(index for index, field in enumerate(msgspec.structs.fields(LedgerRow)) if field.type is str))
_STARTED, _TAGS, _ROUTE, _DECISION = (_FIELDS.index(name) for name in ("started_at", "tags", "route", "decision"))


class SqlLedger:
    """A LedgerStore over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect = "postgresql" if database.kind == "postgres" else "sqlite"
        self._insert = _insert_statement(self._dialect)

    async def insert(self, rows: Sequence[LedgerRow]) -> None:
        """Add rows, all or none; those whose id is there already are left as they are."""
        if rows:
            values: list[tuple[Any, ...]] = []
            for start in range(0, len(rows), _WRITTEN_AT_ONCE):
                values += map(_write, rows[start : start + _WRITTEN_AT_ONCE])
                await checkpoint()  # calls go on
            async with self._database.begin() as connection:
                # Straight to the driver: the loop that does this also serves the calls.
                await connection.exec_driver_sql(self._insert, values)

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum rows, sorted by group."""
        check_query(query)
        zone = find_zone(query.zone)
        rows = conditions(self._dialect, query.where, query.since, query.until)
        async with self._database.connect() as connection:
            within = (0, 0)
            if any(name in PERIODS for name in query.by):
                # The rows' own time: a period may then be asked of rows of any time, at the price of two steps into an index.
                edges = select(func.min(LEDGER.c.started_ms), func.max(LEDGER.c.started_ms)).where(*rows)
                first, last = (await connection.execute(edges)).one()
                within = (first or 0, last or 0)
            by = divisions(self._dialect, query, zone, within)
            found = await connection.execute(usage_statement(rows, by, query.limit))
            usage = [read_usage(row, by) for row in found.mappings()]
        if len(usage) > query.limit:
            raise InvalidRequest(
                f"This has more than {query.limit} groups: ask for less time, fewer values or fewer divisions.",
                param="by",
            )
        if not query.by and usage[0].calls == 0:
            return []
        return sorted(usage, key=lambda row: row.group)

    async def find_rows(self, query: RowQuery) -> RowPage:
        """List rows, newest first."""
        if not 1 <= query.limit <= MOST_ROWS:
            raise InvalidRequest(f"A page has from 1 to {MOST_ROWS} rows.", param="limit")
        if len(query.ids) > _MOST_IDS:
            raise InvalidRequest(f"At most {_MOST_IDS} rows are asked for by id.", param="ids")
        rows = conditions(self._dialect, query.where, query.since, query.until)
        if query.ids:
            rows.append(LEDGER.c.id.in_([storable(each) for each in query.ids]))
        position = tuple_(LEDGER.c.started_ms, LEDGER.c.id)
        if query.cursor is not None:
            rows.append(position < _read_cursor(query.cursor))
        newest = (LEDGER.c.started_ms.desc(), LEDGER.c.id.desc())
        page = select(LEDGER).where(*rows).order_by(*newest).limit(query.limit + 1)
        async with self._database.connect() as connection:
            found = [_read(row) for row in (await connection.execute(page)).mappings()]
        more = len(found) > query.limit
        found = found[: query.limit]
        return RowPage(rows=tuple(found), next=_write_cursor(found[-1]) if more else None)

    async def remove(self, *, tenant: str | None, user: str | None, before: float | None, limit: int) -> int:
        """Delete at most `limit` of the oldest rows of a tenant, a user, or from before a time, and give their number.

        What was said of those calls (their scores) goes with them.
        """
        rows: list[ColumnElement[bool]] = []
        if tenant is not None:
            rows.append(LEDGER.c.tenant == storable(tenant))
        if user is not None:
            rows.append(LEDGER.c.user_id == storable(user))
        if before is not None:
            rows.append(LEDGER.c.started_ms < milliseconds(before))
        if not rows:
            raise ValueError("what to remove must be said: a tenant, a user or a time")
        oldest = select(LEDGER.c.id).where(*rows).order_by(LEDGER.c.started_ms).limit(limit)
        async with self._database.begin() as connection:
            calls = list((await connection.execute(oldest)).scalars())
            await connection.execute(delete(CALL_SCORES).where(CALL_SCORES.c.call.in_(calls)))
            return (await connection.execute(delete(LEDGER).where(LEDGER.c.id.in_(calls)))).rowcount


def _insert_statement(dialect: str) -> str:
    names = [column.name for column in LEDGER.columns]
    places = [f"${number}" if dialect == "postgresql" else "?" for number in range(1, len(names) + 1)]
    return f"INSERT INTO {LEDGER.name} ({', '.join(names)}) VALUES ({', '.join(places)}) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - names of our own


def _write(row: LedgerRow) -> tuple[Any, ...]:
    """The values of a row, in the order of the columns, which is that of its fields."""
    values = list(msgspec.structs.astuple(row))
    # One look at all texts together: that they are plain costs a tenth of asking each.
    texts = "".join(_texts(values))
    if not texts.isascii() or "\0" in texts:
        values = [storable(value) if type(value) is str else value for value in values]
    values[_STARTED] = milliseconds(row.started_at)
    values[_TAGS] = _write_tags(tuple(row.tags.items()))
    values[_ROUTE] = _write_route(row.route)
    values[_DECISION] = None if row.decision is None else _write_decision(row.decision)
    return tuple(values)


@lru_cache(maxsize=1024)
def _write_tags(tags: tuple[tuple[str, str], ...]) -> str:
    return _json({storable(name): storable(value) for name, value in tags})


@lru_cache(maxsize=1024)
def _write_route(route: tuple[str, ...]) -> str:
    return _json([storable(target) for target in route])


@lru_cache(maxsize=1024)
def _write_decision(decision: Decision) -> str:
    return _json(decision)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read(row: RowMapping) -> LedgerRow:
    return LedgerRow(
        id=row["id"],
        kind=row["kind"],
        started_at=row["started_ms"] / 1000,
        status=row["status"],
        tenant=row["tenant"],
        team=row["team"],
        user=row["user_id"],
        key=row["key_id"],
        tags=row["tags"],
        agent=row["agent"],
        model=row["model"],
        provider=row["provider"],
        served=row["served"],
        route=tuple(row["route"]),
        dialect=row["dialect"],
        operation=row["operation"],
        stream=row["stream"],
        error=row["error"],
        finish_reason=row["finish_reason"],
        duration=row["duration"],
        first_token=row["first_token"],
        input=row["input_tokens"],
        cache_read=row["cache_read_tokens"],
        cache_write=row["cache_write_tokens"],
        cache_write_1h=row["cache_write_1h_tokens"],
        output=row["output_tokens"],
        reasoning=row["reasoning_tokens"],
        estimated=row["estimated"],
        cost_nano=row["cost_nano"],
        prices=row["prices"],
        parent=row["parent"],
        decision=None if row["decision"] is None else msgspec.convert(row["decision"], Decision),
        cache=row["cache"],
        cache_entry=row["cache_entry"],
        saved_tokens=row["saved_tokens"],
        saved_nano=row["saved_nano"],
        run=row["run"],
        prompt=row["prompt"],
    )


def _write_cursor(row: LedgerRow) -> str:
    return base64.urlsafe_b64encode(f"{milliseconds(row.started_at)}:{row.id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        started, _, row = text.partition(":")
        at = int(started)
    except (ValueError, binascii.Error):
        at, row = -1, ""
    if not 0 <= at < _ALL_WHOLE:
        raise InvalidRequest("This cursor is none that a page of ours gave.", param="cursor")
    return at, storable(row)
