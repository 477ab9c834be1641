"""The ASGI types that the edge uses, as the specification names them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from gateway.core.responder import NOTHING

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
AsgiSend = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, AsgiSend], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Direct(Protocol):
    """The server's short way to the client, beside `send`: what is written so has nothing to wait for."""

    @property
    def pieces(self) -> int:
        """How many pieces have gone this way."""
        ...

    def write(self, body: bytes) -> bool:
        """Write a piece of a body at once. False when it was not written."""
        ...

    def whole(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole response at once. False when it was not written."""
        ...


def direct_of(scope: Scope) -> Direct | None:
    """Give the server's short way for this request, where it has one."""
    direct: Direct | None = scope.get("extensions", {}).get("switchgear.answer")
    return direct


def reply(send: AsgiSend, status: int, body: bytes, headers: Headers, direct: Direct | None = None) -> Awaitable[None]:
    """Send a whole response; content-length is added. Through `direct` it is sent when this returns."""
    headers.append((b"content-length", b"%d" % len(body)))
    if direct is not None and direct.whole(status, headers, body):
        return NOTHING
    return _send(send, status, body, headers)


async def _send(send: AsgiSend, status: int, body: bytes, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
