"""/admin/memories: what agents have written down, where it came from, and how to be rid of it. Nobody writes here."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.stores.memories import MemoryEntry, MemoryInfo

LIST_PATH = "/admin/memories"
ONE_PATH = "/admin/memories/{memory}"
ENTRIES_PATH = "/admin/memories/{memory}/entries"


class MemoryQuery(Body, frozen=True, kw_only=True):
    """Which memories."""

    name: Annotated[str, Meta(max_length=64, description="Of this name alone.")] = ""
    owner: Annotated[str, Meta(max_length=300, description="Of this owner alone: user:ID, key:ID or an agent.")] = ""
    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""


class EntryQuery(Body, frozen=True, kw_only=True):
    """Which entries."""

    limit: Limit = 100
    after: Cursor = ""


class EntryNamed(Body, frozen=True, kw_only=True):
    """Which entry."""

    key: Annotated[str, Meta(min_length=1, max_length=200, description="Its key.")]


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    memories = _Memories(services)
    return {
        LIST_PATH: admin_endpoint(edge, "memory", {"GET": Deed(right="read", perform=memories.show_list)}),
        ONE_PATH: admin_endpoint(
            edge,
            "memory",
            {
                "GET": Deed(right="read", perform=memories.show),
                "DELETE": Deed(right="erase", perform=memories.erase),
            },
        ),
        ENTRIES_PATH: admin_endpoint(
            edge,
            "memory",
            {
                "GET": Deed(right="read", perform=memories.show_entries),
                "DELETE": Deed(right="write", perform=memories.take_out),
            },
        ),
    }


class _Memories:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def found(self, asked: Asked) -> MemoryInfo:
        info = await self._services.the_memories.info(asked.tenants(None), asked.id)
        if info is None:
            raise absent("memory")
        return info

    async def show_list(self, asked: Asked) -> Document:
        query = asked.query(MemoryQuery)
        page = await self._services.the_memories.list(
            asked.tenants(query.tenant), name=query.name, owner=query.owner, after=query.after, limit=query.limit + 1
        )
        shown = page[: query.limit]
        return listed([_shown(info) for info in shown], shown[-1].id if len(page) > query.limit else "")

    async def show(self, asked: Asked) -> Document:
        return json_document(_shown(await self.found(asked)))

    async def show_entries(self, asked: Asked) -> Document:
        info, query, services = await self.found(asked), asked.query(EntryQuery), self._services
        page = await services.the_memories.page(
            info.id, now=services.clock.wall(), after=query.after, limit=query.limit + 1
        )
        shown = page[: query.limit]
        return listed([_entry(one) for one in shown], shown[-1].key if len(page) > query.limit else "")

    async def take_out(self, asked: Asked) -> Document:
        info, named, services = await self.found(asked), asked.query(EntryNamed), self._services
        about = ("memory", info.id, info.place.tenant)
        async with services.audited(asked, "memory.entry_deleted", about, _noted(info) | {"key": named.key}):
            if not await services.the_memories.take_out(info.id, named.key, now=services.clock.wall()):
                raise absent("entry")
        return json_document({"object": "memory.entry", "key": named.key, "deleted": True})

    async def erase(self, asked: Asked) -> Document:
        info, services = await self.found(asked), self._services
        about = ("memory", info.id, info.place.tenant)
        async with services.audited(asked, "memory.erased", about, _noted(info)) as found:
            found["entries"] = await services.the_memories.erase(info.id)
        return json_document({"object": "memory", "id": info.id, "deleted": True, "entries": found["entries"]})


def _noted(info: MemoryInfo) -> dict[str, Any]:
    return {"name": info.place.name, "scope": info.place.scope, "owner": info.place.owner}


def _shown(info: MemoryInfo) -> dict[str, Any]:
    return {
        "object": "memory",
        "id": info.id,
        "tenant": info.place.tenant,
        **_noted(info),
        "entries": info.entries,
        "bytes": info.bytes,
        "updated_at": info.updated_at,
    }


def _entry(entry: MemoryEntry) -> dict[str, Any]:
    return {
        "object": "memory.entry",
        "key": entry.key,
        "text": entry.text,
        "version": entry.version,
        "bytes": entry.size,
        "integrity": entry.integrity,
        "confidentiality": entry.confidentiality,
        "sources": list(entry.sources),
        "run": entry.run,
        "agent": entry.agent or None,
        "author": entry.author,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "expires_at": entry.expires_at,
    }
