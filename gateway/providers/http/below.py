"""One client for a vLLM server, used at its root (/metrics, /tokenize) and below a prefix (/v1)."""

from __future__ import annotations

from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts, Upstream


class Below:
    """An Upstream that puts `prefix` before every path. The connections are the other's, who closes them."""

    def __init__(self, upstream: Upstream, prefix: bytes) -> None:
        self._upstream = upstream
        self._prefix = prefix

    async def request(self, request: HttpRequest, timeouts: HttpTimeouts) -> HttpResponse:
        """Send the request below the prefix."""
        path = self._prefix + request.path
        below = HttpRequest(method=request.method, path=path, headers=request.headers, body=request.body)
        return await self._upstream.request(below, timeouts)

    async def aclose(self) -> None:
        """Close the other's connections."""
        await self._upstream.aclose()
