"""GET /admin/usage and /admin/calls: what the ledger holds, summed or row by row, for whom it concerns.

Who has not the right to read the tenant's usage sees its own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.api import admin_csv
from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_figures import dollars, read_time
from gateway.api.admin_records import listed
from gateway.api.admin_rights import is_platform_owner
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.decision import Decision
from gateway.core.errors import InvalidRequest
from gateway.core.rights import rights_of
from gateway.stores.ledger import MOST_GROUPS, TAG, LedgerRow, RowQuery, UsageQuery, UsageRow
from gateway.stores.ledger_periods import find_zone

USAGE_PATH = "/admin/usage"
CALLS_PATH = "/admin/calls"

Values = Annotated[str, Meta(max_length=2000, description="One value, or several with commas between them.")]
When = Annotated[str, Meta(max_length=40, description="2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970.")]
Format = Annotated[Literal["json", "csv"], Meta(description="Without it, what Accept asks for.")]

FIGURES = (
    "calls", "errors", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "cost", "unpriced",
    "uncounted", "estimated",
)  # fmt: skip
_FILTERS = (
    "tenant",
    "team",
    "user",
    "key",
    "kind",
    "model",
    "provider",
    "served",
    "agent",
    "run",
    "prompt",
    "operation",
    "dialect",
    "error",
    "prices",
)


_SHOWN_AS = {"cost_nano": "cost", "saved_nano": "saved_cost"}
_COLUMNS = tuple(_SHOWN_AS.get(name, name) for name in LedgerRow.__struct_fields__)


class Filters(Body, frozen=True, kw_only=True):
    """Which rows count: those that fit every filter, and began from `since` to before `until`. `tag` is NAME:VALUE."""

    tenant: Id | None = None
    team: Values | None = None
    user: Values | None = None
    key: Values | None = None
    kind: Values | None = None
    model: Values | None = None
    provider: Values | None = None
    served: Values | None = None
    agent: Values | None = None
    run: Values | None = None
    prompt: Values | None = None
    operation: Values | None = None
    dialect: Values | None = None
    error: Values | None = None
    prices: Values | None = None
    tag: Values | None = None
    since: When | None = None
    until: When | None = None
    zone: Annotated[str, Meta(max_length=64, description="Where a day begins, such as Europe/Berlin.")] = "UTC"
    format: Format | None = None


class UsageParameters(Filters, frozen=True, kw_only=True):
    """What to sum, and by what: names of filters, tag:NAME, and one of hour, day and month, with commas between them."""

    by: Annotated[str, Meta(max_length=500)] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_GROUPS, description="Groups at most.")] = 1000


class CallParameters(Filters, frozen=True, kw_only=True):
    """Which rows to list, newest first."""

    id: Values | None = None
    limit: Limit = 100
    after: Cursor | None = None


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def usage(asked: Asked) -> Document:
        query = asked.query(UsageParameters)
        since, until = _period(query)
        by = tuple(name for name in (part.strip() for part in query.by.split(",")) if name)
        found = await services.the_ledger.usage(
            UsageQuery(by=by, where=_where(asked, query), since=since, until=until, zone=query.zone, limit=query.limit)
        )
        rows = [dict(zip(by, row.group, strict=True)) | figures(row) for row in found]
        if admin_csv.wanted(asked.accept, query.format):
            return admin_csv.document("usage", (*by, *FIGURES), rows)
        asked_for = {"by": by, "since": since, "until": until, "zone": query.zone}
        return json_document({"object": "usage", **asked_for, "data": rows, "total": total(found)})

    async def calls(asked: Asked) -> Document:
        query = asked.query(CallParameters)
        since, until = _period(query)
        page = await services.the_ledger.find_rows(
            RowQuery(
                where=_where(asked, query),
                ids=_split(query.id),
                since=since,
                until=until,
                limit=query.limit,
                cursor=query.after,
            )
        )
        rows = [shown(row) for row in page.rows]
        if admin_csv.wanted(asked.accept, query.format):
            return admin_csv.document("calls", _COLUMNS, [_cells(row) for row in rows])
        return listed(rows, page.next or "")

    return {
        USAGE_PATH: admin_endpoint(edge, "usage", {"GET": Deed(right="self", perform=usage)}),
        CALLS_PATH: admin_endpoint(edge, "call", {"GET": Deed(right="self", perform=calls)}),
    }


def figures(row: UsageRow) -> dict[str, Any]:
    """Give a group's sums; the cost is a decimal text of dollars."""
    sums = {name: getattr(row, name) for name in FIGURES if name != "cost"}
    return {name: dollars(row.cost_nano) if name == "cost" else sums[name] for name in FIGURES}


def total(rows: list[UsageRow]) -> dict[str, Any]:
    """Give the sums of all groups."""
    summed = {name: sum(getattr(row, name) for row in rows) for name in FIGURES if name != "cost"}
    nano = sum(row.cost_nano for row in rows)
    return {name: dollars(nano) if name == "cost" else summed[name] for name in FIGURES}


def shown(row: LedgerRow) -> dict[str, Any]:
    """Give a row; its cost is a decimal text of dollars, null where the price is unknown."""
    fields = msgspec.structs.asdict(row)
    cost, saved = fields.pop("cost_nano"), fields.pop("saved_nano")
    return {"object": "call", **fields, "saved_cost": _dollars(saved), "cost": _dollars(cost)}


def _dollars(nano: int | None) -> str | None:
    return None if nano is None else dollars(nano)


def _where(asked: Asked, query: Filters) -> dict[str, tuple[str, ...]]:
    """Give the filters, within what the caller may see. Raises NotFound for a tenant that it does not."""
    where = {name: _split(getattr(query, name)) for name in _FILTERS if getattr(query, name) is not None}
    for pair in _split(query.tag):
        name, colon, value = pair.partition(":")
        if not name or not colon:
            msg = "`tag` is NAME:VALUE, or several of them with commas between."
            raise InvalidRequest(msg, param="tag")
        where[TAG + name] = (*where.get(TAG + name, ()), value)
    return where | visible(asked, query.tenant)


def visible(asked: Asked, tenant: str | None) -> dict[str, tuple[str, ...]]:
    """Give the filters that no caller gets around. Raises NotFound for a tenant that it does not see."""
    where: dict[str, tuple[str, ...]] = {}
    if tenant is not None or not is_platform_owner(asked.caller):
        where["tenant"] = (asked.tenant(tenant),)
    if "read" not in rights_of(asked.caller.role):
        mine = ("user", asked.caller.user) if asked.caller.user else ("key", asked.caller.id)
        where[mine[0]] = (mine[1],)
    return where


def _period(query: Filters) -> tuple[float | None, float | None]:
    zone = find_zone(query.zone)
    since = None if query.since is None else read_time(query.since, zone, "since")
    until = None if query.until is None else read_time(query.until, zone, "until")
    return since, until


def _split(values: str | None) -> tuple[str, ...]:
    """Give the values between commas; an empty text is one empty value: rows that have none."""
    return () if values is None else tuple(value.strip() for value in values.split(","))


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row as a table has it: nothing inside anything."""
    decision: Decision | None = row["decision"]
    return row | {"tags": _flat(row["tags"]), "decision": None if decision is None else decision.strategy}


def _flat(tags: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(tags.items())]
