"""The part of /openapi.json that is about memories."""

from __future__ import annotations

from typing import Any

from gateway.api import admin_memories
from gateway.api.openapi_admin import AdminOperation
from gateway.api.openapi_schemas import open_object

_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_TIME = {"type": "number"}

_MEMORY = open_object(
    {
        "object": {"const": "memory"},
        "id": _TEXT,
        "tenant": _TEXT,
        "name": _TEXT,
        "scope": {"enum": ["user", "agent", "tenant"]},
        "owner": _TEXT,
        "entries": _COUNT,
        "bytes": _COUNT,
        "updated_at": _TIME,
    }
)
_ENTRY = open_object(
    {
        "object": {"const": "memory.entry"},
        "key": _TEXT,
        "text": _TEXT,
        "version": _COUNT,
        "bytes": _COUNT,
        "integrity": {"enum": ["trusted", "untrusted"]},
        "confidentiality": {"enum": ["public", "internal", "sensitive"]},
        "sources": {"type": "array", "items": _TEXT},
        "run": _TEXT,
        "agent": {"type": ["string", "null"]},
        "author": _TEXT,
        "created_at": _TIME,
        "updated_at": _TIME,
        "expires_at": {"type": ["number", "null"]},
    }
)


def _list_of(what: dict[str, Any]) -> dict[str, Any]:
    return open_object({"object": {"const": "list"}, "data": {"type": "array", "items": what}})


OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=admin_memories.LIST_PATH,
        method="get",
        summary="What agents remember, and whose it is",
        query=admin_memories.MemoryQuery,
        answer=_list_of(_MEMORY),
    ),
    AdminOperation(path=admin_memories.ONE_PATH, method="get", summary="One memory", answer=_MEMORY),
    AdminOperation(
        path=admin_memories.ONE_PATH,
        method="delete",
        summary="Erase a memory with all its entries",
        answer=open_object({"object": {"const": "memory"}, "id": _TEXT, "deleted": {"const": True}, "entries": _COUNT}),
    ),
    AdminOperation(
        path=admin_memories.ENTRIES_PATH,
        method="get",
        summary="The entries of a memory, with where they came from",
        query=admin_memories.EntryQuery,
        answer=_list_of(_ENTRY),
    ),
    AdminOperation(
        path=admin_memories.ENTRIES_PATH,
        method="delete",
        summary="Delete one entry",
        query=admin_memories.EntryNamed,
        answer=open_object({"object": {"const": "memory.entry"}, "key": _TEXT, "deleted": {"const": True}}),
    ),
)
