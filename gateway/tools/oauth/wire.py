"""Requests to authorization servers, and to servers of tools before anybody is let in. It follows no redirect, and reads no more than it must.

Where they are, others say: so addresses are public ones, with TLS, unless the operator allows otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.core.errors import InvalidRequest, UpstreamError
from gateway.core.items import Json
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts

Locate = Callable[[str, int], Awaitable[str]]

_TIMEOUTS: Final = HttpTimeouts(connect=5, first_byte=15, idle=10, total=20)
_MOST_BYTES: Final = 256 * 1024
_LONGEST_HOST: Final = 253


class AuthorizationFailed(Exception):
    """An authorization could not be begun, finished or renewed. The message says why, to people; it holds no secret.

    `again` says that only a new authorization helps.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: `body` is the JSON object, empty where there is none."""

    status: int
    challenge: str = ""
    body: dict[str, Json] = {}


class Wire:
    """Speaks with one server of tools' authorization servers. `locate` gives public addresses; with `private` any address will do."""

    def __init__(self, *, private: bool, locate: Locate) -> None:
        self._private = private
        self._locate = None if private else locate

    def check(self, url: str) -> str:
        """Give an address that may be asked, as it is. Raises AuthorizationFailed."""
        if not _is_address(url, plain=self._private):
            msg = f"The address {url[:200]!r} is none that an authorization may go through."
            raise AuthorizationFailed(msg)
        return url

    async def get(self, url: str) -> Answer:
        """Ask for a document."""
        return await self._ask(b"GET", url, (), b"")

    async def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form."""
        kind = ("content-type", "application/x-www-form-urlencoded")
        return await self._ask(b"POST", url, (kind, *(headers or {}).items()), urlencode(fields).encode())

    async def post_json(self, url: str, document: Json) -> Answer:
        """Send a document."""
        return await self._ask(b"POST", url, (("content-type", "application/json"),), msgspec.json.encode(document))

    async def _ask(self, method: bytes, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Answer:
        parts = urlsplit(self.check(url))
        where = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        sent = (("accept", "application/json, text/event-stream"), *headers)
        request = HttpRequest(
            method=method,
            path=where.encode(),
            headers=tuple((name.encode(), value.encode()) for name, value in sent),
            body=body,
        )
        client = NativeUpstream(f"{parts.scheme}://{parts.netloc}", connections=1, locate=self._locate)
        try:
            response = await client.request(request, _TIMEOUTS)
            try:
                data = await response.read_all(_MOST_BYTES)
            finally:
                await response.aclose()
        except (UpstreamError, InvalidRequest) as error:
            msg = f"{parts.netloc} did not answer: {error.message}"
            raise AuthorizationFailed(msg) from error
        finally:
            await client.aclose()
        told = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"www-authenticate"]
        return Answer(status=response.status, challenge=", ".join(told), body=_object(data))


def _is_address(url: str, *, plain: bool) -> bool:
    """Whether others may name it: it has to be one that every reader reads the same way."""
    if not url.isascii() or any(sign <= " " or sign in '"<>\\^`{|}\x7f' for sign in url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    known = parts.scheme == "https" or (parts.scheme == "http" and plain)
    return known and 0 < len(host) <= _LONGEST_HOST and port != 0 and "@" not in parts.netloc and not parts.fragment


def _object(data: bytes) -> dict[str, Json]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
