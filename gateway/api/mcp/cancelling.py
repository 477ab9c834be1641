"""notifications/cancelled, as clients before 2026-07-28 send it: by a request of its own, which may come to any replica.

The official library, without sessions, ends such a request before it looks at it; so it is looked for here, before the library has it.
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from gateway.agents.calling import Calling
from gateway.api.asgi import Message, Receive, Scope
from gateway.api.mcp.run_ids import run_of_request
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError

log = structlog.get_logger()

SESSION: Final = b"mcp-session-id"
_METHOD: Final = "notifications/cancelled"
_MOST: Final = 4096
"""Bytes of a request that may be one."""


class _Params(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    request_id: str | int


class _Notification(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    params: _Params


class Looked:
    """A body that was looked at, and is to be read once more. `receive` gives it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen: list[Message] = []
        self.body = b""

    async def look(self, most: int) -> None:
        """Read the body, as far as so many bytes."""
        while len(self.body) <= most:
            message = await self._receive()
            self._seen.append(message)
            self.body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body"):
                return

    async def receive(self) -> Message:
        """Give what was read, and then what comes."""
        return self._seen.pop(0) if self._seen else await self._receive()


def may_be_one(scope: Scope) -> str:
    """Give the session of a request that may be such a notification; empty for any other."""
    headers = dict(scope["headers"])
    size = headers.get(b"content-length", b"")
    small = size.isdigit() and len(size) < 8 and int(size) <= _MOST
    return str(headers.get(SESSION, b"").decode("latin-1")) if small else ""


async def cancelled(receive: Receive, caller: Caller, session: str, calling: Calling) -> tuple[bool, Receive]:
    """End the call that a request says is given up, if it is the caller's own; give whether it said so, and how the request is read from here."""
    looked = Looked(receive)
    await looked.look(_MOST)
    if _METHOD.encode() not in looked.body:
        return False, looked.receive
    try:
        said = msgspec.json.decode(looked.body, type=_Notification)
    except (msgspec.DecodeError, RecursionError):
        return False, looked.receive
    if said.method != _METHOD:
        return False, looked.receive
    run = run_of_request(caller, session, said.params.request_id)
    try:
        await calling.stop(caller, run)
    except SwitchgearError as error:
        # It has ended, or was none: nobody waits for an answer to this.
        log.info("mcp.not_cancelled", run=run, reason=error.message)
    return True, looked.receive
