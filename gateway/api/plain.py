"""Endpoints off the hot path: they check method and key, compute one document, and answer errors in OpenAI's dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from gateway.api.asgi import AsgiSend, Receive, Scope, reply
from gateway.api.edge import Edge
from gateway.api.errors import dialect_of, reply_error
from gateway.core.errors import InternalError, MethodNotAllowed, SwitchgearError

log = structlog.get_logger()

CALLER = "switchgear.caller"
"""Where the scope of a plain endpoint that asks for a key holds the Caller."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A response: a body with its status and content type."""

    body: bytes
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
        await reply(send, document.status, document.body, headers_out)

    async def _check(self, scope: Scope) -> None:
        if scope["method"] not in self.methods:
            msg = f"{scope['path']} takes {' or '.join(self.methods)}, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)
        if not self._public:
            scope[CALLER] = await self._edge.current().identity.identify(scope["headers"], scope.get("client"))
