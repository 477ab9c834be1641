"""GET /admin/batches: the batches of all callers, for who operates the server. They are made at /v1/batches."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit
from gateway.api.asgi import AsgiApp
from gateway.api.batches import shown
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.batches.desk import cancel
from gateway.stores.batches import Batch, Status

LIST_PATH = "/admin/batches"
ONE_PATH = "/admin/batches/{batch}"
CANCEL_PATH = "/admin/batches/{batch}/cancel"


class BatchQuery(Body, frozen=True, kw_only=True):
    """Which batches."""

    status: Annotated[Status, Meta(description="In this state alone.")] | None = None
    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def found(asked: Asked) -> Batch:
        batch = await services.the_batches.find(asked.tenants(None), asked.id)
        if batch is None:
            raise absent("batch")
        return batch

    async def show_list(asked: Asked) -> Document:
        query = asked.query(BatchQuery)
        tenant = asked.tenants(query.tenant)
        batches = await services.the_batches.list(tenant, after=query.after, limit=query.limit + 1, status=query.status)
        page = batches[: query.limit]
        return listed([_shown(batch) for batch in page], page[-1].id if len(batches) > query.limit else "")

    async def show(asked: Asked) -> Document:
        return json_document(_shown(await found(asked)))

    async def stop(asked: Asked) -> Document:
        batch = await found(asked)
        async with services.audited(asked, "batch.cancelled", ("batch", batch.id, batch.tenant)):
            cancelled = await cancel(services.the_batches, batch.tenant, batch.id, now=services.clock.wall())
        return json_document(_shown(cancelled))

    return {
        LIST_PATH: admin_endpoint(edge, "batch", {"GET": Deed(right="read", perform=show_list)}),
        ONE_PATH: admin_endpoint(edge, "batch", {"GET": Deed(right="read", perform=show)}),
        CANCEL_PATH: admin_endpoint(edge, "batch", {"POST": Deed(right="write", perform=stop)}),
    }


def _shown(batch: Batch) -> dict[str, Any]:
    """Give it as the API does, and whose it is."""
    return {**shown(batch), "tenant": batch.tenant, "key": batch.caller.id, "user": batch.caller.user or None}
