"""The hot path's HTTP/1.1 client: own keep-alive pool, httptools, one future a wait and no task, timer or scope a request.

HTTP/2, proxies and odd servers are the other implementation's (`httpx2_client`).
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

import anyio

from gateway.core.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.providers.http.connection import Connection, Owner, StaleConnection
from gateway.providers.http.head import Origin, encode_head, parse_base_url
from gateway.providers.http.pool import Pool
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts

Locate = Callable[[str, int], Awaitable[str]]


class NativeUpstream:
    """An `Upstream` on asyncio transports.

    `connections` is the most that are open at once; more requests wait in order, for at most the connect timeout. Without
    `ssl_context` the system's certificate authorities are trusted. `locate` gives the address to connect to in the place of a
    host and port, and raises OSError where there is none; the host stays the one that is asked for, and that TLS is about.
    Raises ValueError for a base URL that it cannot use.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int,
        ssl_context: ssl.SSLContext | None = None,
        locate: Locate | None = None,
    ) -> None:
        self._origin = parse_base_url(base_url)
        self._tls = _tls_context(self._origin, ssl_context)
        self._name = self._origin.authority.decode("ascii")
        self._locate = locate
        self._pool = Pool(self._open, limit=connections, name=self._name)

    @property
    def free_slots(self) -> int:
        """How many more connections may be opened."""
        return self._pool.free_slots

    @property
    def idle_connections(self) -> int:
        """How many connections are open and unused."""
        return self._pool.idle_connections

    async def request(self, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        """Send the request and return when the response's head has come."""
        head = encode_head(self._origin, request)
        pool = self._pool
        if pool.closing:
            raise UpstreamUnreachable(f"the client for {self._name} is closed")
        now = asyncio.get_running_loop().time()
        total_at = now + timeouts.total
        connection = pool.take()
        if connection is None:
            connection = await pool.acquire(min(now + timeouts.connect, total_at))
        try:
            return await connection.exchange(head, request, timeouts, total_at)
        except StaleConnection:
            now = asyncio.get_running_loop().time()
            connection = await pool.acquire_new(min(now + timeouts.connect, total_at))
        return await connection.exchange(head, request, timeouts, total_at)

    async def aclose(self) -> None:
        """Refuse new requests and close what is idle; responses in flight run to their end."""
        self._pool.close()

    async def _open(self, owner: Owner, deadline: float) -> Connection:
        """Connect, with TLS where the URL says so. Cancelled or late, nothing stays open."""
        loop = asyncio.get_running_loop()
        origin = self._origin
        connection = Connection(loop, owner, self._name)
        try:
            with anyio.fail_after(max(0.0, deadline - loop.time())):
                host = origin.host if self._locate is None else await self._locate(origin.host, origin.port)
                await loop.create_connection(
                    lambda: connection,
                    host,
                    origin.port,
                    ssl=self._tls,
                    server_hostname=origin.host if origin.tls else None,
                )
        except BaseException as exc:
            connection.discard()
            if isinstance(exc, TimeoutError):
                raise UpstreamTimeout(f"could not connect to {self._name} in time (connect timeout)") from exc
            if isinstance(exc, OSError | ssl.CertificateError | UnicodeError):
                raise UpstreamUnreachable(f"could not connect to {self._name}: {_reason(exc)}") from exc
            raise
        return connection


def _tls_context(origin: Origin, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
    """One context for all connections of an upstream: making one reads every certificate authority."""
    if not origin.tls:
        return None
    if given is not None:
        return given
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(exc: BaseException) -> str:
    if isinstance(exc, socket.gaierror):
        return f"its name is not known ({exc.strerror})"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({exc.verify_message})"
    return str(exc) or type(exc).__name__
