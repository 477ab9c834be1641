"""POST /admin/reload: puts the configuration on disk into force, or says why not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.api.admin_door import identified
from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.core.caller import DEFAULT_TENANT, Caller
from gateway.core.errors import Forbidden

RELOAD_PATH = "/admin/reload"

Reload = Callable[[], Awaitable[dict[str, object]]]
"""Reloads and gives the report as JSON: `status` is applied, unchanged or refused."""


def reload_endpoint(edge: Edge, reload: Reload) -> PlainEndpoint:
    """Give the endpoint. A refused document is a 422, with every fault in the reply."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del receive
        _require_reloader(await identified(edge, scope))
        report = await reload()
        return json_document(report, status=422 if report["status"] == "refused" else 200)

    # Public, as far as PlainEndpoint is concerned: who calls was asked above.
    return PlainEndpoint(edge, compute, methods=("POST",), public=True)


def _require_reloader(caller: Caller) -> None:
    """Raise Forbidden for who may not reload.

    The configuration is everybody's, so its reload belongs to the administrators of the default tenant. A key of the
    configuration itself, and who is let in without any, could always do it: whoever holds them has the machine.
    """
    if caller.kind in ("anonymous", "static"):
        return
    if caller.tenant != DEFAULT_TENANT or caller.role not in ("owner", "admin"):
        msg = "The configuration is reloaded by an owner or admin of the default tenant."
        raise Forbidden(msg)
