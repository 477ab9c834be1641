"""GET /admin/shadows: comparisons of two models' answers, one by one and summed up. They are made elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_figures import dollars, read_time
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit, Pattern
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.stores.ledger_periods import find_zone
from gateway.stores.shadows import Shadow, ShadowQuery, ShadowSummary, Side, Sums

LIST_PATH = "/admin/shadows"
SUMMARY_PATH = "/admin/shadows/summary"
ONE_PATH = "/admin/shadows/{shadow}"

_FIGURES = ("duration", "first_token", "output_tokens")

When = Annotated[str, Meta(max_length=40, description="2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970 (UTC).")]


class ShadowSummaryParameters(Body, frozen=True, kw_only=True):
    """Which comparisons."""

    model: Annotated[Pattern, Meta(description="The model that is copied.")] | None = None
    tenant: Id | None = None
    since: When | None = None
    until: When | None = None


class ShadowParameters(ShadowSummaryParameters, frozen=True, kw_only=True):
    """Which comparisons, and how many."""

    limit: Limit = 100
    after: Cursor = ""


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def show_list(asked: Asked) -> Document:
        query = asked.query(ShadowParameters)
        wanted = _query(asked, query, services.clock.wall())
        wanted = msgspec.structs.replace(wanted, after=query.after, limit=query.limit + 1)
        found = await services.the_shadows.list(wanted)
        page = found[: query.limit]
        return listed([_shown(one, content=False) for one in page], page[-1].id if len(found) > query.limit else "")

    async def summarize(asked: Asked) -> Document:
        query = asked.query(ShadowSummaryParameters)
        found = await services.the_shadows.summarize(_query(asked, query, services.clock.wall()))
        return json_document({"object": "list", "data": [_summed(one) for one in found]})

    async def show(asked: Asked) -> Document:
        found = await services.the_shadows.find(asked.tenants(None), asked.id, now=services.clock.wall())
        if found is None:
            raise absent("shadow")
        return json_document(_shown(found, content=True))

    return {
        LIST_PATH: admin_endpoint(edge, "shadow", {"GET": Deed(right="read", perform=show_list)}),
        SUMMARY_PATH: admin_endpoint(edge, "shadow", {"GET": Deed(right="read", perform=summarize)}),
        ONE_PATH: admin_endpoint(edge, "shadow", {"GET": Deed(right="read", perform=show)}),
    }


def _query(asked: Asked, query: ShadowSummaryParameters, now: float) -> ShadowQuery:
    utc = find_zone("UTC")
    return ShadowQuery(
        tenant=asked.tenants(query.tenant),
        now=now,
        model=query.model,
        since=None if query.since is None else read_time(query.since, utc, "since"),
        until=None if query.until is None else read_time(query.until, utc, "until"),
    )


def _shown(shadow: Shadow, *, content: bool) -> dict[str, Any]:
    fields = {name: getattr(shadow, name) for name in Shadow.__struct_fields__ if name not in ("original", "shadow")}
    sides = {
        name: _side(side, content=content) for name, side in (("original", shadow.original), ("shadow", shadow.shadow))
    }
    return {"object": "shadow", **fields, **sides}


def _side(side: Side, *, content: bool) -> dict[str, Any]:
    hidden = ("cost_nano",) if content else ("cost_nano", "content")
    fields = {name: getattr(side, name) for name in Side.__struct_fields__ if name not in hidden}
    cost = None if side.cost_nano is None else dollars(side.cost_nano)
    return {**fields, "error": side.error or None, "finish_reason": side.finish_reason or None, "cost": cost}


def _summed(one: ShadowSummary) -> dict[str, Any]:
    return {
        "object": "shadow_summary",
        "model": one.model,
        "shadow_model": one.shadow_model,
        "calls": one.calls,
        "answered": one.answered,
        "original": _sums(one.original, one.calls),
        "shadow": _sums(one.shadow, one.calls),
        "ratios": {
            **{name: _ratio(getattr(one.shadow, name), getattr(one.original, name)) for name in _FIGURES},
            "cost": _ratio(one.shadow.cost_nano, one.original.cost_nano),
        },
        "priced": one.priced,
        "compared": one.compared,
        "same": one.same,
        "same_share": _ratio(one.same, one.compared),
        "similarity": one.similarity,
    }


def _sums(sums: Sums, calls: int) -> dict[str, Any]:
    figures = {name: getattr(sums, name) for name in _FIGURES}
    return {
        "errors": sums.errors,
        "error_share": _ratio(sums.errors, calls),
        **figures,
        "cost": dollars(sums.cost_nano),
    }


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else round(one / other, 4)
