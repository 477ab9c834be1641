"""/admin/prompts: the prompt templates that are loaded, with their versions. They are changed in their files, not here."""

from __future__ import annotations

from typing import Final

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden
from gateway.prompts.listing import shown, shown_whole

LIST_PATH: Final = "/admin/prompts"
ONE_PATH: Final = "/admin/prompts/{prompt}"


def endpoints(edge: Edge) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def show_all(asked: Asked) -> Document:
        _require_home(asked)
        prompts = edge.current().prompts.documents.prompts
        return json_document({"object": "list", "data": [shown(prompt) for prompt in prompts.values()]})

    async def show_one(asked: Asked) -> Document:
        _require_home(asked)
        prompt = edge.current().prompts.documents.prompts.get(asked.id)
        if prompt is None:
            raise absent("prompt")
        return json_document(shown_whole(prompt))

    return {
        LIST_PATH: admin_endpoint(edge, "prompt", {"GET": Deed(right="read", perform=show_all)}),
        ONE_PATH: admin_endpoint(edge, "prompt", {"GET": Deed(right="read", perform=show_one)}),
    }


def _require_home(asked: Asked) -> None:
    """Raise Forbidden for who looks after another tenant."""
    if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
        msg = "Prompts are of all tenants: an owner, admin or auditor of the default one may read them."
        raise Forbidden(msg)
