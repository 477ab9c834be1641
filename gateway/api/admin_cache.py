"""/admin/cache: what the cache keeps, how it does, and taking entries out of it. What may be served from it is not its business.

Lists say what there is, and never what was asked or answered; that is told of one entry at a time, and written into the audit log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Cursor, Id, Limit, Pattern, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.cache.encoding import decode
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.stores.answers import AnswerStore, Entry, Selection
from gateway.stores.answers_selecting import MOST_PREFIX

LIST_PATH: Final = "/admin/cache"
STATS_PATH: Final = "/admin/cache/stats"
ONE_PATH: Final = "/admin/cache/{entry}"
FIRST_IDS: Final = 100
"""Ids that a removal names; it counts all."""

Prefix = Annotated[
    str, Meta(min_length=1, max_length=MOST_PREFIX, description="How the question begins, or the entry's id.")
]


class CacheDesk(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache shows here.

    `calls` gives finished calls by (model, cache status), `semantic` how the semantic layer of each model does, and `switch` switches that
    of one on or off, False where it has none.
    """

    store: AnswerStore
    calls: Callable[[], Mapping[tuple[str, ...], float]] = dict
    semantic: Callable[[], list[dict[str, Any]]] = list
    switch: Callable[[str, bool], bool] = lambda model, on: False


class CacheSelection(Body, frozen=True, kw_only=True):
    """Which entries: those that fit all that is named."""

    tenant: Id | None = None
    model: Annotated[Pattern, Meta(description="The model that was called.")] | None = None
    namespace: Annotated[Text, Meta(description="As the calls gave it; empty: of calls without one.")] | None = None
    tag: Annotated[Text, Meta(description="One that the entry has, as project=apollo.")] | None = None
    prefix: Prefix | None = None
    entry: Id | None = None


class CacheQuery(CacheSelection, frozen=True, kw_only=True):
    """Which entries, and how many."""

    limit: Limit = 100
    after: Cursor = ""


class CacheRemoval(CacheSelection, frozen=True, kw_only=True):
    """Which entries are to go: something must be named, or `all` be true."""

    all: Annotated[
        bool, Meta(description="Whatever there is, of the tenant or tenants that the key may administer.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Only tell which it would be.")] = False


def endpoints(edge: Edge, services: Services, desk: CacheDesk) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    cache = _Cache(services, desk)
    return {
        LIST_PATH: admin_endpoint(
            edge,
            "entry",
            {"GET": Deed(right="read", perform=cache.list), "DELETE": Deed(right="write", perform=cache.remove)},
        ),
        STATS_PATH: admin_endpoint(edge, "entry", {"GET": Deed(right="read", perform=cache.figures)}),
        ONE_PATH: admin_endpoint(edge, "entry", {"GET": Deed(right="write", perform=cache.show)}),
    }


class _Cache:
    def __init__(self, services: Services, desk: CacheDesk) -> None:
        self._services = services
        self._desk = desk

    async def list(self, asked: Asked) -> Document:
        query = asked.query(CacheQuery)
        page = await self._desk.store.select(_selection(asked, query), limit=query.limit, after=query.after)
        now = self._services.clock.wall()
        return listed([_shown(one.entry, one.size, now) for one in page.entries], page.following)

    async def show(self, asked: Asked) -> Document:
        tenant = asked.tenants(None)
        found = [one for one in await self._desk.store.entries([asked.id]) if tenant in (None, one.tenant)]
        if not found:
            raise absent("entry")
        entry = found[0]
        async with self._noted(asked, "cache.entry_read", ("cache_entry", entry.id, entry.tenant), {}):
            size = len(entry.answer) + len(entry.question.encode("utf-8", "replace"))
            shown = _shown(entry, size, self._services.clock.wall())
            return json_document({**shown, "question": entry.question, "answer": _answer(entry)})

    async def figures(self, asked: Asked) -> Document:
        if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
            msg = "These figures are of all tenants: those who administer the default one may see them."
            raise Forbidden(msg)
        calls = [
            {"model": model, "cache": status, "calls": count}
            for (model, status), count in sorted(self._desk.calls().items())
        ]
        held = msgspec.to_builtins(self._desk.store.held())
        return json_document({"object": "cache_stats", "held": held, "calls": calls, "semantic": self._desk.semantic()})

    async def remove(self, asked: Asked) -> Document:
        query = asked.query(CacheRemoval)
        _require_named(query)
        selection = _selection(asked, query)
        if query.dry_run:
            return _removed(await self._desk.store.remove(selection, dry_run=True), dry_run=True)
        about = ("cache", query.entry or "", selection.tenant or "")
        async with self._noted(asked, "cache.removed", about, _details(query)) as found:
            ids = await self._desk.store.remove(selection)
            found["entries"] = len(ids)
        return _removed(ids, dry_run=False)

    @asynccontextmanager
    async def _noted(
        self, asked: Asked, action: str, about: tuple[str, str, str], details: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Surround what is done: where there is an audit log, it is not done without its entry."""
        if self._services.audit is None:
            yield details
            return
        async with self._services.audited(asked, action, about, details) as found:
            yield found


def _selection(asked: Asked, query: CacheSelection) -> Selection:
    return Selection(
        tenant=asked.tenants(query.tenant),
        model=query.model,
        namespace=query.namespace,
        tag=query.tag,
        prefix=query.prefix,
        entry=query.entry,
    )


def _named(query: CacheSelection) -> dict[str, str]:
    fields = {name: getattr(query, name) for name in CacheSelection.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not None}


def _require_named(query: CacheRemoval) -> None:
    named = _named(query)
    if not named and not query.all:
        msg = "Name what is to go (tenant, model, namespace, tag, prefix or entry), or say all=true."
        raise InvalidRequest(msg)
    if query.all and named.keys() - {"tenant"}:
        msg = "`all` is everything, at most of one `tenant`: leave it out where something else is named."
        raise InvalidRequest(msg, param="all")


def _details(query: CacheRemoval) -> dict[str, Any]:
    """Give what the audit log says of it. How a question begins is what somebody wrote: it only says how long that is."""
    named: dict[str, Any] = _named(query)
    if query.prefix is not None:
        named["prefix"] = f"{len(query.prefix)} characters"
    return named | ({"all": True} if query.all else {})


def _removed(ids: tuple[str, ...], *, dry_run: bool) -> Document:
    first = ids[:FIRST_IDS]
    return json_document({"object": "cache_removal", "entries": len(ids), "first": first, "dry_run": dry_run})


def _shown(entry: Entry, size: int, now: float) -> dict[str, Any]:
    usage = entry.usage
    saved = None if usage is None else {"input": usage.input_total, "output": usage.output_total}
    return {
        "object": "cache_entry",
        "id": entry.id,
        "tenant": entry.tenant,
        "model": entry.model,
        "version": entry.version or None,
        "namespace": entry.namespace,
        "tags": entry.tags,
        "dialect": entry.dialect,
        "operation": entry.operation,
        "target": entry.target,
        "semantic": bool(entry.partition),
        "created_at": entry.made,
        "age": round(max(now - entry.made, 0.0), 3),
        "fresh": now < entry.fresh_until,
        "fresh_until": entry.fresh_until,
        "expires_at": entry.kept_until,
        "size": size,
        "tokens": saved,
    }


def _answer(entry: Entry) -> Any:
    """Give an answer as records show it; null for what is none that can be read, as an embedded text."""
    try:
        answer = decode(entry.answer)
    except ValueError:
        return None
    return {
        "id": answer.started.id,
        "items": msgspec.to_builtins(answer.items),
        "finish_reason": answer.finished.reason,
    }
