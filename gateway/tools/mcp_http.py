"""The HTTP transport below the MCP client: what its library leaves open is settled here, request by request.

An answer is read up to a limit; a connection that fails, a status that is an error and a session that is gone become errors of the one call, and
never end the client. It follows no redirect (the client follows those within the origin), takes no compression and no proxy of the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import msgspec

from gateway.core.errors import SwitchgearError
from gateway.tools.connection import Signals
from gateway.tools.delivery import NO_ANSWER, TOO_LARGE, UNAUTHORIZED, Deliveries
from gateway.tools.mcp_messages import mended
from gateway.tools.oauth.bearer import Bearer
from gateway.tools.oauth.discovery import challenged
from gateway.tools.oauth.wire import AuthorizationFailed

_JSON = {"content-type": "application/json"}
_TIMES_WIDER = 2
"""Tries with a token that allows more: what was known of the first may be older than what somebody has agreed to since."""
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_GOODBYE_SECONDS = 2.0
_LISTEN = "subscriptions/listen"
_ASKED = frozenset(
    {
        "tools/call", "resources/read", "prompts/get", "completion/complete",
        "resources/list", "resources/templates/list", "prompts/list",
    }
)  # fmt: skip
"""Requests of which an HTTP status that is an error is told as an error of that one request."""


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a request of ours."""

    id: int | str | None = None
    method: str = ""
    params: dict[str, Any] | None = None


class Exchange(httpx2.AsyncBaseTransport):
    """Sends requests over `inner`. `limit` is the most bytes of an answer; `bearer` gives the token that goes with each request."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        *,
        limit: int,
        deliveries: Deliveries,
        signals: Signals,
        bearer: Bearer | None = None,
    ) -> None:
        self._inner = inner
        self._bearer = bearer
        self._limit = limit
        self._deliveries = deliveries
        self._signals = signals

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        if request.method == "POST":
            return await self._post(request)
        if self._bearer is not None:
            try:
                _authorize(request, await self._bearer.token())
            except (AuthorizationFailed, SwitchgearError):
                return httpx2.Response(401, request=request)
        if request.method == "DELETE":
            # The end of a session, told out of courtesy: a server that does not answer holds up nobody.
            with anyio.move_on_after(_GOODBYE_SECONDS):
                return await self._inner.handle_async_request(request)
            return httpx2.Response(405, request=request)
        _quiet(request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _post(self, request: httpx2.Request) -> httpx2.Response:
        message = msgspec.json.decode(request.content, type=_Message)
        key = self._deliveries.goes_out(message.params)
        if message.method == _LISTEN:
            _quiet(request)
        try:
            response = await self._let_in(request)
        except (AuthorizationFailed, SwitchgearError) as error:
            self._deliveries.refused(key)
            return _told(request, message, f"it asks for an authorization, and {error}", code=UNAUTHORIZED)
        except httpx2.TransportError as error:
            self._signals.look_again()
            if not isinstance(error, _UNSENT):
                return _told(request, message, f"the connection broke off ({type(error).__name__})")
            self._deliveries.refused(key)
            return _told(request, message, f"it cannot be reached ({type(error).__name__})")
        try:
            return await self._answer(request, message, key, response)
        except httpx2.TransportError as error:
            await response.aclose()
            return _told(request, message, f"its answer broke off ({type(error).__name__})")
        except BaseException:
            with anyio.CancelScope(shield=True):
                await response.aclose()
            raise

    async def _let_in(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request with its token; where the server wants another one, or one that allows more, once more with that. Raises AuthorizationFailed."""
        bearer = self._bearer
        if bearer is None:
            return await self._inner.handle_async_request(request)
        token = await bearer.token()
        response = await self._inner.handle_async_request(_authorize(request, token))
        said = challenged(response.headers.get("www-authenticate", ""))
        if response.status_code == 401:
            await response.aclose()
            return await self._inner.handle_async_request(_authorize(request, await bearer.renewed(token)))
        for _ in range(_TIMES_WIDER):
            if response.status_code != 403 or said.get("error") != "insufficient_scope":
                break
            await response.aclose()
            token = await bearer.wants(said.get("scope", ""), token)
            response = await self._inner.handle_async_request(_authorize(request, token))
            said = challenged(response.headers.get("www-authenticate", ""))
        return response

    async def _answer(
        self, request: httpx2.Request, message: _Message, key: str, response: httpx2.Response
    ) -> httpx2.Response:
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return _told(request, message, "its answer is compressed, which was not asked for")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code < 400 and kind == "text/event-stream":
            counted = _Counted(response, self._limit, lambda: self._deliveries.too_large(key))
            return httpx2.Response(response.status_code, headers=response.headers, stream=counted)
        if response.status_code < 400 and kind != "application/json":
            return response
        body = await _bounded(response, self._limit)
        if response.status_code >= 400:
            return self._refused(request, message, key, response, body)
        if body is None:
            return _told(request, message, f"the answer has more than {self._limit:,} bytes", code=TOO_LARGE)
        return _with_body(request, response, mended(body))

    def _refused(
        self, request: httpx2.Request, message: _Message, key: str, response: httpx2.Response, body: bytes | None
    ) -> httpx2.Response:
        status = response.status_code
        if status == 404 and "mcp-session-id" in request.headers:
            self._deliveries.refused(key)
            self._signals.breaks("its session is gone: it was started again")
            return _told(request, message, "its session is gone")
        if body is not None and _is_error(body):
            return _with_body(request, response, body)
        if status < 500:
            self._deliveries.refused(key)
        if message.method not in _ASKED:
            # While a connection is made, what a status means depends on what was asked: the client knows.
            return _with_body(request, response, b"")
        return _told(request, message, f"it answered with the HTTP status {status}")


