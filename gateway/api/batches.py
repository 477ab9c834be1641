"""/v1/batches: making, showing, listing and cancelling batches, as OpenAI's API has them. What then happens is elsewhere.

A batch belongs to a tenant: every caller of it sees it, and for all others it is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.api.admin_shapes import MAX_BODY, Body, Cursor, Id, decode_body, decode_query
from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge
from gateway.api.noting import note
from gateway.api.plain import CALLER, Document, by_method, json_document
from gateway.batches.desk import Desk, Wish
from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.stores.audit_log import AuditLog
from gateway.stores.batches import UNFINISHED, Batch, BatchUsage

LIST_PATH = "/v1/batches"
ONE_PATH = "/v1/batches/{batch}"
CANCEL_PATH = "/v1/batches/{batch}/cancel"

_MOMENTS = (
    "created_at", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at", "expired_at",
    "cancelling_at", "cancelled_at",
)  # fmt: skip


class OutputExpiresAfter(Body, frozen=True, kw_only=True):
    """When the files that a batch makes expire."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000, description="Seconds after the file was made.")]


class NewBatch(Body, frozen=True, kw_only=True):
    """A batch to make."""

    input_file_id: Annotated[Id, Meta(description="A file with the purpose batch.")]
    endpoint: Annotated[
        Literal["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"],
        Meta(description="Where its lines go; each line names it as its `url`."),
    ]
    completion_window: Annotated[Literal["24h"], Meta(description="How long it may take.")]
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=16, description="Names and values, for people and programs."),
        ]
        | None
    ) = None
    output_expires_after: OutputExpiresAfter | None = None


class BatchListQuery(Body, frozen=True, kw_only=True):
    """Which batches to list."""

    after: Cursor = ""
    limit: Annotated[int, Meta(ge=1, le=100, description="Entries of a page.")] = 20


def endpoints(edge: Edge, desk: Desk | None, audit: AuditLog | None = None) -> dict[str, AsgiApp]:
    """Give the endpoints; without a desk they say that this server runs no batches."""
    batches = _Batches(edge, desk, audit)
    return {
        LIST_PATH: by_method(edge, {"GET": batches.list, "POST": batches.create}),
        ONE_PATH: by_method(edge, {"GET": batches.show}),
        CANCEL_PATH: by_method(edge, {"POST": batches.cancel}),
    }


class _Batches:
    def __init__(self, edge: Edge, desk: Desk | None, audit: AuditLog | None) -> None:
        self._audit = audit
        self._edge = edge
        self._there = desk

    @property
    def _desk(self) -> Desk:
        if self._there is None:
            msg = "This server runs no batches: set `batches` and `database` in its configuration."
            raise NotFound(msg)
        return self._there

    async def create(self, scope: Scope, receive: Receive) -> Document:
        desk = self._desk
        headers = dict(scope["headers"])
        check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
        body = await read_body(receive, min(MAX_BODY, self._edge.body_bytes))
        asked = decode_body(body, NewBatch, depth=min(10, self._edge.json_depth))
        kept = asked.output_expires_after
        wish = Wish(
            input_file=asked.input_file_id,
            endpoint=asked.endpoint,
            window=asked.completion_window,
            metadata=asked.metadata or {},
            keep_seconds=None if kept is None else float(kept.seconds),
        )
        batch = await desk.create(_caller(scope), wish)
        note(
            self._audit,
            scope,
            "batch.created",
            ("batch", batch.id),
            {"endpoint": wish.endpoint, "file": wish.input_file},
        )
        return json_document(shown(batch))

    async def list(self, scope: Scope, receive: Receive) -> Document:
        del receive
        query = decode_query(scope.get("query_string", b""), BatchListQuery)
        found = await self._desk.list(_caller(scope).tenant, after=query.after, limit=query.limit + 1)
        page = [shown(batch) for batch in found[: query.limit]]
        return json_document(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(found) > query.limit,
            }
        )

    async def show(self, scope: Scope, receive: Receive) -> Document:
        del receive
        return json_document(shown(await self._desk.find(_caller(scope).tenant, scope["path_params"]["batch"])))

    async def cancel(self, scope: Scope, receive: Receive) -> Document:
        del receive
        batch = await self._desk.cancel(_caller(scope).tenant, scope["path_params"]["batch"])
        note(self._audit, scope, "batch.cancelled", ("batch", batch.id))
        return json_document(shown(batch))


def shown(batch: Batch) -> dict[str, Any]:
    """Give a batch as OpenAI's API does. Its files are named when they are there: once it has ended."""
    ended = batch.status not in UNFINISHED
    faults = [{"code": f.code, "message": f.message, "param": f.param, "line": f.line} for f in batch.faults]
    moments = {name: getattr(batch, name) for name in _MOMENTS}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": faults} if faults else None,
        "input_file_id": batch.input_file,
        "completion_window": batch.window,
        "status": batch.status,
        "output_file_id": (batch.output_file or None) if ended else None,
        "error_file_id": (batch.error_file or None) if ended else None,
        **{name: None if at is None else int(at) for name, at in moments.items()},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "metadata": batch.metadata or None,
        "model": batch.model or None,
        "usage": None if batch.usage is None else _usage(batch.usage),
    }


def _usage(usage: BatchUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _caller(scope: Scope) -> Caller:
    caller: Caller = scope[CALLER]
    return caller
