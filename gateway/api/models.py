"""GET /v1/models and /v1/models/{id}: the configured models, as OpenAI's and Anthropic's clients read them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.errors import dialect_of
from gateway.api.plain import CALLER, Document, PlainEndpoint, json_document
from gateway.core.errors import NotFound
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.pipeline.route import Route
from gateway.routing.rollouts.versions import VersionedPool

LIST_PATH = "/v1/models"
ONE_PATH = "/v1/models/{model:path}"
_UNKNOWN_TO_US = ("capabilities", "deprecated_at", "line", "max_input_tokens", "max_tokens", "retires_at")


def list_endpoint(edge: Edge, started_at: float) -> PlainEndpoint:
    """Give the endpoint that lists all models; `started_at` (wall-clock seconds) stands for their creation."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        entries = [_entry(scope, route, started_at) for route in _offered(edge, scope).values()]
        if dialect_of(scope) is ANTHROPIC_MESSAGES:
            first, last = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
            return json_document({"data": entries, "has_more": False, "first_id": first, "last_id": last})
        return json_document({"object": "list", "data": entries})

    return PlainEndpoint(edge, compute)


def one_endpoint(edge: Edge, started_at: float) -> PlainEndpoint:
    """Give the endpoint that describes one model."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        model = scope["path_params"]["model"]
        if not model:
            msg = f"There is nothing at {ONE_PATH.partition('{')[0]!r}. Did you mean {LIST_PATH}?"
            raise NotFound(msg)
        route = find_route(_offered(edge, scope), model)
        return json_document(_entry(scope, route, started_at))

    return PlainEndpoint(edge, compute)


def _offered(edge: Edge, scope: Scope) -> dict[str, Route]:
    """Give the models that the caller may use: what may not be used is not listed, and not there."""
    generation, caller = edge.current(), scope[CALLER]
    return {
        name: route
        for name, route in generation.routes.items()
        if offered(generation.authorizer, caller, route.subject)
    }


def _entry(scope: Scope, route: Route, started_at: float) -> dict[str, Any]:
    if dialect_of(scope) is ANTHROPIC_MESSAGES:
        created = dt.datetime.fromtimestamp(int(started_at), dt.UTC).isoformat().replace("+00:00", "Z")
        return {
            "type": "model",
            "id": route.model,
            "display_name": route.model,
            "created_at": created,
            "lifecycle": "active",
            **dict.fromkeys(_UNKNOWN_TO_US),
        }
    entry: dict[str, Any] = {
        "id": route.model,
        "object": "model",
        "created": int(started_at),
        "owned_by": route.targets[0].provider,
        "targets": [target.name for target in route.targets],
    }
    if isinstance(route.pool, VersionedPool):
        entry["versions"] = list(route.pool.pools)
    if route.description:
        entry["description"] = route.description
    return entry
