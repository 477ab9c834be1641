"""POST /admin/retention: deletes ledger rows of a tenant, of a user, or from before a time; or says how many there are.

Of a tenant or a user that is named, what agents remember goes as well. What is only old is not forgotten so: a memory has a ttl of its own.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gateway.accounting.ledger_retention import remove_rows
from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_figures import read_time
from gateway.api.admin_rights import is_platform_owner
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Id
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.errors import InvalidRequest
from gateway.stores.ledger import UsageQuery
from gateway.stores.ledger_periods import find_zone

PATH = "/admin/retention"

Before = Annotated[
    str, Meta(max_length=40, description="2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970 (UTC).")
]


class Retention(Body, frozen=True, kw_only=True):
    """Which rows to delete: those that fit all that is named. At least one thing must be."""

    tenant: Id | None = None
    user: Id | None = None
    before: Before | None = None
    older_than_days: Annotated[float, Meta(ge=0, le=100_000, description="Instead of `before`.")] | None = None
    dry_run: Annotated[bool, Meta(description="Only say how many rows there are.")] = False


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def erase(asked: Asked) -> Document:
        body = asked.body(Retention)
        before = _before(body, services.clock.wall())
        if body.tenant is None and body.user is None and before is None:
            msg = "Name what is to be deleted: `tenant`, `user`, `before` or `older_than_days`."
            raise InvalidRequest(msg)
        named = body.tenant is not None or not is_platform_owner(asked.caller)
        tenant = asked.tenant(body.tenant) if named else None
        if body.dry_run:
            return _answer(await _count(services, tenant, body.user, before), dry_run=True)
        details = {"user": body.user, "before": None if before is None else int(before)}
        about = ("ledger", "", tenant or "")
        async with services.audited(asked, "ledger.rows_deleted", about, details) as found:
            found["rows"] = await remove_rows(services.the_ledger, tenant=tenant, user=body.user, before=before)
            if services.shadows is not None:
                found["shadows"] = await services.shadows.remove(tenant=tenant, user=body.user, before=before)
            if services.memories is not None and (body.tenant is not None or body.user is not None):
                found["memories"] = await services.memories.erase_of(tenant=tenant, user=body.user, before=before)
        return _answer(found["rows"], dry_run=False)

    return {PATH: admin_endpoint(edge, "ledger", {"POST": Deed(right="erase", perform=erase)})}


def _answer(rows: int, *, dry_run: bool) -> Document:
    return json_document({"object": "retention", "rows": rows, "dry_run": dry_run})


async def _count(services: Services, tenant: str | None, user: str | None, before: float | None) -> int:
    named = (("tenant", tenant), ("user", user))
    where: dict[str, tuple[str, ...]] = {name: (value,) for name, value in named if value is not None}
    return sum(row.calls for row in await services.the_ledger.usage(UsageQuery(where=where, until=before)))


def _before(body: Retention, now: float) -> float | None:
    if body.before is not None and body.older_than_days is not None:
        msg = "Give `before` or `older_than_days`, not both."
        raise InvalidRequest(msg, param="older_than_days")
    if body.older_than_days is not None:
        return now - body.older_than_days * 86_400
    return None if body.before is None else read_time(body.before, find_zone("UTC"), "before")
