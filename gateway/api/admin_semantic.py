"""POST /admin/models/{model}/semantic-cache: switches a model's semantic cache off, or on again. What it does is told by /admin/cache/stats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden

PATH: Final = "/admin/models/{model:path}/semantic-cache"

Switch = Callable[[str, bool], bool]
"""Switches a model's layer on or off; False where it has none."""


class SemanticSwitch(Body, frozen=True, kw_only=True):
    """Whether similar questions are to be answered from the cache, until the settings change."""

    on: bool
    why: Annotated[Text, Meta(description="A sentence for the audit log.")] = ""


def endpoints(edge: Edge, services: Services, switch: Switch) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def perform(asked: Asked) -> Document:
        if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
            msg = "Models are of all tenants: those who administer the default one may switch their caches."
            raise Forbidden(msg)
        body = asked.body(SemanticSwitch)
        if services.audit is None:
            found = switch(asked.id, body.on)
        else:
            about = ("model", asked.id, "")
            async with services.audited(asked, "cache.semantic_switched", about, {"on": body.on, "why": body.why}):
                found = switch(asked.id, body.on)
        if not found:
            raise absent("semantic cache")
        return json_document({"object": "semantic_cache", "model": asked.id, "on": body.on})

    return {PATH: admin_endpoint(edge, "semantic cache", {"POST": Deed(right="write", perform=perform)})}
