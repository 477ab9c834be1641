"""The part of /openapi.json that is about knowledge bases."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_knowledge
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_COUNT = {"type": "integer"}
_BASE: dict[str, Any] = {
    "object": {"const": "knowledge_base"},
    "id": _TEXT,
    "description": _TEXT,
    "folder": _TEXT,
    "documents": _COUNT,
    "passages": _COUNT,
    "bytes": _COUNT,
    "digest": _TEXT,
    "loaded_at": {"type": "number"},
    "gives": open_object(
        {
            "integrity": {"enum": ["trusted", "untrusted"]},
            "confidentiality": {"enum": ["public", "internal", "sensitive"]},
        }
    ),
    "readers": open_object({"tenants": _TEXTS, "teams": _TEXTS, "groups": _TEXTS, "roles": _TEXTS}),
}

OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=admin_knowledge.LIST_PATH,
        method="get",
        summary="The knowledge bases that are loaded",
        answer=open_object({"object": {"const": "list"}, "data": {"type": "array", "items": open_object(_BASE)}}),
    ),
    AdminOperation(
        path=admin_knowledge.ONE_PATH,
        method="get",
        summary="A knowledge base, with the names of its files",
        answer=open_object({**_BASE, "files": _TEXTS}),
    ),
)
