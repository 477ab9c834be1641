"""What a server says by itself in the answer to a request (2025-11-25): requests to the client, on the stream of events that the answer is.

The official library, without sessions, has no way for them, for nobody would know whom an answer is for. Here it names the question that it answers
(see `replying`), so any replica takes it. Each piece that the library sends is whole events: what is said goes between two of them.
"""

from __future__ import annotations

from typing import Final

import anyio
import msgspec

from gateway.api.asgi import AsgiSend, Message
from gateway.core.items import Json

SPEAKING: Final = "switchgear.mcp_speaking"
"""Where, in the scope of a request, its Speaking stands."""
_EVENTS: Final = b"text/event-stream"


class Speaking:
    """The answer to one request, on its way."""

    def __init__(self, send: AsgiSend) -> None:
        self._send = send
        self._begun = anyio.Event()
        self._is_stream = False
        self._over = False

    async def pass_on(self, message: Message) -> None:
        """Send a message of the library's."""
        if message["type"] == "http.response.start":
            kind = dict(message.get("headers") or ()).get(b"content-type", b"")
            self._is_stream = kind.startswith(_EVENTS)
        elif not message.get("more_body"):
            self._over = True
        await self._send(message)
        if message["type"] == "http.response.start":
            self._begun.set()

    async def say(self, message: dict[str, Json]) -> bool:
        """Say something to the client; False where the answer is no stream, or has ended."""
        await self._begun.wait()
        if not self._is_stream or self._over:
            return False
        await self._send({"type": "http.response.body", "body": event(message), "more_body": True})
        return True


def event(message: dict[str, Json]) -> bytes:
    """Give a message as an event of a stream."""
    return b"event: message\r\ndata: " + msgspec.json.encode(message) + b"\r\n\r\n"
