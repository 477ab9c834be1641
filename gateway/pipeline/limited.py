"""A stage: no call goes further than its limits allow. How much that is, and what has been used, the limiter knows.

The reservation is settled with the call's record, not here: whatever becomes of the call, its record is made once.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import msgspec

from gateway.core.call import Call
from gateway.core.events import Event, Started
from gateway.core.responder import Lane, Responder, Send, lane_of

Headers = tuple[tuple[bytes, bytes], ...]
_PREFIX = b"x-ratelimit-"


class Limits(Protocol):
    """What the stage asks of the limiter."""

    def reserve(self, call: Call) -> Awaitable[object | None]:
        """Take from the call's limits; None when it has none. Raises LimitExceeded."""
        ...

    def headers(self, call: str) -> Headers:
        """Give the headers that tell the caller what is left."""
        ...


class Limited:
    """A Stage: reserves, then lets the call through; the answer's head says what is left."""

    def __init__(self, inner: Responder, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder. Raises LimitExceeded before anything is asked of an upstream."""
        if await self._limits.reserve(call) is not None:
            headers = self._limits.headers(call.id)
            if headers:
                send = _Headed(send, headers)
        await self._inner(call, send)


class _Headed:
    """A Send that adds headers to the start of the answer, in place of an upstream's own, and then stays out of the way."""

    __slots__ = ("_headers", "_send")

    def __init__(self, send: Send, headers: Headers) -> None:
        self._send = send
        self._headers = headers

    def __call__(self, event: Event) -> Awaitable[None]:
        if type(event) is Started:
            others = tuple(header for header in event.headers if not header[0].startswith(_PREFIX))
            event = msgspec.structs.replace(event, headers=(*others, *self._headers))
        return self._send(event)

    def lane(self) -> Lane | None:
        """Nothing is to be done after the start."""
        return lane_of(self._send)
