"""Refusals at the door of /mcp: a status, what the header WWW-Authenticate says of it (RFC 6750, 9728), and an error of JSON-RPC for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.api.asgi import AsgiSend, Headers, reply
from gateway.core.errors import MalformedBody, SwitchgearError

PARSE_ERROR: Final = -32_700
INVALID_REQUEST: Final = -32_600
REFUSED: Final = -32_001
"""The code of the error: one that JSON-RPC leaves to servers."""


class Refused(Exception):
    """A request that is not let in. The message is for whoever sent it; `code` is JSON-RPC's; `asked` is the request's id, None where it was not read."""

    asked: str | int | None = None
    code = REFUSED

    def __init__(self, status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)

    async def reply(self, send: AsgiSend) -> None:
        """Answer with it."""
        error = {"jsonrpc": "2.0", "id": self.asked, "error": {"code": self.code, "message": self.message}}
        headers: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *self.headers]
        await reply(send, self.status, msgspec.json.encode(error), headers)


def refused_by(error: SwitchgearError, challenge: bytes | None = None) -> Refused:
    """Give the refusal for an error of the gateway's own."""
    headers: list[tuple[bytes, bytes]] = []
    seconds = error.retry_after
    if seconds is None and error.status in (429, 503):
        seconds = 1.0
    if seconds is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-seconds // 1))))
    if challenge is not None:
        headers.append((b"www-authenticate", challenge))
    refused = Refused(error.status, str(error), headers)
    if isinstance(error, MalformedBody):
        refused.code = PARSE_ERROR
    return refused


def challenge_of(*, metadata: str | None, error: str = "", description: str = "", scopes: Iterable[str] = ()) -> bytes:
    """Give a challenge: the scheme Bearer, and of its parameters those that say something. None holds a quotation mark."""
    wanted = " ".join(scopes)
    said = {"error": error, "error_description": description, "scope": wanted, "resource_metadata": metadata or ""}
    parameters = ", ".join(f'{name}="{_plain(value)}"' for name, value in said.items() if value)
    return f"Bearer {parameters}".strip().encode("ascii")


def _plain(value: str) -> str:
    """Leave out what the parameters of RFC 6750 may not hold."""
    return "".join(one for one in value if " " <= one <= "~" and one not in '"\\')
