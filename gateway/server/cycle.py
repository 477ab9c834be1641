"""One request and its answer, as uvicorn keeps them; and how one is made whose head came before on the same connection.

Clients that keep a connection send the same head again and again. When it comes byte for byte, with all of its body in one read, then it is
what the parser and the checks said that it was, and need not be read again. It is remembered with its connection and nowhere else: keys
are in it.
"""

import asyncio
import functools
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.server.answer import Answer
from gateway.server.departure import ANSWER, DEPARTURE, NOTES, SERVER, WHOLE_BODY, Departure
from gateway.server.state import EdgeState

LARGEST: Final = 8192
"""Bytes of a head."""
_END: Final = b"\r\n\r\n"
_OWN: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
"""Headers with which every request is a matter for the parser."""


class Head:
    """A head that was read and found good. `scope` is ASGI's, less what is of one request; `size` that of the whole request."""

    __slots__ = ("_notes", "_raw", "_scope", "_size", "headers", "url")

    def __init__(
        self, raw: bytes, size: int, url: bytes, headers: list[tuple[bytes, bytes]], scope: dict[str, Any]
    ) -> None:
        self._raw = raw
        self._size = size
        self._scope = scope
        self._notes: dict[str, object] = {}
        self.url = url
        self.headers = headers

    def body(self, data: bytes) -> bytes | None:
        """Give the body of a read that is such a request, whole and alone."""
        return data[len(self._raw) :] if len(data) == self._size and data.startswith(self._raw) else None

    def cycle(self, connection: HttpToolsProtocol, edge: EdgeState, body: bytes) -> RequestResponseCycle:
        """Give the request with this body, as if it had been read."""
        scope = self._scope.copy()
        scope["state"] = connection.app_state.copy()
        scope["extensions"] = {SERVER: edge, DEPARTURE: Departure(), WHOLE_BODY: body, NOTES: self._notes}
        return _Arrived(connection, scope, body)


class _Arrived(RequestResponseCycle):
    """A request that is all there. Made of what uvicorn's methods and ours read of one, and of nothing else."""

    more_body = False
    disconnected = False
    waiting_for_100_continue = False
    response_started = False
    response_complete = False
    chunked_encoding = None

    def __init__(self, connection: HttpToolsProtocol, scope: dict[str, Any], body: bytes) -> None:
        self.scope = scope  # type: ignore[assignment] # a dict
        self.body = body  # type: ignore[assignment] # bytes, of which a copy costs nothing
        self.transport = connection.transport
        self.flow = connection.flow
        self.keep_alive = True
        self.on_response = connection.on_response_complete

    @functools.cached_property
    def message_event(self) -> asyncio.Event:  # type: ignore[override] # most are never waited for
        arrived = asyncio.Event()
        arrived.set()
        return arrived


def head_of(
    data: bytes, body_size: int, url: bytes, headers: list[tuple[bytes, bytes]], scope: dict[str, Any]
) -> Head | None:
    """Give the head of a read that was one whole request with so long a body; None where the next one may mean something else."""
    end = data.find(_END, 0, LARGEST) + len(_END)
    if end + body_size != len(data) or not _OWN.isdisjoint([name for name, _ in headers]):
        return None
    template = {name: value for name, value in scope.items() if name not in ("extensions", "state")}
    return Head(data[:end], len(data), url, headers, template)


def answer_to(cycle: RequestResponseCycle) -> Answer:
    """Give what writes the answer; the application finds it in the scope, too."""
    answer = Answer(cycle)
    scope: dict[str, Any] = cycle.scope  # type: ignore[assignment] # a dict
    scope["extensions"][ANSWER] = answer
    return answer


def close(cycle: RequestResponseCycle) -> None:
    """The request is over: break the circles between it and its connection, and between its scope and its answer."""
    cycle.on_response = _nothing
    scope: dict[str, Any] = cycle.scope  # type: ignore[assignment] # a dict
    del scope["extensions"][ANSWER]


def _nothing() -> None:
    """What a finished request calls when it is over."""


async def raised(error: Exception) -> None:
    """What is waited for where an application raised before there was anything to wait for."""
    raise error


def disconnect(cycle: RequestResponseCycle) -> None:
    """Tell a request, in ASGI's way and through its Departure, that nobody waits for its response any more."""
    cycle.disconnected = True
    cycle.message_event.set()
    cast("dict[str, Any]", cycle.scope)["extensions"][DEPARTURE].leave()
