"""The second HTTP client, for what the native one leaves out: HTTP/2, proxies, servers that only a full client gets on with.

It costs some thirty times more CPU a request, and takes bytes after the end of a response for the next answer, where the
native client closes the connection: trust it with servers that frame well. Importing httpx2 takes a while, so it is
imported when a client is made.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

from gateway.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.providers.http.head import checked_headers, parse_base_url
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts

if TYPE_CHECKING:
    import httpx2

_T = TypeVar("_T")
_KEEP_ALIVE_SECONDS = 60.0
_CLOSE_SECONDS = 1.0


class Httpx2Upstream:
    """An `Upstream` on `httpx2.AsyncClient`. `proxy` is an http, https or socks5 URL; the environment's is not used."""

    def __init__(
        self,
        base_url: str,
        *,
        connections: int,
        proxy: str | None,
        http2: bool,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        import httpx2  # noqa: PLC0415 - heavy, and most configurations never need it

        self._httpx2 = httpx2
        self._origin = parse_base_url(base_url)
        self._name = self._origin.authority.decode("ascii")
        self._url = httpx2.URL(f"{self._origin.scheme}://{self._name}/")
        self._client = httpx2.AsyncClient(
            verify=ssl_context or True,
            http2=http2,
            proxy=proxy,
            limits=httpx2.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=_KEEP_ALIVE_SECONDS,
            ),
            trust_env=False,
        )
        self._in_flight = 0
        self._closing = False

    async def request(self, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        """Send the request and return when the response's head has come."""
        headers = checked_headers(request)
        if self._closing:
            raise UpstreamUnreachable(f"the client for {self._name} is closed")
        total_at = anyio.current_time() + timeouts.total
        limits: dict[str, float | None] = {
            "connect": timeouts.connect,
            "pool": timeouts.connect,
            "write": timeouts.idle,
            "read": timeouts.first_byte,
        }
        outgoing = self._httpx2.Request(
            request.method.decode("ascii"),
            self._url.copy_with(raw_path=self._origin.prefix + request.path),
            headers=list(headers),
            content=request.body,
            extensions={"timeout": limits},
        )
        self._in_flight += 1
        try:
            sending = self._client.send(outgoing, stream=True, auth=None, follow_redirects=False)
            answer = await self.within(total_at, sending, timeouts, "first-byte")
        except BaseException:
            await self.left()
            raise
        limits["read"] = timeouts.idle
        return Httpx2Response(self, answer, timeouts, total_at)

    async def aclose(self) -> None:
        """Refuse new requests, and close the client once the last response in flight is closed."""
        self._closing = True
        if self._in_flight == 0:
            await self._client.aclose()

    async def left(self) -> None:
        """Note that a response is closed; the last one closes a client that is to be closed."""
        self._in_flight -= 1
        if self._closing and self._in_flight == 0:
            with anyio.CancelScope(shield=True):
                await self._client.aclose()

    async def within(self, total_at: float, step: Awaitable[_T], timeouts: HttpTimeouts, phase: str) -> _T:
        """Await one step of an exchange, and turn what httpx2 raises into the gateway's errors.

        `total_at` is in the loop's time; `phase` names the read timeout that is running: "first-byte" or "idle".
        """
        httpx2, name = self._httpx2, self._name
        try:
            with anyio.CancelScope(deadline=total_at):
                return await step
        except httpx2.ConnectTimeout as exc:
            raise UpstreamTimeout(f"could not connect to {name} in time (connect timeout)") from exc
        except httpx2.PoolTimeout as exc:
            raise UpstreamTimeout(f"all connections to {name} are in use (connect timeout)") from exc
        except httpx2.WriteTimeout as exc:
            raise UpstreamTimeout(f"{name} took nothing of the request for {timeouts.idle:g} s (idle timeout)") from exc
        except httpx2.TimeoutException as exc:
            raise UpstreamTimeout(f"{name} sent nothing in time ({phase} timeout)") from exc
        except (httpx2.ConnectError, httpx2.ProxyError, httpx2.UnsupportedProtocol) as exc:
            raise UpstreamUnreachable(f"could not connect to {name}: {exc}") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as exc:
            raise UpstreamBroken(f"{name} broke the connection or the protocol ({exc or type(exc).__name__})") from exc
        raise UpstreamTimeout(f"{name} did not finish its answer within {timeouts.total:g} s (total timeout)")


class Httpx2Response:
    """The contract's response on an httpx2 one; the raw bytes of the body, nothing decoded."""

    def __init__(
        self, upstream: Httpx2Upstream, answer: httpx2.Response, timeouts: HttpTimeouts, total_at: float
    ) -> None:
        self.status = answer.status_code
        self.headers: tuple[tuple[bytes, bytes], ...] = tuple(
            (name.lower(), value) for name, value in answer.headers.raw
        )
        self._upstream = upstream
        self._answer = answer
        self._stream = answer.aiter_raw()
        self._timeouts = timeouts
        self._total_at = total_at
        self._finished = False
        self._closed = False
        self._error: UpstreamError | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)

    async def read(self) -> bytes:
        """Return the next piece of body, or b"" at its end."""
        if self._error is not None:
            raise self._error
        if self._finished:
            return b""
        if self._closed:
            raise UpstreamBroken("the response was closed before its end")
        try:
            piece: bytes | None = b""
            while piece == b"":  # An empty HTTP/2 DATA frame is not the end.
                step = anext(self._stream, None)
                piece = await self._upstream.within(self._total_at, step, self._timeouts, "idle")
        except UpstreamError as exc:
            self._error = exc
            await self.aclose()
            raise
        except BaseException:
            await self.aclose()
            raise
        self._finished = piece is None
        return piece or b""

    async def divert(self, sink: Callable[[bytes], bool]) -> None:
        """There is no short way here: all is read."""

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body; raise UpstreamBroken, and close, when it is larger than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                await self.aclose()
                raise UpstreamBroken(f"the upstream's answer is larger than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def aclose(self) -> None:
        """Give the connection back or close it; the caller's cancellation does not stop that."""
        if self._closed:
            return
        self._closed = True
        try:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                await self._answer.aclose()
        finally:
            await self._upstream.left()
