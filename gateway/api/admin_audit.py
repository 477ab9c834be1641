"""/admin/audit: what was administered, by whom, when; the log as a file that anybody can check; and whether it is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.api.admin_door import PRIVATE, Asked, Deed, admin_endpoint, read_asked
from gateway.api.admin_figures import read_time
from gateway.api.admin_records import listed
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Id
from gateway.api.admin_stream import StreamedEndpoint
from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.stores.audit import MOST_FOUND, AuditEntry, AuditQuery
from gateway.stores.ledger_periods import find_zone

LIST_PATH = "/admin/audit"
EXPORT_PATH = "/admin/audit/export"
VERIFY_PATH = "/admin/audit/verify"
JSON_LINES = "application/jsonl"

When = Annotated[str, Meta(max_length=40, description="2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970 (UTC).")]
Word = Annotated[str, Meta(min_length=1, max_length=128)]


class AuditParameters(Body, frozen=True, kw_only=True):
    """Which entries to list, newest first. An `action` that ends in a dot stands for all that begin so."""

    tenant: Id | None = None
    action: Word | None = None
    actor: Word | None = None
    kind: Word | None = None
    object: Word | None = None
    since: When | None = None
    until: When | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND - 1)] = 100
    after: Annotated[int, Meta(ge=1, description="`next` of the page before.")] | None = None


class ExportParameters(Body, frozen=True, kw_only=True):
    """Whose entries to show; the others are there by their hashes."""

    tenant: Id | None = None


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def find(asked: Asked) -> Document:
        query = asked.query(AuditParameters)
        found = await services.the_audit.store.find(
            AuditQuery(
                tenant=asked.tenants(query.tenant),
                action=query.action,
                actor=query.actor,
                kind=query.kind,
                object=query.object,
                since=_milliseconds(query.since, "since"),
                until=_milliseconds(query.until, "until"),
                before=query.after,
                limit=query.limit + 1,
            )
        )
        page = found[: query.limit]
        return listed([shown(entry) for entry in page], str(page[-1].seq) if len(found) > query.limit else "")

    async def verify(asked: Asked) -> Document:
        tenant = asked.tenants(None)
        anchors = () if services.anchors is None else await services.anchors()
        async with services.audited(asked, "audit.verified", ("audit", "", tenant or "")) as found:
            verdict = await services.the_audit.store.verify(anchors=anchors)
            found["sound"] = verdict.sound
        return json_document({"object": "verdict", **msgspec.to_builtins(verdict)})

    async def export(scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        asked = await read_asked(edge, scope, receive, what="audit", right="audit")
        tenant = asked.tenants(asked.query(ExportParameters).tenant)
        async with services.audited(asked, "audit.exported", ("audit", "", tenant or "")):
            return services.the_audit.store.export(tenant=tenant)

    attachment = (b"content-disposition", b'attachment; filename="audit.jsonl"')
    return {
        LIST_PATH: admin_endpoint(edge, "audit", {"GET": Deed(right="audit", perform=find)}),
        EXPORT_PATH: StreamedEndpoint(export, content_type=JSON_LINES, headers=(*PRIVATE, attachment)),
        VERIFY_PATH: admin_endpoint(edge, "audit", {"POST": Deed(right="audit", perform=verify)}),
    }


def shown(entry: AuditEntry) -> dict[str, Any]:
    """Give an entry; `at` is in seconds since 1970."""
    event = entry.event
    return {
        "object": "audit_entry",
        "seq": entry.seq,
        "id": event.id,
        "at": event.at / 1000,
        "action": event.action,
        "actor": msgspec.structs.asdict(event.actor),
        "about": msgspec.structs.asdict(event.object),
        "details": event.details,
        "hash": entry.hash,
    }


def _milliseconds(text: str | None, param: str) -> int | None:
    return None if text is None else round(read_time(text, find_zone("UTC"), param) * 1000)
