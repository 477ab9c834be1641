"""The usage query as SQL: which rows, divided how, summed. Running it is the business of `ledger_sql.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, or_, select

from gateway.core.errors import InvalidRequest
from gateway.stores.ledger import BESIDE_KINDS, DIMENSIONS, MOST_GROUPS, PERIODS, TAG, UsageQuery, UsageRow, storable
from gateway.stores.ledger_periods import DAY_MS, HOUR_MS, day_name, hour_name, month_starts, spans
from gateway.stores.ledger_tables import LEDGER, OF_A_RUN

_RENAMED: Final = {"user": "user_id", "key": "key_id"}
_MOST_VALUES: Final = 1000
_COUNTED: Final = ("generate", "embed", "rerank")
"""Operations whose answers are made of tokens."""

_BUCKETS: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


class Division(msgspec.Struct, frozen=True):
    """One column of groups: how the database says it, and how it is written."""

    column: ColumnElement[Any]
    name: Callable[[Any], str]


def check_query(query: UsageQuery) -> None:
    """Raise InvalidRequest for what cannot be asked."""
    for name in query.by:
        if name not in DIMENSIONS and name not in PERIODS and not _is_tag(name):
            known = ", ".join((*DIMENSIONS, f"{TAG}NAME", *PERIODS))
            raise InvalidRequest(f"Usage is not grouped by that; there are {known}.", param="by")
    if len(set(query.by)) < len(query.by) or sum(name in PERIODS for name in query.by) > 1:
        raise InvalidRequest("Usage is grouped once by each name, and by one of hour, day and month.", param="by")
    if not 1 <= query.limit <= MOST_GROUPS:
        raise InvalidRequest(f"The limit of groups is from 1 to {MOST_GROUPS}.", param="limit")


def conditions(
    dialect: str, where: Mapping[str, tuple[str, ...]], since: float | None, until: float | None
) -> list[ColumnElement[bool]]:
    """Say which rows count. Raises InvalidRequest for an unknown name, or for too many values."""
    found: list[ColumnElement[bool]] = []
    for name, values in where.items():
        if name not in DIMENSIONS and not _is_tag(name):
            raise InvalidRequest("Rows are not filtered by that.", param=name)
        if len(values) > _MOST_VALUES:
            raise InvalidRequest(f"A filter has {_MOST_VALUES} values at most.", param=name)
        found.append(_plain(dialect, name).in_([storable(value) for value in values]))
        if name == "run" and all(values):
            found.append(and_(OF_A_RUN))
    if since is not None:
        found.append(LEDGER.c.started_ms >= milliseconds(since))
    if until is not None:
        found.append(LEDGER.c.started_ms < milliseconds(until))
    return found


def divisions(dialect: str, query: UsageQuery, zone: ZoneInfo, within: tuple[int, int]) -> list[Division]:
    """Say how the rows are divided. `within` are the first and the last millisecond that a row may be of."""
    return [
        _period(name, zone, within) if name in PERIODS else Division(_plain(dialect, name), str) for name in query.by
    ]


def usage_statement(rows: list[ColumnElement[bool]], by: list[Division], limit: int) -> Select[*tuple[Any, ...]]:
    """Write the query; it gives one group more than `limit`, if there is one."""
    failed = or_(LEDGER.c.status >= 400, LEDGER.c.error != "")
    tokens = LEDGER.c.input_tokens.is_not(None)
    unpriced = and_(tokens, LEDGER.c.cost_nano.is_(None))
    uncounted = and_(~tokens, LEDGER.c.status < 400, LEDGER.c.operation.in_(_COUNTED))
    # What a group is called is computed in an inner query: PostgreSQL takes two parameters for two expressions, however
    # alike they are, and would miss the column in GROUP BY.
    inner = select(
        *(division.column.label(f"group_{number}") for number, division in enumerate(by)),
        _flag(LEDGER.c.kind.not_in(BESIDE_KINDS)).label("calls"),
        _flag(failed).label("errors"),
        *(LEDGER.c[f"{bucket}_tokens"].label(bucket) for bucket in _BUCKETS),
        LEDGER.c.cost_nano.label("cost_nano"),
        _flag(unpriced).label("unpriced"),
        _flag(uncounted).label("uncounted"),
        _flag(LEDGER.c.estimated).label("estimated"),
    ).where(*rows)
    table = inner.subquery()
    groups = [table.c[f"group_{number}"] for number in range(len(by))]
    sums = [
        func.coalesce(func.sum(table.c[name]), 0).label(name)
        for name in ("calls", "errors", *_BUCKETS, "cost_nano", "unpriced", "uncounted", "estimated")
    ]
    return select(*groups, *sums).select_from(table).group_by(*groups).limit(limit + 1)


def read_usage(row: RowMapping, by: list[Division]) -> UsageRow:
    """Read one row of the answer. PostgreSQL gives sums as decimals."""
    return UsageRow(
        group=tuple(division.name(row[f"group_{number}"]) for number, division in enumerate(by)),
        calls=int(row["calls"]),
        errors=int(row["errors"]),
        input=int(row["input"]),
        cache_read=int(row["cache_read"]),
        cache_write=int(row["cache_write"]),
        cache_write_1h=int(row["cache_write_1h"]),
        output=int(row["output"]),
        reasoning=int(row["reasoning"]),
        cost_nano=int(row["cost_nano"]),
        unpriced=int(row["unpriced"]),
        uncounted=int(row["uncounted"]),
        estimated=int(row["estimated"]),
    )


def milliseconds(seconds: float) -> int:
    """Give whole milliseconds."""
    return round(seconds * 1000)


def _is_tag(name: str) -> bool:
    return name.startswith(TAG) and len(name) > len(TAG)


def _plain(dialect: str, name: str) -> ColumnElement[Any]:
    if not _is_tag(name):
        column: ColumnElement[Any] = LEDGER.c[_RENAMED.get(name, name)]
        return column
    tag = storable(name.removeprefix(TAG))
    if dialect == "postgresql":
        return func.coalesce(func.jsonb_extract_path_text(LEDGER.c.tags, tag), "")
    # A path ('$."name"') would have to be quoted, and a name may hold quotes: so the pairs are compared instead.
    pairs = func.json_each(LEDGER.c.tags).table_valued("key", "value")
    return func.coalesce(select(pairs.c.value).where(pairs.c.key == tag).scalar_subquery(), "")


def _period(name: str, zone: ZoneInfo, within: tuple[int, int]) -> Division:
    started = LEDGER.c.started_ms
    if name == "month":
        starts = month_starts(zone, *within)
        ends = [(started < start, number) for number, (start, _) in enumerate(starts[1:])]
        return Division(case(*ends, else_=len(ends)), lambda number: starts[number][1])
    found = spans(zone, *within)
    changes = [(started < later.start, span.offset) for span, later in pairwise(found)]
    last = found[-1].offset
    offset: Any = case(*changes, else_=last) if changes else last
    if name == "day":
        return Division((started + offset) // DAY_MS, day_name)
    # An hour is known by the instant at which it begins: in autumn one of them comes twice.
    return Division((started + offset) // HOUR_MS * HOUR_MS - offset, lambda start: hour_name(zone, start))


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
