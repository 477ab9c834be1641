"""GET /healthz (the process lives), GET /readyz (it would answer a call now, and if not, why)."""

from __future__ import annotations

from typing import Any

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge, is_draining
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.pipeline.build import Route

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"


def health_endpoint(edge: Edge) -> PlainEndpoint:
    """Liveness: nothing is asked but that the event loop turns."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        return json_document({"status": "ok"})

    return PlainEndpoint(edge, compute, public=True)


def ready_endpoint(edge: Edge) -> PlainEndpoint:
    """Readiness: 503 while draining, while a model that must be loaded is starting, and when no model can be served.

    A cold model counts as ready: it starts with its first call.
    """

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        models = {name: _states(route) for name, route in edge.current().routes.items()}
        status = _status(models, draining=is_draining(scope))
        detail = {"status": status, "models": models, "configuration": edge.configuration()}
        return json_document(detail, status=200 if status == "ready" else 503)

    return PlainEndpoint(edge, compute, public=True)


def _states(route: Route) -> list[dict[str, Any]]:
    return [
        {"target": target.name, "state": health.state} | ({"detail": health.detail} if health.detail else {})
        for target, health in zip(route.targets, route.health(), strict=True)
    ]


def _status(models: dict[str, list[dict[str, Any]]], *, draining: bool) -> str:
    if draining:
        return "draining"
    states = [{target["state"] for target in targets} for targets in models.values()]
    if any(state == {"starting"} for state in states):
        return "starting"
    if states and all(state == {"failed"} for state in states):
        return "failed"
    return "ready"
