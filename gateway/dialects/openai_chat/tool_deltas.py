"""Puts tool calls together from deltas, as the many kinds of upstreams send them.

Seen in the wild: no index; one index for several calls; the id or the name late, or repeated in each delta; two calls in one
delta; arguments that are never closed. Two calls are never merged into one; what cannot be told apart begins a new call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from gateway.core.events import ArgumentsDelta, Event, ItemFinished, ItemStarted
from gateway.core.items import Json, ToolCall
from gateway.dialects.openai_chat.names import NAME

_FIELDS = {"index", "id", "type", "function", "custom"}


class _Open:
    """A call that may still grow."""

    def __init__(self, kind: Literal["function", "custom"]) -> None:
        self.kind: Literal["function", "custom"] = kind
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.item: int | None = None
        self.more: dict[str, Json] = {}

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class _Delta:
    """One entry of `tool_calls`, with every field in a form that can be trusted."""

    def __init__(self, raw: dict[str, Json]) -> None:
        index = raw.get("index")
        self.index = index if isinstance(index, int) else None
        self.id = _text(raw.get("id"))
        custom = raw.get("custom")
        self.kind: Literal["function", "custom"] = "custom" if isinstance(custom, dict) else "function"
        body: Any = custom if isinstance(custom, dict) else raw.get("function")
        body = body if isinstance(body, dict) else {}
        self.name = _text(body.get("name"))
        self.text = _arguments(body.get("arguments" if self.kind == "function" else "input"))
        self.more = {name: value for name, value in raw.items() if name not in _FIELDS and value is not None}


class CallAssembler:
    """Takes the `tool_calls` of deltas, gives events. `number` gives the next item's index, `invent` an id for a call."""

    def __init__(self, number: Callable[[], int], invent: Callable[[], str], rest: dict[str, Json]) -> None:
        self._number = number
        self._invent = invent
        self._rest = rest
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}

    def feed(self, deltas: list[Json]) -> Iterator[Event]:
        """Take the `tool_calls` of one delta."""
        touched: list[_Open] = []
        for raw in deltas:
            if not isinstance(raw, dict):
                continue
            delta = _Delta(raw)
            call = self._find(delta, touched)
            if call is None:
                call = _Open(delta.kind)
                self._calls.append(call)
            if delta.index is not None:
                self._by_index[delta.index] = call
            touched.append(call)
            yield from self._grow(call, delta)

    def _find(self, delta: _Delta, touched: list[_Open]) -> _Open | None:
        """Give the open call that `delta` continues, None where it begins one."""
        if delta.id and (same := next((call for call in self._calls if call.id == delta.id), None)):
            return same
        if delta.index is not None:
            call = self._by_index.get(delta.index)
        else:
            call = self._calls[-1] if self._calls else None
            if call in touched:
                return None
        return call if call is not None and _continues(call, delta) else None

    def _grow(self, call: _Open, delta: _Delta) -> Iterator[Event]:
        call.id = call.id or delta.id
        call.name = call.name or delta.name
        call.more.update(delta.more)
        if delta.text:
            call.pieces.append(delta.text)
        if call.item is not None:
            if delta.text:
                yield ArgumentsDelta(index=call.item, text=delta.text)
        elif call.id and call.name:
            yield from self._begin(call)

    def _begin(self, call: _Open) -> Iterator[Event]:
        call.item = self._number()
        yield ItemStarted(index=call.item, item=self._item(call, ""))
        if call.pieces:
            yield ArgumentsDelta(index=call.item, text=call.arguments)

    def finish(self) -> Iterator[Event]:
        """The answer is complete: give what was held back, and every call as a whole."""
        for call in self._calls:
            if not call.name and not call.pieces:
                continue
            call.id = call.id or self._invent()
            if call.item is None:
                yield from self._begin(call)
            if call.item is not None:
                yield ItemFinished(index=call.item, item=self._item(call, call.arguments))
        self._calls.clear()
        self._by_index.clear()

    def _item(self, call: _Open, arguments: str) -> ToolCall:
        rest = {NAME: {**self._rest.get(NAME, {}), **call.more}} if call.more else self._rest
        return ToolCall(call_id=call.id, name=call.name, arguments=arguments, kind=call.kind, rest=rest)


def _continues(call: _Open, delta: _Delta) -> bool:
    """Whether `delta`, which points at `call`, can be more of it."""
    if delta.id and call.id:
        return False  # equal ids were found before
    if delta.name and call.name:
        # The name again: a habit of some upstreams, or another call of the same function.
        return delta.name == call.name and not delta.id and not _is_whole(call.arguments)
    # A late id comes alone, or with a piece; id and name together after some arguments are the next call.
    return not (delta.id and delta.name and call.pieces)


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Json) -> str:
    """Some upstreams send the arguments as an object."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else ""