def _quiet(request: httpx2.Request) -> None:
    """Let its answer take any time: it is a stream in which nothing is said until there is something to say."""
    timeouts = {**request.extensions.get("timeout", {}), "read": None}
    request.extensions = {**request.extensions, "timeout": timeouts}


def _authorize(request: httpx2.Request, token: str) -> httpx2.Request:
    request.headers["authorization"] = f"Bearer {token}"
    return request


class _Counted(httpx2.AsyncByteStream):
    """The bytes of a stream of events, up to a limit."""

    def __init__(self, response: httpx2.Response, limit: int, beyond: Any) -> None:
        self._response = response
        self._limit = limit
        self._beyond = beyond

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes. Raises ReadError where there are too many."""
        read = 0
        async for chunk in self._response.stream:  # type: ignore[union-attr]  # a response of an async transport has an async stream
            read += len(chunk)
            if read > self._limit:
                self._beyond()
                msg = "the answer is too large"
                raise httpx2.ReadError(msg)
            yield chunk

    async def aclose(self) -> None:
        """Close the answer, and with it the connection: to the server that is a cancellation."""
        await self._response.aclose()


async def _bounded(response: httpx2.Response, limit: int) -> bytes | None:
    """Read an answer to its end and close it; None, and no more than the limit read, where it is larger."""
    body = bytearray()
    try:
        async for chunk in response.stream:  # type: ignore[union-attr]  # a response of an async transport has an async stream
            body += chunk
            if len(body) > limit:
                return None
    finally:
        await response.aclose()
    return bytes(body)


def _with_body(request: httpx2.Request, response: httpx2.Response, body: bytes) -> httpx2.Response:
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name not in ("content-length", "transfer-encoding")
    ]
    return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


def _told(request: httpx2.Request, message: _Message, reason: str, *, code: int = NO_ANSWER) -> httpx2.Response:
    """Give an answer of our own that says what became of the request."""
    if message.id is None:
        return httpx2.Response(202, request=request)
    error = {"jsonrpc": "2.0", "id": message.id, "error": {"code": code, "message": reason}}
    return httpx2.Response(200, headers=_JSON, content=msgspec.json.encode(error), request=request)


def _is_error(body: bytes) -> bool:
    """Whether a body is a JSON-RPC error, which the client reads better than a status."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("error"), dict)


def bounded_client(
    headers: dict[str, str],
    *,
    limit: int,
    connect: float,
    read: float,
    deliveries: Deliveries,
    signals: Signals,
    bearer: Bearer | None = None,
) -> httpx2.AsyncClient:
    """Give an HTTP client that sends `headers` with every request and reads no answer beyond `limit` bytes. Times are in seconds."""
    inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_connections=None))
    return httpx2.AsyncClient(
        transport=Exchange(inner, limit=limit, deliveries=deliveries, signals=signals, bearer=bearer),
        headers={"accept-encoding": "identity", **headers},
        timeout=httpx2.Timeout(connect, read=read, write=read, pool=connect),
        trust_env=False,
    )
