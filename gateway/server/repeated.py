"""What a connection remembers of its last request's head, so that the same one need not be read again.

Clients that keep a connection send the same head again and again, most of them by itself, and the body right after it. When it comes byte for byte,
then it is what the parser and the checks said that it was. It is held until its body is there, but not for long: then all of it is one
request. It is remembered with its connection and nowhere else: keys are in it.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.server.cycle import Arrived
from gateway.server.departure import DEPARTURE, NOTES, SERVER, WHOLE_BODY, Departure
from gateway.server.state import EdgeState

LARGEST: Final = 8192
"""Bytes of a head."""
HOLD_SECONDS: Final = 0.05
"""How long a head waits for its body before the request begins without it."""
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

    def begins(self, data: bytes) -> bool:
        """Whether a read is this head alone, of a request that has a body."""
        return data == self._raw and self._size > len(data)

    def cycle(self, connection: HttpToolsProtocol, edge: EdgeState, body: bytes) -> RequestResponseCycle:
        """Give the request with this body, as if it had been read."""
        scope = self._scope.copy()
        scope["state"] = connection.app_state.copy()
        scope["extensions"] = {SERVER: edge, DEPARTURE: Departure(), WHOLE_BODY: body, NOTES: self._notes}
        return Arrived(connection, scope, body)


class Memory:
    """The head that is remembered, and what has come of a request: `held` is the same head again, whose body is still to come.

    `apart` is a head that was read and whose body had not begun.
    """

    __slots__ = ("apart", "head", "held")

    def __init__(self) -> None:
        self.head: Head | None = None
        self.held = b""
        self.apart = b""

    def joined(self, data: bytes) -> bytes:
        """Give a read with the head before it that waited for it."""
        held, self.held = self.held, b""
        return held + data

    def hold(self, data: bytes) -> bool:
        """Hold a read that is the remembered head and nothing else; False where it is anything else."""
        if self.head is None or not self.head.begins(data):
            return False
        self.held = data
        return True

    def forget(self) -> bytes:
        """Know nothing of a head any more; give what there is of one whose body had not begun."""
        apart, self.apart, self.head = self.apart, b"", None
        return apart


def head_of(
    data: bytes, body_size: int, url: bytes, headers: list[tuple[bytes, bytes]], scope: dict[str, Any]
) -> Head | None:
    """Give the head of a read that was one whole request with so long a body; None where the next one may mean something else."""
    end = data.find(_END, 0, LARGEST) + len(_END)
    if end + body_size != len(data) or not _OWN.isdisjoint([name for name, _ in headers]):
        return None
    template = {name: value for name, value in scope.items() if name not in ("extensions", "state")}
    return Head(data[:end], len(data), url, headers, template)
