"""GET /admin/whoami: who the caller is to this server, and what it may administer."""

from __future__ import annotations

import msgspec

from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_rights import is_platform_owner
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.rights import rights_of

PATH = "/admin/whoami"


def endpoints(edge: Edge) -> dict[str, AsgiApp]:
    """Give the endpoint."""

    async def show(asked: Asked) -> Document:
        caller = msgspec.to_builtins(asked.caller) | {"tags": dict(asked.caller.tags)}
        rights = sorted(rights_of(asked.caller.role))
        return json_document(
            {"object": "caller", **caller, "rights": rights, "all_tenants": is_platform_owner(asked.caller)}
        )

    return {PATH: admin_endpoint(edge, "caller", {"GET": Deed(right="self", perform=show)})}
