"""/v1/files: uploads, what there is of them, their bytes, and their removal, as OpenAI's API has them.

A file belongs to a tenant: every caller of it sees it, and for all others it is not there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, BinaryIO, Final, Literal
from urllib.parse import quote

from anyio.to_thread import run_sync
from msgspec import Meta

from gateway.api.admin_shapes import Body, Cursor, decode_query
from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.edge import Edge
from gateway.api.noting import note
from gateway.api.plain import CALLER, Document, by_method, json_document
from gateway.api.upload import Form, read_form
from gateway.batches.cabinet import Cabinet
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, NotFound
from gateway.stores.audit_log import AuditLog
from gateway.stores.files import FileQuery, Purpose, StoredFile

LIST_PATH = "/v1/files"
ONE_PATH = "/v1/files/{file}"
CONTENT_PATH = "/v1/files/{file}/content"

SHORTEST: Final = 3600
LONGEST: Final = 2_592_000
"""Seconds until a file may expire, as OpenAI has it."""
_FIELDS: Final = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
MOST: Final = 10_000


class FileListQuery(Body, frozen=True, kw_only=True):
    """Which files to list."""

    purpose: Purpose | None = None
    after: Cursor = ""
    limit: Annotated[int, Meta(ge=1, le=MOST, description="Entries of a page.")] = MOST
    order: Literal["asc", "desc"] = "desc"


def endpoints(edge: Edge, cabinet: Cabinet | None, audit: AuditLog | None = None) -> dict[str, AsgiApp]:
    """Give the endpoints; without a cabinet they say that this server keeps no files."""
    files = _Files(edge, cabinet, audit)
    return {
        LIST_PATH: by_method(edge, {"GET": files.list, "POST": files.upload}),
        ONE_PATH: by_method(edge, {"GET": files.show, "DELETE": files.delete}),
        CONTENT_PATH: by_method(edge, {"GET": files.content}),
    }


class _Files:
    def __init__(self, edge: Edge, cabinet: Cabinet | None, audit: AuditLog | None) -> None:
        self._audit = audit
        self._edge = edge
        self._kept = cabinet

    @property
    def _cabinet(self) -> Cabinet:
        if self._kept is None:
            msg = "This server keeps no files: set `batches` and `database` in its configuration."
            raise NotFound(msg)
        return self._kept

    async def upload(self, scope: Scope, receive: Receive) -> Document:
        cabinet, caller = self._cabinet, _caller(scope)
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type")
        await cabinet.require_room(caller.tenant, int(headers.get(b"content-length", 1)))
        async with cabinet.incoming() as (file, incoming):
            most = cabinet.most_bytes
            form = await read_form(receive, kind, known=_FIELDS, most=most, write=incoming.write)
            seconds = _read_texts(form)
        kept = await cabinet.keep(file, caller, filename=form.filename, size=incoming.size, seconds=seconds)
        return json_document(shown(kept))

    async def list(self, scope: Scope, receive: Receive) -> Document:
        del receive
        query = decode_query(scope.get("query_string", b""), FileListQuery)
        found = await self._cabinet.list(
            FileQuery(
                tenant=_caller(scope).tenant,
                now=self._edge.clock.wall(),
                purpose=query.purpose,
                after=query.after,
                limit=query.limit + 1,
                newest_first=query.order == "desc",
            )
        )
        page = [shown(file) for file in found[: query.limit]]
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
        return json_document(shown(await self._found(scope)))

    async def delete(self, scope: Scope, receive: Receive) -> Document:
        del receive
        file = await self._found(scope)
        if not await self._cabinet.remove(file):
            raise _absent()
        note(self._audit, scope, "file.deleted", ("file", file.id), {"purpose": file.purpose, "bytes": file.bytes})
        return json_document({"id": file.id, "object": "file", "deleted": True})

    async def content(self, scope: Scope, receive: Receive) -> Document:
        del receive
        file = await self._found(scope)
        try:
            stream = await run_sync(_open, self._cabinet, file)
        except FileNotFoundError:  # removed since
            raise _absent() from None
        name = quote(file.filename, safe="")
        return Document(
            body=b"",
            stream=stream,
            content_type="application/octet-stream",
            headers=(
                # Never shown by a browser as if it were a page of ours.
                (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode("ascii")),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ),
        )

    async def _found(self, scope: Scope) -> StoredFile:
        file = await self._cabinet.find(_caller(scope).tenant, scope["path_params"]["file"])
        if file is None:
            raise _absent()
        return file


def shown(file: StoredFile) -> dict[str, Any]:
    """Give a file as OpenAI's API does."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }


def _caller(scope: Scope) -> Caller:
    caller: Caller = scope[CALLER]
    return caller


def _absent() -> NotFound:
    return NotFound("There is no such file here.")


def _open(cabinet: Cabinet, file: StoredFile) -> BinaryIO:
    return cabinet.path(file).open("rb")


def _read_texts(form: Form) -> float | None:
    """Check the texts of an upload, and give after how many seconds it expires. Raises InvalidRequest."""
    purpose = form.texts.get("purpose")
    if purpose != "batch":
        said = "is missing" if purpose is None else f"cannot be {purpose[:100]!r}"
        msg = f"`purpose` {said}: this server keeps files for batches, so it must be `batch`."
        raise InvalidRequest(msg, param="purpose")
    anchor, seconds = form.texts.get("expires_after[anchor]"), form.texts.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        msg = "`expires_after[anchor]` must be `created_at`."
        raise InvalidRequest(msg, param="expires_after[anchor]")
    if seconds is None or not _DIGITS.fullmatch(seconds) or not SHORTEST <= int(seconds) <= LONGEST:
        msg = f"`expires_after[seconds]` must be a whole number from {SHORTEST} to {LONGEST}."
        raise InvalidRequest(msg, param="expires_after[seconds]")
    return float(seconds)
