"""GET /healthz (the process lives), GET /readyz (it would answer a call now, and if not, why)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge, is_draining
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.pipeline.authorized import offered
from gateway.pipeline.route import Route
from gateway.providers.provider import Health

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"


def health_endpoint(edge: Edge) -> PlainEndpoint:
    """Liveness: nothing is asked but that the event loop turns."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        return json_document({"status": "ok"})

    return PlainEndpoint(edge, compute, public=True)


def ready_endpoint(edge: Edge) -> PlainEndpoint:
    """Readiness: 503 while draining, while a model that is to be loaded with the server loads, and when no model can be served.

    A cold model counts as ready: it starts with its first call. So does one that starts while calls wait for it. A store that is
    away is told of and keeps nobody away: calls go on without it. Who has a key, where keys are asked for, is told of the models
    that it may use as well.
    """

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        routes = edge.current().routes
        status = "draining" if is_draining(scope) else overall([route.health() for route in routes.values()])
        detail: dict[str, Any] = {"status": status}
        caller = await _caller(edge, scope)
        if caller is not None:
            authorizer = edge.current().authorizer
            shown = {name: route for name, route in routes.items() if offered(authorizer, caller, route.subject)}
            detail["models"] = {name: _states(route) for name, route in shown.items()}
        configuration = edge.configuration()
        if caller is None:
            configuration.pop("faults", None)  # they name files
        detail["configuration"] = configuration
        if stores := edge.stores():
            detail["stores"] = stores
        return json_document(detail, status=200 if status == "ready" else 503)

    return PlainEndpoint(edge, compute, public=True)


async def _caller(edge: Edge, scope: Scope) -> Caller | None:
    """Give who asks, None for nobody that is known. A probe has no key, and is not told of models."""
    try:
        return await edge.current().identity.identify(scope["headers"], scope.get("client"))
    except SwitchgearError:
        return None


def _states(route: Route) -> list[dict[str, Any]]:
    return [
        {"target": target.name, "state": health.state} | ({"detail": health.detail} if health.detail else {})
        for target, health in zip(route.targets, route.health(), strict=True)
    ]


def overall(models: Sequence[Sequence[Health]]) -> Literal["ready", "starting", "failed"]:
    """Give the state of a server from the states of each model's targets."""
    lacking = [targets for targets in models if not any(_serves(health) for health in targets)]
    theirs = [health for targets in lacking for health in targets]
    if any(_is_first_load(health) for health in theirs):
        return "starting"
    if not lacking or len(lacking) < len(models):
        return "ready"
    return "starting" if any(health.state == "starting" for health in theirs) else "failed"


def _is_first_load(health: Health) -> bool:
    return health.state == "starting" and health.first_load


def _serves(health: Health) -> bool:
    if health.state == "starting":
        return health.waited_for and not health.first_load
    return health.state != "failed"
