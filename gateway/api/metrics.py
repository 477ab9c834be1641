"""GET /metrics: Prometheus text."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.plain import CALLER, Document, PlainEndpoint
from gateway.core.caller import DEFAULT_TENANT, Caller
from gateway.core.errors import Forbidden
from gateway.core.rights import rights_of

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def endpoint(edge: Edge, render: Callable[[], bytes]) -> PlainEndpoint:
    """Give the endpoint; `render` gives the exposition text."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        _require_reader(scope[CALLER])
        return Document(body=render(), content_type=CONTENT_TYPE)

    return PlainEndpoint(edge, compute)


def _require_reader(caller: Caller) -> None:
    """Raise Forbidden for who may not see what concerns all tenants: names of budgets, of guardrails, of models kept from them.

    A key of the configuration itself, and who is let in without any, always could.
    """
    if caller.kind in ("anonymous", "static"):
        return
    if caller.tenant != DEFAULT_TENANT or "read" not in rights_of(caller.role):
        msg = "Metrics are of all tenants: they are read by an owner, admin or auditor of the default one, or a key of `server.keys`."
        raise Forbidden(msg)
