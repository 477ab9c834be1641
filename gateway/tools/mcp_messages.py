"""Messages of a server that the client's library does not read as they came: mended where nothing is lost by it, answered for where not.

The library reads a message whole or not at all. One character that is no character would leave a call without its answer until its time is
up, and one odd tool in a list would take all the others with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog
from mcp.client._transport import ReadStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict, ValidationError

log = structlog.get_logger()

EDGE: Final = 256
"""Bytes of a message's beginning and end in which its id is looked for, where the whole cannot be read."""

_HEAD: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*,').match
_TAIL: Final = re.compile(rb'[,{]\s*"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z').search
_METHOD: Final = re.compile(rb'"method"\s*:').search
_LISTED: Final = {
    "tools": "tools/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "prompts": "prompts/list",
}
"""The field of a result that is a list, and the method that it is the result of."""
_TYPE: Final = "resultType"
_OLDEST: Final = "2025-11-25"

_MOST_OF_A_MESSAGE: Final = 2000

Sift = Callable[[SessionMessage], SessionMessage]


class Result(BaseModel):
    """A result as it came: the library has checked it by then against the revision that is spoken."""

    model_config = ConfigDict(extra="allow")


def cut(text: str) -> str:
    """Give the words of a server, as many as are passed on."""
    return text if len(text) <= _MOST_OF_A_MESSAGE else text[: _MOST_OF_A_MESSAGE - 1] + "…"


def mended(data: bytes) -> bytes:
    """Give a message with U+FFFD in the place of what is no character (halves of pairs, bytes that are no UTF-8); what is no JSON as it is."""
    if b"\\ud" not in data and b"\\uD" not in data and _is_text(data):
        return data
    try:
        text = json.dumps(json.loads(data.decode("utf-8", "replace")), ensure_ascii=False)
    except (ValueError, RecursionError):
        return data
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def answered(data: bytes) -> int | None:
    """Give the id of the request that a message answers, although it cannot be read as an answer; None for what is none."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return id_at_edges(data[:EDGE], data[-EDGE:])
    if not isinstance(value, dict) or "method" in value or not value.keys() & {"error", "result"}:
        return None
    name = value.get("id")
    return name if isinstance(name, int) and not isinstance(name, bool) else None


def id_at_edges(head: bytes, tail: bytes) -> int | None:
    """Give the id of an answer of which only the edges are known. One inside of it is none: it stands first or last."""
    found = _HEAD(head) or _TAIL(tail)
    return None if found is None or _METHOD(head) else int(found[1])


def sift(message: SessionMessage, *, server: str, version: Callable[[], str | None]) -> SessionMessage:
    """Give a message whose list (of tools, resources, prompts) has nothing that the `version` spoken does not know, and whose result says of which type it is."""
    said = message.message
    if not isinstance(said, JSONRPCResponse):
        return message
    result, spoken = said.result, version() or _OLDEST
    if spoken in MODERN_PROTOCOL_VERSIONS and _TYPE not in result:
        # MCP 2026-07-28, Results: what does not say it is complete. The library refuses it.
        result = {**result, _TYPE: "complete"}
    field = next((name for name in _LISTED if isinstance(result.get(name), list)), None)
    if field is not None:
        kept = [one for one in result[field] if _is_fit(field, one, result, server, spoken)]
        result = result if len(kept) == len(result[field]) else {**result, field: kept}
    return (
        message if result is said.result else SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=said.id, result=result))
    )


def _is_fit(field: str, one: Any, result: dict[str, Any], server: str, version: str) -> bool:
    try:
        validate_server_result(_LISTED[field], version, {**result, field: [one]})
    except ValidationError as error:
        faults = [fault for fault in error.errors(include_url=False) if fault["loc"][:1] == (field,)]
        if not faults:
            return True  # it is the list that is odd: whoever asked for it is told
        name = one.get("name") if isinstance(one, dict) else None
        why = f"{'.'.join(map(str, faults[0]['loc'][2:]))}: {faults[0]['msg']}"
        if field == "tools":
            log.warning("tool.odd", server=server, tool=str(name)[:128], why=why[:500])
        else:
            log.warning("tool_server.offer_odd", server=server, kind=field, name=str(name)[:128], why=why[:500])
        return False
    except (KeyError, ValueError):
        return True  # a revision that the library does not check
    return True


class Sifted:
    """What a server says, each message after `sift`."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], sift: Sift) -> None:
        self._inner = inner
        self._sift = sift

    @property
    def last_context(self) -> Any:
        """The context in which the last message was sent."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Give the next."""
        return self._sifted(await self._inner.receive())

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        """Give them all."""
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        """Give the next."""
        return self._sifted(await self._inner.__anext__())

    async def __aenter__(self) -> Self:
        """Open it."""
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        """Close it."""
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)

    def _sifted(self, message: SessionMessage | Exception) -> SessionMessage | Exception:
        return message if isinstance(message, Exception) else self._sift(message)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
