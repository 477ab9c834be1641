"""/admin/knowledge: the knowledge bases that are loaded, and how much each holds. They are changed in their folders, not here."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden
from gateway.core.items import Json
from gateway.retrieval.library import Library

LIST_PATH: Final = "/admin/knowledge"
ONE_PATH: Final = "/admin/knowledge/{base}"


def endpoints(edge: Edge) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def show_all(asked: Asked) -> Document:
        _require_home(asked)
        library = edge.current().knowledge
        return json_document({"object": "list", "data": [_shown(library, name) for name in sorted(library.bases)]})

    async def show_one(asked: Asked) -> Document:
        _require_home(asked)
        library = edge.current().knowledge
        if asked.id not in library.bases:
            raise absent("knowledge base")
        return json_document({**_shown(library, asked.id), "files": list(library.bases[asked.id].files)})

    return {
        LIST_PATH: admin_endpoint(edge, "knowledge", {"GET": Deed(right="read", perform=show_all)}),
        ONE_PATH: admin_endpoint(edge, "knowledge", {"GET": Deed(right="read", perform=show_one)}),
    }


def _shown(library: Library, name: str) -> dict[str, Json]:
    settings, held = library.settings[name], library.bases[name].held
    return {
        "object": "knowledge_base",
        "id": name,
        "description": settings.description,
        "folder": settings.folder,
        "documents": held.documents,
        "passages": held.passages,
        "bytes": held.size,
        "digest": held.digest,
        "loaded_at": held.loaded_at,
        "gives": msgspec.to_builtins(settings.gives),
        "readers": msgspec.to_builtins(settings.readers),
    }


def _require_home(asked: Asked) -> None:
    """Raise Forbidden for who looks after another tenant."""
    if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
        msg = "Knowledge bases are the installation's: an owner, admin or auditor of the default tenant may see them."
        raise Forbidden(msg)
