"""GET /admin/chargeback: what each tenant and its parts cost in one month, with their names, for who writes the bills.

It is the ledger's usage in the form that accounting takes: one calendar month, names beside ids, one currency. What a line's
figures leave out, the line says.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from msgspec import Meta

from gateway.api import admin_csv
from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_figures import dollars
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import END, MAX_PAGE, Body, Id
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.errors import InvalidRequest
from gateway.stores.directory import Directory, Page
from gateway.stores.ledger import MOST_GROUPS, TAG, UsageQuery, UsageRow
from gateway.stores.ledger_periods import find_zone

PATH = "/admin/chargeback"
DIVISIONS = ("team", "user", "key", "agent", "model", "provider")
FIGURES = ("calls", "input_tokens", "output_tokens", "currency", "cost", "complete")

Month = Annotated[
    str,
    Meta(pattern=rf"^[0-9]{{4}}-(0[1-9]|1[0-2]){END}", description="2026-11; without it the last one that is over."),
]
By = Annotated[
    str,
    Meta(
        max_length=500,
        description=f"What to divide each tenant by, with commas between: {', '.join(DIVISIONS)}, {TAG}NAME.",
    ),
]


class ChargebackParameters(Body, frozen=True, kw_only=True):
    """Which month of which calendar, of which tenant (without it all that the caller sees), and how divided."""

    month: Month | None = None
    by: By = "team"
    tenant: Id | None = None
    zone: Annotated[str, Meta(max_length=64, description="Where a month begins, such as Europe/Berlin.")] = "UTC"
    format: Annotated[Literal["json", "csv"], Meta(description="Without it, what Accept asks for.")] | None = None


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def bill(asked: Asked) -> Document:
        query = asked.query(ChargebackParameters)
        by = _divisions(query.by)
        zone = find_zone(query.zone)
        month = query.month or _last_month(services.clock.wall(), zone)
        since, until = _bounds(month, zone)
        tenant = asked.tenants(query.tenant)
        where: dict[str, tuple[str, ...]] = {} if tenant is None else {"tenant": (tenant,)}
        found = await services.the_ledger.usage(
            UsageQuery(by=by, where=where, since=since, until=until, zone=query.zone, limit=MOST_GROUPS)
        )
        names = await _names(services.the_directory, by, found, tenant)
        lines = [_line(month, by, row, names) for row in found]
        if admin_csv.wanted(asked.accept, query.format):
            columns = ("month", *(column for name in by for column in _columns(name)), *FIGURES)
            return admin_csv.document(f"chargeback-{month}", columns, lines)
        about = {"month": month, "since": since, "until": until, "zone": query.zone, "by": by}
        cost = dollars(sum(row.cost_nano for row in found))
        total = {"calls": sum(row.calls for row in found), "currency": "USD", "cost": cost}
        total["complete"] = all(line["complete"] for line in lines)
        return json_document({"object": "chargeback", **about, "data": lines, "total": total})

    return {PATH: admin_endpoint(edge, "chargeback", {"GET": Deed(right="read", perform=bill)})}


def _divisions(by: str) -> tuple[str, ...]:
    """Give what to divide by, the tenant first. Raises InvalidRequest."""
    wanted = [name for name in (part.strip() for part in by.split(",")) if name and name != "tenant"]
    for name in wanted:
        if name not in DIVISIONS and not name.startswith(TAG):
            msg = f"A bill is divided by {', '.join(DIVISIONS)} and {TAG}NAME."
            raise InvalidRequest(msg, param="by")
    return ("tenant", *wanted)


def _last_month(now: float, zone: ZoneInfo) -> str:
    first = dt.datetime.fromtimestamp(now, zone).date().replace(day=1)
    return (first - dt.timedelta(days=1)).isoformat()[:7]


def _bounds(month: str, zone: ZoneInfo) -> tuple[float, float]:
    """Give the month's first second, and that of the next. Raises InvalidRequest for one that no calendar has."""
    year, number = int(month[:4]), int(month[5:])
    try:
        ends = [
            dt.datetime(year + later // 12, later % 12 + 1, 1, tzinfo=zone).timestamp()
            for later in (number - 1, number)
        ]
    except (ValueError, OverflowError):
        msg = f"There is no month {month} here."
        raise InvalidRequest(msg, param="month") from None
    return ends[0], ends[1]


class _Named(Protocol):
    """A record that has a name."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class _Listed(Protocol):
    """A noun of the directory."""

    async def list(self, *, tenant: str | None, after: str = "", limit: int = 100) -> Page[Any]: ...


async def _names(
    directory: Directory, by: tuple[str, ...], rows: list[UsageRow], tenant: str | None
) -> dict[tuple[str, str], str]:
    """Give the name of each object of the rows that is still there."""
    nouns: dict[str, _Listed] = {
        "tenant": directory.tenants,
        "team": directory.teams,
        "user": directory.users,
        "key": directory.keys,
    }
    found: dict[tuple[str, str], str] = {}
    for number, name in enumerate(by):
        missing = {row.group[number] for row in rows} - {""}
        after = ""
        while name in nouns and missing:
            page = await nouns[name].list(tenant=tenant, after=after, limit=MAX_PAGE)
            known: list[_Named] = [record for record in page.items if record.id in missing]
            found |= {(name, record.id): record.name for record in known}
            missing -= {record.id for record in known}
            after = page.next
            if not after:
                break
    return found


def _columns(name: str) -> tuple[str, ...]:
    return (name, f"{name}_name") if name in ("tenant", "team", "user", "key") else (name,)


def _line(month: str, by: tuple[str, ...], row: UsageRow, names: dict[tuple[str, str], str]) -> dict[str, Any]:
    line: dict[str, Any] = {"month": month}
    for name, value in zip(by, row.group, strict=True):
        line |= zip(_columns(name), (value, names.get((name, value), "")), strict=False)
    return line | {
        "calls": row.calls,
        "input_tokens": row.input + row.cache_read + row.cache_write + row.cache_write_1h,
        "output_tokens": row.output + row.reasoning,
        "currency": "USD",
        "cost": dollars(row.cost_nano),
        "complete": not row.unpriced and not row.uncounted,
    }
