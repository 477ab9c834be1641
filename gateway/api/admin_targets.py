"""GET /admin/targets: how every target is doing, as far as calls have shown it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden
from gateway.providers.provider import Health
from gateway.providers.watched import is_well
from gateway.routing.condition import Condition
from gateway.routing.gate import Gate

PATH = "/admin/targets"


def endpoints(edge: Edge, conditions: Callable[[], Iterable[Condition]]) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def show(asked: Asked) -> Document:
        if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
            msg = "Targets are of all tenants: an owner, admin or auditor of the default one may see them."
            raise Forbidden(msg)
        now = edge.clock.monotonic()
        models: dict[str, list[str]] = {}
        health: dict[str, Health] = {}
        gates: dict[str, Gate | None] = {}
        for name, route in edge.current().routes.items():
            for target, state in zip(route.targets, route.health(), strict=True):
                models.setdefault(target.name, []).append(name)
                health[target.name] = state
            gates |= {seat.name: seat.gate for seat in route.pool.seats}
        entries = [
            {**_entry(one, now, models[one.target], health[one.target]), **_places(gates[one.target])}
            for one in sorted(conditions(), key=lambda one: one.target)
            if one.target in models
        ]
        return json_document({"object": "list", "data": entries})

    return {PATH: admin_endpoint(edge, "target", {"GET": Deed(right="read", perform=show)})}


def _entry(one: Condition, now: float, models: list[str], health: Health) -> dict[str, Any]:
    breaker = one.breaker
    return {
        "id": one.target,
        "object": "target",
        "models": models,
        "state": health.state,
        "detail": health.detail,
        "healthy": is_well(health),
        "breaker": breaker.state(now),
        "spared_s": round(one.back_at(now), 3) if one.spared(now) else 0,
        "fault_share": round(breaker.share(now), 4),
        "in_flight": one.in_flight,
        "first_token_s": one.first,
        "per_token_s": one.per_token,
        "limits_used": round(one.limits_used(now), 4),
        "served": one.served,
        "failed": one.failed,
        "hedges": one.hedges,
        "continuations": one.continuations,
    }


def _places(gate: Gate | None) -> dict[str, Any]:
    """Give how many calls a target may have at once, and for how many more there is room; null where there is no limit."""
    if gate is None or math.isinf(gate.limit):
        return {"limit": None, "free": None}
    return {"limit": gate.limit, "free": gate.free}
