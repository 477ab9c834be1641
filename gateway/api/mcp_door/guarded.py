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
from gateway.api.mcp_door.refusing import INVALID_REQUEST, Refused, refused_by
from gateway.api.plain import CALLER
from gateway.core.caller import Caller
from gateway.core.errors import BodyTooLarge, ClientLeft, MalformedBody
from gateway.core.strict_json import decode_value

log = structlog.get_logger()

MESSAGE: Final = "switchgear.mcp_message"
"""Where, in the scope of a request, the message stands that it brings, read."""

_SECRET: Final = frozenset({b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"})


class Aimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a tool is aimed at: its id (server/name, agents/name), and its effect."""

    id: str
    effect: str


Find = Callable[[Caller, str], Aimed | None]
"""Gives what the name of a tool, as /mcp lists it, stands for; None for one that the caller does not know."""


class Guarded:
    """Lets requests through to `inner`. `entrance` gives the present one (None: nothing is here, as `inner` says itself), `find` what a tool's name stands for."""

    methods = ("GET", "POST", "DELETE")

    def __init__(
        self, inner: AsgiApp, entrance: Callable[[], Entrance | None], find: Find, *, body_bytes: int, depth: int = 100
    ) -> None:
        self._inner = inner
        self._entrance = entrance
        self._find = find
        self._body_bytes = body_bytes
        self._depth = depth

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        entrance = self._entrance()
        if entrance is None:
            await self._inner(scope, receive, send)
            return
        try:
            caller = await entrance.admit(scope)
            if scope["method"] == "POST":
                body = await read_body(receive, self._body_bytes)
                found: Any = decode_value(body, depth=self._depth)
                for asked, name in _called(found):
                    self._check(entrance, caller, asked, name)
                if wrong := _odd(found):
                    raise _invalid(found, wrong)
                receive, scope = _replay(body, receive), {**scope, MESSAGE: found}
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


def _called(found: Any) -> Iterator[tuple[str | int | None, str]]:
    """Yield the calls of tools in a message, or in a batch of them, as (id, name).

    It was read strictly: a name that is there twice is one that somebody else would read otherwise.
    """
    for message in found if isinstance(found, list) else [found]:
        if not isinstance(message, dict) or message.get("method") != "tools/call":
            continue
        params, asked = message.get("params"), message.get("id")
        name = params.get("name") if isinstance(params, dict) else None
        if isinstance(name, str):
            yield asked if isinstance(asked, str | int) else None, name


def _odd(found: Any) -> str:
    """Say what is wrong with a message of JSON-RPC as such; empty where nothing is. What its method wants is not looked at."""
    if isinstance(found, list):
        return "One message a request: MCP has no batches since 2025-06-18."
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        return 'A message is an object with "jsonrpc": "2.0".'
    if "id" in found and not _is_id(found["id"]):
        return "An `id` is a string or a whole number."
    if "method" not in found:
        return "" if "id" in found and ("result" in found) != ("error" in found) else "A message has a `method`."
    if not isinstance(found["method"], str):
        return "A `method` is a string."
    return "" if isinstance(found.get("params", {}), dict) else "`params` is an object."


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _invalid(found: Any, wrong: str) -> Refused:
    refusal = Refused(400, wrong)
    refusal.code = INVALID_REQUEST
    asked = found.get("id") if isinstance(found, dict) else None
    refusal.asked = asked if _is_id(asked) else None
    return refusal


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a `receive` that has the whole body first, and then what else comes: that the client leaves."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
