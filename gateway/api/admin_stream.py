"""An endpoint whose answer is long, and is sent as it is read: nothing of it is kept. What goes out is its source's business."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from gateway.api.asgi import AsgiSend, Headers, Receive, Scope
from gateway.api.errors import dialect_of, reply_error
from gateway.core.errors import InternalError, MethodNotAllowed, SwitchgearError

log = structlog.get_logger()

Open = Callable[[Scope, Receive], Awaitable[AsyncIterator[bytes]]]
"""Checks a request and gives the pieces of its answer; what it raises is the answer."""


class StreamedEndpoint:
    """Answers GET. A fault after the first piece cuts the answer off, so that nobody takes it for the whole."""

    def __init__(self, open_pieces: Open, *, content_type: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._open = open_pieces
        self._headers = ((b"content-type", content_type.encode()), *headers)

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        if scope["method"] != "GET":
            msg = f"{scope['path']} takes GET, not {scope['method']}."
            await reply_error(send, dialect_of(scope), MethodNotAllowed(msg, allowed=("GET",)), [])
            return
        try:
            pieces = await self._open(scope, receive)
            first = await anext(pieces, b"")
        except SwitchgearError as error:
            await reply_error(send, dialect_of(scope), error, [])
            return
        except Exception:
            log.exception("endpoint.crashed", path=scope["path"])
            await reply_error(send, dialect_of(scope), InternalError(), [])
            return
        headers: Headers = list(self._headers)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
