"""What a provider sees of the upstream HTTP client: a request, its time limits, a response to be pulled, and the client.

Two implementations keep this contract (`native`, `httpx2_client`), and one contract suite runs both. Nothing here does I/O.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request below the client's base URL.

    `path` is path and query in their encoded form, and is appended to the path of the base URL. `headers` are without
    host, connection, content-length and transfer-encoding, which are the client's own; it also adds
    `accept-encoding: identity` where no other is asked for, because a response's body is handed on as it came.
    """

    method: bytes = b"POST"
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


class HttpTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long, in seconds, each part of an exchange may take.

    `connect` bounds waiting for a free connection, and opening one, TLS included. `first_byte` runs from the request's
    last byte to the response's complete head. `idle` runs between two pieces of body while somebody waits for one. `total`
    runs from the call of `request` to the last byte of the body.
    """

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class HttpResponse(Protocol):
    """A response whose head has come, and whose body is pulled. It must be closed, read to its end or not."""

    @property
    def status(self) -> int:
        """The final status code, never a 1xx."""
        ...

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Names (lower case) and values, in the order in which they came."""
        ...

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header `name` (lower case), or None."""
        ...

    async def read(self) -> bytes:
        """Return what has come of the body since the last call, at least one byte, or b"" at its end.

        One reader at a time. A read that is cancelled closes the connection: the response cannot be read further.
        Raises UpstreamBroken (connection lost, truncated, malformed) or UpstreamTimeout (idle or total).
        """
        ...

    async def divert(self, sink: Callable[[bytes], bool]) -> None:
        """Hand every piece of body to `sink` as it comes, with nobody woken, until it gives False or the body ends or fails.

        `sink` takes each piece and must not raise. `read` then goes on, and tells the end or the failure. A client that has
        no such way returns at once. One reader at a time; cancelled, it closes the connection as `read` does.
        """
        ...

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body; raise UpstreamBroken, and close, when it is larger than `limit` bytes."""
        ...

    async def aclose(self) -> None:
        """Give the connection back when the body was complete, else close it at once. May be called twice."""
        ...


class Upstream(Protocol):
    """A client for one base URL, with a bounded number of connections."""

    async def request(self, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        """Send the request and return when the response's head has come. HTTP error statuses are answers, not errors.

        Raises UpstreamUnreachable (nothing was sent), UpstreamTimeout, UpstreamBroken, or InvalidRequest for a path or
        header that cannot be sent safely.
        """
        ...

    async def aclose(self) -> None:
        """Refuse new requests and close what is idle. Responses in flight run to their end, then their connections close."""
        ...
