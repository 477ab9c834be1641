"""Asks a server by HTTP, with bounds on time and size; what goes wrong is said in a sentence, without addresses or credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import anyio
import httpx2

from mcp_servers.observe.settings import Upstream
from mcp_servers.verbs import Json, Refused

MOST_BYTES: Final = 32 * 1024 * 1024
_SAID: Final = 300


class Server:
    """One server. `name` is what people call it."""

    def __init__(self, name: str, settings: Upstream) -> None:
        self._name = name
        self._settings = settings
        self._headers = settings.sent()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        body: Json = None,
    ) -> Json:
        """Give the answer's JSON. Raises Refused with what the server says is wrong."""
        address = self._settings.url.rstrip("/") + path
        try:
            with anyio.fail_after(self._settings.seconds):
                async with (
                    # A redirect could lead anywhere, with the credentials.
                    httpx2.AsyncClient(
                        headers=self._headers, timeout=self._settings.seconds, follow_redirects=False
                    ) as client,
                    client.stream(method, address, params=query, data=form, json=body) as answer,
                ):
                    data = await self._read(answer)
                    status = answer.status_code
        except TimeoutError:
            msg = f"{self._name} did not answer within {self._settings.seconds:g} seconds."
            raise Refused(msg) from None
        except httpx2.HTTPError as error:
            msg = f"{self._name} cannot be reached ({type(error).__name__})."
            raise Refused(msg) from None
        if not 200 <= status < 300:
            msg = f"{self._name} answered {status}: {_said(data)}"
            raise Refused(msg)
        try:
            return json.loads(data) if data else None
        except (ValueError, RecursionError):
            msg = f"{self._name} answered with something that is not JSON."
            raise Refused(msg) from None

    async def _read(self, answer: httpx2.Response) -> bytes:
        data = bytearray()
        async for piece in answer.aiter_bytes():
            data += piece
            if len(data) > MOST_BYTES:
                msg = f"{self._name} answers with more than {MOST_BYTES} bytes: ask for less."
                raise Refused(msg)
        return bytes(data)


def _said(data: bytes) -> str:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return data[:_SAID].decode("utf-8", "replace")
    if isinstance(found, dict):
        found = found.get("error") or found.get("message") or found
    return found[:_SAID] if isinstance(found, str) else json.dumps(found)[:_SAID]
