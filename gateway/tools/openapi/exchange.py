"""One call of an operation over HTTP, and what its answer means: done, refused, not done at all, or nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import anyio
import httpx2
import msgspec

from gateway.core.items import Json
from gateway.core.tools import ToolOutput
from gateway.tools.hub import ToolLost, ToolNotReached
from gateway.tools.openapi.request import HttpRequest

CONNECT_SECONDS: Final = 10.0
KEY_HEADER: Final = "idempotency-key"
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.ProxyError,
)
_NOT_DONE: Final = frozenset({429, 503})
"""Answers by which a server says that it has not begun."""
_NOT_KNOWN: Final = frozenset({502, 504})
"""Answers of something in between, which does not know what the server did."""


class Exchange:
    """Sends requests to one server. `base` is its URL without a slash at its end; `headers` go with each request, `most` bytes are read of an answer."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        most: int,
        connections: int = 32,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = base.rstrip("/")
        self._headers = {
            "accept": "application/json, text/*;q=0.9, */*;q=0.1",
            "accept-encoding": "identity",
            **headers,
        }
        self._most = most
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=connections),
            follow_redirects=False,  # where it leads, nobody has allowed
            trust_env=False,
            transport=transport,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, request: HttpRequest, *, key: str, trace: str | None, timeout: float) -> ToolOutput:
        """Send a request and give what came back. Raises ToolNotReached and ToolLost."""
        headers = dict(request.headers)
        if request.method not in ("GET", "HEAD"):
            headers[KEY_HEADER] = key
        if trace is not None:
            headers["traceparent"] = trace
        wire = self._client.build_request(
            request.method, self._base + request.target, headers={**self._headers, **headers}, content=request.body
        )
        try:
            with anyio.fail_after(timeout):
                return await self._answer(wire)
        except TimeoutError:
            msg = f"The server did not answer within {timeout:g} seconds."
            raise ToolLost(msg) from None
        except _NOT_SENT as error:
            msg = f"The server cannot be reached ({type(error).__name__})."
            raise ToolNotReached(msg) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            msg = f"The connection broke before the answer was whole ({type(error).__name__})."
            raise ToolLost(msg) from None

    async def _answer(self, wire: httpx2.Request) -> ToolOutput:
        response = await self._client.send(wire, stream=True)
        try:
            data, whole = await self._read(response)
        finally:
            await response.aclose()
        return _meaning(response, data, whole=whole, most=self._most)

    async def _read(self, response: httpx2.Response) -> tuple[bytes, bool]:
        """Give the answer's body, or as much of it as is read, and whether that is all."""
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > self._most:
                return bytes(data[: self._most]), False
        return bytes(data), True


def _meaning(response: httpx2.Response, data: bytes, *, whole: bool, most: int) -> ToolOutput:
    status = response.status_code
    if status in _NOT_DONE:
        msg = f"The server is not ready for this call (HTTP {status})."
        raise ToolNotReached(msg)
    if status in _NOT_KNOWN:
        msg = f"What is before the server says that it gave no answer (HTTP {status})."
        raise ToolLost(msg)
    if response.headers.get("content-encoding", "identity") != "identity":
        return ToolOutput(
            text="The server's answer is compressed although that was not asked for.", is_error=status >= 300
        )
    text, structured = _read_body(data, response.headers.get("content-type", ""), whole=whole)
    if not whole:
        text = f"{text}\n[The answer is longer than the {most:,} bytes that are read of one.]"
    if 300 <= status < 400:
        return ToolOutput(text=f"HTTP {status}: the server sends elsewhere, and that is not followed.", is_error=True)
    if status >= 400:
        return ToolOutput(text=f"HTTP {status}: {text}", structured=structured, is_error=True)
    return ToolOutput(text=text or f"HTTP {status}: done; there is no text.", structured=structured)


def _read_body(data: bytes, media_type: str, *, whole: bool) -> tuple[str, Json]:
    """Give a body as text, and as JSON where it is that."""
    kind = media_type.partition(";")[0].strip().lower()
    text = data.decode("utf-8", "replace")
    if whole and (kind == "application/json" or kind.endswith("+json")):
        try:
            return text, msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return text, None
    if data and not (kind.startswith("text/") or "json" in kind or "xml" in kind or not kind or "\x00" not in text):
        return f"[{len(data):,} bytes of {kind[:80]}, which is no text.]", None
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}"), None
