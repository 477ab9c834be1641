"""The ASGI types that the edge uses, as the specification names them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
AsgiSend = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, AsgiSend], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


async def reply(send: AsgiSend, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole response; content-length is added."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
