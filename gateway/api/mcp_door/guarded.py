"""The ASGI endpoint around what answers at /mcp: nobody comes past it without being let in, and no key or token comes past it at all.

A tool's scopes are judged before anything is answered, for only then can the status still say what is lacking (step-up): the message is read
here, and handed on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import structlog

from gateway.api.asgi import AsgiApp, AsgiSend, Message, Receive, Scope
from gateway.api.body import read_body
from gateway.api.mcp_door.entrance import Entrance
from gateway.api.mcp_door.refusing import Refused, refused_by
from gateway.api.plain import CALLER
from gateway.core.caller import Caller
from gateway.core.errors import BodyTooLarge, ClientLeft, MalformedBody
from gateway.core.strict_json import decode_value

log = structlog.get_logger()

_SECRET: Final = frozenset({b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"})


class Aimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a tool is aimed at: its id (server/name, agents/name), and its effect."""

    id: str
    effect: str


Find = Callable[[Caller, str], Aimed | None]
"""Gives what the name of a tool, as /mcp lists it, stands for; None for one that the caller does not know."""


class Guarded:
    """Lets requests through to `inner`. `entrance` gives the present one, `find` what a tool's name stands for."""

    methods = ("GET", "POST", "DELETE")

    def __init__(
        self, inner: AsgiApp, entrance: Callable[[], Entrance], find: Find, *, body_bytes: int, depth: int = 100
    ) -> None:
        self._inner = inner
        self._entrance = entrance
        self._find = find
        self._body_bytes = body_bytes
        self._depth = depth

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        entrance = self._entrance()
        try:
            caller = await entrance.admit(scope)
            if scope["method"] == "POST":
                body = await read_body(receive, self._body_bytes)
                for asked, name in _called(body, self._depth):
                    self._check(entrance, caller, asked, name)
                receive = _replay(body, receive)
        except Refused as refusal:
            log.info("mcp.refused", status=refusal.status, reason=refusal.message)
            await refusal.reply(send)
        except (BodyTooLarge, MalformedBody) as error:
            await refused_by(error).reply(send)
        except ClientLeft:
            return
        else:
            headers = [header for header in scope["headers"] if header[0] not in _SECRET]
            await self._inner({**scope, "headers": headers, CALLER: caller}, receive, send)

    def _check(self, entrance: Entrance, caller: Caller, asked: str | int | None, name: str) -> None:
        aimed = self._find(caller, name)
        # What nobody knows nobody can call: whoever answers says so.
        lacking = () if aimed is None else entrance.missing(caller, aimed.id, aimed.effect)
        if lacking:
            refusal = entrance.insufficient(caller, lacking)
            refusal.asked = asked
            raise refusal


def _called(body: bytes, depth: int) -> Iterator[tuple[str | int | None, str]]:
    """Yield the calls of tools in a message, or in a batch of them, as (id, name). Raises MalformedBody.

    It reads strictly: a name that is there twice is one that somebody else would read otherwise.
    """
    found: Any = decode_value(body, depth=depth)
    for message in found if isinstance(found, list) else [found]:
        if not isinstance(message, dict) or message.get("method") != "tools/call":
            continue
        params, asked = message.get("params"), message.get("id")
        name = params.get("name") if isinstance(params, dict) else None
        if isinstance(name, str):
            yield asked if isinstance(asked, str | int) else None, name


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a `receive` that has the whole body first, and then what else comes: that the client leaves."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
