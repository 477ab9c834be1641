"""Shadows in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    RowMapping,
    Select,
    and_,
    case,
    cast,
    delete,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from gateway.core.items import Json
from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.shadows import Shadow, ShadowQuery, ShadowSummary, Side, Sums
from gateway.stores.shadows_tables import SHADOWS, SIDES

_BATCH: Final = 500
_RENAMED: Final = {"call": "call_id", "user": "user_id"}
_PLAIN: Final = tuple(name for name in Shadow.__struct_fields__ if name not in SIDES)
_LISTED: Final = tuple(column for column in SHADOWS.columns if not column.name.endswith("_content"))


class SqlShadows:
    """The shadow store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, shadows: Sequence[Shadow]) -> None:
        """Keep new ones, all or none; those whose id is there already are left as they are."""
        rows = [_row(shadow) for shadow in shadows]
        async with self._database.begin() as connection:
            if self._database.kind == "postgres":
                await connection.execute(postgresql.insert(SHADOWS).on_conflict_do_nothing(), rows)
            else:
                await connection.execute(sqlite.insert(SHADOWS).on_conflict_do_nothing(), rows)

    async def find(self, tenant: str | None, shadow: str, *, now: float) -> Shadow | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        wanted = [*_of(ShadowQuery(tenant=tenant, now=now)), SHADOWS.c.id == shadow]
        async with self._database.connect() as connection:
            row = (await connection.execute(select(SHADOWS).where(*wanted))).mappings().first()
        return None if row is None else _shadow(row)

    async def list(self, query: ShadowQuery) -> Sequence[Shadow]:
        """Give a page without content, the newest first. An `after` that is not there gives nothing."""
        columns = SHADOWS.c
        wanted = _of(query)
        async with self._database.connect() as connection:
            if query.after:
                last = select(columns.at).where(*_of(query), columns.id == query.after)
                at = (await connection.execute(last)).scalar_one_or_none()
                if at is None:
                    return []
                wanted.append(tuple_(columns.at, columns.id) < tuple_(at, query.after))
            page = select(*_LISTED).where(*wanted).order_by(columns.at.desc(), columns.id.desc()).limit(query.limit)
            return [_shadow(row) for row in (await connection.execute(page)).mappings()]

    async def summarize(self, query: ShadowQuery) -> Sequence[ShadowSummary]:
        """Give the figures of each pair of models, by name."""
        async with self._database.connect() as connection:
            rows = await connection.execute(_summary(_of(query)))
            return [_summarized(row) for row in rows.mappings()]

    async def spent(self, model: str, since: float) -> int:
        """Give what the copies of a model's calls have cost since then, in nano-dollars, as far as it is known."""
        columns = SHADOWS.c
        total = select(func.coalesce(func.sum(columns.shadow_cost_nano), 0))
        async with self._database.connect() as connection:
            found = await connection.execute(total.where(columns.model == model, columns.at >= since))
            return int(found.scalar_one())

    async def remove_expired(self, now: float) -> int:
        """Forget some of those whose time is over, and say how many."""
        expired = select(SHADOWS.c.id).where(SHADOWS.c.expires_at <= now).limit(_BATCH)
        async with self._database.connect() as connection:
            ids = list((await connection.execute(expired)).scalars())
        return await self._delete(SHADOWS.c.id.in_(ids)) if ids else 0

    async def remove_beyond(self, model: str, rows: int) -> int:
        """Forget the oldest of a model, so that so many are left, and say how many."""
        columns = SHADOWS.c
        newest = (columns.at.desc(), columns.id.desc())
        last = select(columns.at, columns.id).where(columns.model == model).order_by(*newest).offset(rows - 1).limit(1)
        async with self._database.connect() as connection:
            kept = (await connection.execute(last)).first()
        if kept is None:
            return 0
        return await self._delete(columns.model == model, tuple_(columns.at, columns.id) < tuple_(kept.at, kept.id))

    async def remove(self, *, tenant: str | None, user: str | None, before: float | None) -> int:
        """Forget those of a tenant, a user, or from before a time, and say how many. One condition at least is needed."""
        columns = SHADOWS.c
        wanted: list[ColumnElement[bool]] = []
        if tenant is not None:
            wanted.append(columns.tenant == tenant)
        if user is not None:
            wanted.append(columns.user_id == user)
        if before is not None:
            wanted.append(columns.at < before)
        if not wanted:
            raise ValueError("what to remove must be said: a tenant, a user or a time")
        return await self._delete(*wanted)

    async def _delete(self, *wanted: ColumnElement[bool]) -> int:
        async with self._database.begin() as connection:
            return (await connection.execute(delete(SHADOWS).where(*wanted))).rowcount


