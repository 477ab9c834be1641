"""Endpoints off the hot path: they check method and key, compute one document, and answer errors in OpenAI's dialect."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import BinaryIO

import msgspec
import structlog
from anyio.to_thread import run_sync

from gateway.api.asgi import AsgiSend, Receive, Scope, reply
from gateway.api.edge import Edge
from gateway.api.errors import dialect_of, reply_error
from gateway.core.errors import InternalError, MethodNotAllowed, SwitchgearError

log = structlog.get_logger()

CALLER = "switchgear.caller"
"""Where the scope of a plain endpoint that asks for a key holds the Caller."""


PIECE = 256 * 1024


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A response: a body with its status and content type. The body may be an open file instead, which is closed then."""

    body: bytes
    stream: BinaryIO | None = None
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_document(value: object, *, status: int = 200) -> Document:
    """Give `value` as a JSON document."""
    return Document(body=msgspec.json.encode(value), status=status)


Compute = Callable[[Scope, Receive], Awaitable[Document]]


class PlainEndpoint:
    """An ASGI endpoint around one function. `public` ones ask for no key."""

    def __init__(
        self, edge: Edge, compute: Compute, *, methods: tuple[str, ...] = ("GET", "HEAD"), public: bool = False
    ) -> None:
        self._edge = edge
        self._compute = compute
        self.methods = methods
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        dialect = dialect_of(scope)
        try:
            await self._check(scope)
            document = await self._compute(scope, receive)
        except SwitchgearError as error:
            await reply_error(send, dialect, error, [])
            return
        except Exception:
            log.exception("endpoint.crashed", path=scope["path"])
            await reply_error(send, dialect, InternalError(), [])
            return
        # Also for HEAD: its content-length is GET's (RFC 9110, 9.3.2), and the server keeps the body back.
        headers_out = [(b"content-type", document.content_type.encode()), *document.headers]
        if document.stream is None:
            await reply(send, document.status, document.body, headers_out)
            return
        with document.stream as stream:
            await _reply_stream(send, document.status, stream, headers_out)

    async def _check(self, scope: Scope) -> None:
        if scope["method"] not in self.methods:
            msg = f"{scope['path']} takes {' or '.join(self.methods)}, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)
        if not self._public:
            scope[CALLER] = await self._edge.current().identity.identify(scope["headers"], scope.get("client"))


def by_method(edge: Edge, deeds: Mapping[str, Compute]) -> PlainEndpoint:
    """Give an endpoint that does something else for each method; HEAD is answered as GET."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        return await deeds["GET" if scope["method"] == "HEAD" else scope["method"]](scope, receive)

    return PlainEndpoint(edge, compute, methods=(*deeds, *(("HEAD",) if "GET" in deeds else ())))


async def _reply_stream(send: AsgiSend, status: int, stream: BinaryIO, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a file piece by piece, so that a large one does not have to fit into memory."""
    left = os.fstat(stream.fileno()).st_size
    headers.append((b"content-length", b"%d" % left))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while left > 0:
        piece = await run_sync(stream.read, min(PIECE, left))
        if not piece:
            msg = "a file became shorter while it was read"
            raise OSError(msg)
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
