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
from pydantic import ValidationError

log = structlog.get_logger()

EDGE: Final = 256
"""Bytes of a message's beginning and end in which its id is looked for, where the whole cannot be read."""

_HEAD: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*,').match
_TAIL: Final = re.compile(rb'[,{]\s*"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z').search
_METHOD: Final = re.compile(rb'"method"\s*:').search
_LISTED: Final = "tools/list"
_OLDEST: Final = "2025-11-25"

Sift = Callable[[SessionMessage], SessionMessage]


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
    """Give a message whose list of tools has none that the `version` spoken does not know; any other as it is."""
    said = message.message
    if not isinstance(said, JSONRPCResponse) or not isinstance(said.result.get("tools"), list):
        return message
    spoken = version() or _OLDEST
    kept = [tool for tool in said.result["tools"] if _is_fit(tool, said.result, server, spoken)]
    if len(kept) == len(said.result["tools"]):
        return message
    return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=said.id, result={**said.result, "tools": kept}))


def _is_fit(tool: Any, result: dict[str, Any], server: str, version: str) -> bool:
    try:
        validate_server_result(_LISTED, version, {**result, "tools": [tool]})
    except ValidationError as error:
        faults = [fault for fault in error.errors(include_url=False) if fault["loc"][:1] == ("tools",)]
        if not faults:
            return True  # it is the list that is odd: whoever asked for it is told
        name = tool.get("name") if isinstance(tool, dict) else None
        why = f"{'.'.join(map(str, faults[0]['loc'][2:]))}: {faults[0]['msg']}"
        log.warning("tool.odd", server=server, tool=str(name)[:128], why=why[:500])
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