def _of(query: ShadowQuery) -> list[ColumnElement[bool]]:
    columns = SHADOWS.c
    found = [columns.expires_at > query.now]
    if query.tenant is not None:
        found.append(columns.tenant == query.tenant)
    if query.model is not None:
        found.append(columns.model == query.model)
    if query.since is not None:
        found.append(columns.at >= query.since)
    if query.until is not None:
        found.append(columns.at < query.until)
    return found


def _summary(wanted: Sequence[ColumnElement[bool]]) -> Select[Any]:
    columns = SHADOWS.c
    both = and_(columns.original_error == "", columns.shadow_error == "")
    priced = and_(both, columns.original_cost_nano.is_not(None), columns.shadow_cost_nano.is_not(None))
    fast = and_(both, columns.original_first_token.is_not(None), columns.shadow_first_token.is_not(None))
    figures: list[ColumnElement[Any]] = [
        func.count().label("calls"),
        _count(both).label("answered"),
        _count(columns.same.is_not(None)).label("compared"),
        func.coalesce(func.sum(cast(cast(columns.same, Boolean), Integer)), 0).label("same"),
        func.avg(columns.similarity).label("similarity"),
        _count(priced).label("priced"),
    ]
    for side in SIDES:
        figures += [
            _count(columns[f"{side}_error"] != "").label(f"{side}_errors"),
            func.avg(case((both, columns[f"{side}_duration"]))).label(f"{side}_duration"),
            func.avg(case((fast, columns[f"{side}_first_token"]))).label(f"{side}_first_token"),
            func.avg(case((both, columns[f"{side}_output_tokens"]))).label(f"{side}_output_tokens"),
            func.coalesce(func.sum(case((priced, columns[f"{side}_cost_nano"]))), 0).label(f"{side}_cost_nano"),
        ]
    pair = (columns.model, columns.shadow_model)
    return select(*pair, *figures).where(*wanted).group_by(*pair).order_by(*pair)


def _count(which: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((which, 1), else_=0)), 0)


def _summarized(row: RowMapping) -> ShadowSummary:
    def sums(side: str) -> Sums:
        return Sums(
            errors=int(row[f"{side}_errors"]),
            duration=_number(row[f"{side}_duration"]),
            first_token=_number(row[f"{side}_first_token"]),
            output_tokens=_number(row[f"{side}_output_tokens"]),
            cost_nano=int(row[f"{side}_cost_nano"]),
        )

    return ShadowSummary(
        model=row["model"],
        shadow_model=row["shadow_model"],
        calls=int(row["calls"]),
        answered=int(row["answered"]),
        compared=int(row["compared"]),
        same=int(row["same"]),
        similarity=_number(row["similarity"]),
        priced=int(row["priced"]),
        original=sums("original"),
        shadow=sums("shadow"),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _row(shadow: Shadow) -> dict[str, Any]:
    row = {_RENAMED.get(name, name): _kept(getattr(shadow, name)) for name in _PLAIN}
    for side in SIDES:
        one: Side = getattr(shadow, side)
        row |= {f"{side}_{name}": _kept(getattr(one, name)) for name in Side.__struct_fields__}
    return row


def _kept(value: Json) -> Json:
    """The same with text that any database keeps."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _kept(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_kept(each) for each in value]
    return value


def _shadow(row: RowMapping) -> Shadow:
    plain = {name: row[_RENAMED.get(name, name)] for name in _PLAIN}
    return msgspec.convert({**plain, **{side: _side(row, side) for side in SIDES}}, Shadow)


def _side(row: RowMapping, side: str) -> dict[str, Any]:
    names = (name for name in Side.__struct_fields__ if f"{side}_{name}" in row)
    return {name: row[f"{side}_{name}"] for name in names}
