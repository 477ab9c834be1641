"""The Kubernetes API over HTTP: requests with a token, bounded answers, and errors in words without secrets.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (lists in chunks, resource versions, Status objects).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import anyio
import httpx2

from mcp_servers.environment import variable
from mcp_servers.platform_ctl.cluster import Unsure
from mcp_servers.platform_ctl.settings import Kubernetes
from mcp_servers.serving import ConfigurationError
from mcp_servers.verbs import Json, Refused

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
_MOST_BYTES: Final = 32 * 1024 * 1024
_PAGE: Final = 250
_MOST_PAGES: Final = 40
_TRIES: Final = 3
_LONGEST_WAIT: Final = 5.0
_SHOWN: Final = 300


class Failed(Refused):
    """The API said no. `status` is HTTP's."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Api:
    """One cluster. Raises ConfigurationError for a token or a CA that is not there."""

    def __init__(self, settings: Kubernetes, base: Path, seconds: float) -> None:
        self._settings = settings
        self._file = None if settings.token_file is None else base / settings.token_file
        self._token = "" if settings.token is None else variable(settings.token)
        self._headers()
        verify: ssl.SSLContext | bool = True
        if settings.ca_file is not None:
            try:
                verify = ssl.create_default_context(cafile=str(base / settings.ca_file))
            except (OSError, ssl.SSLError) as error:
                msg = f"ca_file: {base / settings.ca_file}: {error.strerror or 'it holds no certificates'}"
                raise ConfigurationError(msg) from None
        self._client = httpx2.AsyncClient(
            base_url=settings.url.rstrip("/"), verify=verify, timeout=seconds, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def fetch(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """Give an object. What the API asks to try later is tried again. Raises Failed."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._once("GET", path, params=params)
            except Throttled as throttled:
                if not left:
                    raise
                await anyio.sleep(throttled.seconds)
        msg = "unreachable"
        raise AssertionError(msg)

    async def fetch_all(self, path: str, params: Mapping[str, str] | None = None) -> list[Json]:
        """Give a list's items, chunk by chunk. Raises Failed."""
        found: list[Json] = []
        more = ""
        for _ in range(_MOST_PAGES):
            chunk = {"limit": str(_PAGE), **(params or {}), **({"continue": more} if more else {})}
            page = await self.fetch(path, chunk)
            found += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue") or ""
            if not more:
                break
        return found

    async def fetch_text(self, path: str, params: Mapping[str, str], most: int) -> str:
        """Give the text of a log, at most so many bytes of it. Raises Failed."""
        data = b""
        try:
            async with self._client.stream("GET", path, params=params, headers=self._authorized()) as response:
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > most:
                        break
                if response.status_code >= 400:
                    raise _failure(response.status_code, data, response.headers)
        except httpx2.HTTPError as error:
            raise Failed(_lost(error), 0) from None
        return data[:most].decode(errors="replace")

    async def patch(self, path: str, body: Json, kind: str) -> Json:
        """Change an object. Raises Failed, and Unsure where it is not known whether it was changed."""
        return await self._once("PATCH", path, body=body, kind=kind)

    async def post(self, path: str, body: Json) -> Json:
        """Make an object. Raises Failed and Unsure."""
        return await self._once("POST", path, body=body, kind="application/json")

    def _headers(self) -> dict[str, str]:
        """Read the token anew: a cluster replaces the one in a pod's file every hour."""
        token = self._token
        if self._file is not None:
            try:
                token = self._file.read_text().strip()
            except (OSError, UnicodeDecodeError):
                msg = f"token_file: {self._file} cannot be read"
                raise ConfigurationError(msg) from None
        if not token.isascii() or not token.isprintable():
            msg = "token: this is no bearer token"
            raise ConfigurationError(msg)
        return {"accept": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}

    def _authorized(self) -> dict[str, str]:
        try:
            return self._headers()
        except ConfigurationError as error:
            raise Failed(str(error), 0) from None

    async def _once(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Json = None, kind: str = ""
    ) -> Json:
        content = None if method == "GET" else json.dumps(body).encode()
        headers = self._authorized() | ({"content-type": kind} if kind else {})
        data = b""
        try:
            async with self._client.stream(method, path, params=params, content=content, headers=headers) as response:
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > _MOST_BYTES:
                        msg = f"The cluster's answer is larger than {_MOST_BYTES} bytes."
                        raise Failed(msg, 0)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Failed(_lost(error), 0) from None
        except httpx2.HTTPError as error:
            if method != "GET":
                raise Unsure(_lost(error)) from None
            raise Failed(_lost(error), 0) from None
        if response.status_code >= 500 and method != "GET":
            msg = f"The cluster answered {response.status_code}."
            raise Unsure(msg)
        if response.status_code >= 300:
            raise _failure(response.status_code, data, response.headers)
        return _read(data, method)


class Throttled(Failed):
    """The API asks to try again after some seconds."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text, 429)
        self.seconds = seconds


def part(name: str) -> str:
    """Give a name as a part of a path."""
    return quote(name, safe="")


def _read(data: bytes, method: str) -> Json:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    msg = "The cluster's answer is not what the API gives."
    if method != "GET":
        raise Unsure(msg)
    raise Failed(msg, 0)


def _failure(status: int, data: bytes, headers: Mapping[str, str]) -> Failed:
    try:
        said = str(json.loads(data)["message"])[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        said = ""
    words = {
        401: "The cluster does not accept the token.",
        403: f"The cluster does not allow it: {said}",
        404: f"The cluster has no such thing: {said}",
        409: f"Somebody else changed it at the same time: {said}",
        422: f"The cluster finds it invalid: {said}",
        429: f"The cluster asks to try again later: {said}",
    }
    text = words.get(status, f"The cluster answered {status}: {said}").rstrip(": ")
    if status == 429:
        try:
            seconds = float(headers.get("retry-after") or 1)
        except ValueError:
            seconds = 1.0
        return Throttled(text, min(_LONGEST_WAIT, max(0.0, seconds)))
    return Failed(text, status)


def _lost(error: Exception) -> str:
    """What a library says may quote addresses with secrets: its kind is enough."""
    return f"The cluster cannot be reached or broke off ({type(error).__name__})."
