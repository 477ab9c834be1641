"""Chooses the HTTP client for an upstream. It opens no connection."""

from typing import Literal

from gateway.providers.http.httpx2_client import Httpx2Upstream
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import Upstream


def make_upstream(
    base_url: str, *, http: Literal["native", "httpx2"], connections: int, proxy: str | None = None
) -> Upstream:
    """Return a client for `base_url` with at most `connections` open connections.

    `httpx2` speaks HTTP/2 where a TLS server offers it. Raises ValueError for a base URL that cannot be used, and for a
    proxy with the native client, which knows none.
    """
    if http == "httpx2":
        return Httpx2Upstream(base_url, connections=connections, proxy=proxy, http2=True)
    if proxy is not None:
        raise ValueError("the native HTTP client knows no proxies: choose the httpx2 client for this provider")
    return NativeUpstream(base_url, connections=connections)
