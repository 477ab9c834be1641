"""A stream of an Anthropic upstream to the hub's events. Each content block is one item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway.core.answer import skeleton
from gateway.core.errors import UpstreamBroken
from gateway.core.events import (
    ArgumentsDelta,
    Event,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Item, Json, ToolCall
from gateway.dialects.anthropic_messages.answers import decode_item, finished, message_extras
from gateway.dialects.anthropic_messages.errors import stream_error
from gateway.dialects.anthropic_messages.usage import merge_usage
from gateway.dialects.upstream_json import decode_upstream

Raw = dict[str, Json]


class _Wire(msgspec.Struct):
    """The fields of all event types in one, so that each event is decoded once."""

    type: str = ""
    index: int = 0
    delta: Raw = {}
    content_block: Raw = {}
    message: Raw = {}
    usage: Raw | None = None
    error: Raw = {}
    context_management: Json = None


_TEXT_OF = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Type of a delta -> the field with its text."""

_wire = msgspec.json.Decoder(_Wire).decode
_parse = msgspec.json.Decoder().decode


class _Open:
    """The block that is being received: `raw` as it began, and what came since."""

    __slots__ = ("began", "citations", "index", "pieces", "raw", "signature")

    def __init__(self, index: int, raw: Raw) -> None:
        self.index = index
        self.raw = dict(raw)
        self.pieces: list[str] = []
        self.citations: list[Json] = []
        self.signature = ""
        self.began = False


class AnthropicEventDecoder:
    """An EventDecoder for one answer. Blocks are told apart by `index`, so several may be open at a time."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._items = 0
        self._started = False
        self._stopped = False
        self._usage: Raw | None = None
        self._extra: Raw = {}
        self._stop: Raw = {}
        self._handlers: dict[str, Callable[[_Wire], Sequence[Event]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "error": self._error,
        }

    def feed(self, name: str, data: bytes) -> Sequence[Event]:
        """Take one server-sent event. Raises UpstreamRefused for an error event, UpstreamBroken for nonsense."""
        if name == "ping" or self._stopped:
            return ()
        try:
            event = _wire(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = self._odd(data)
        handler = self._handlers.get(event.type)
        if handler is None:
            return ()
        if not self._started and event.type not in ("message_start", "error"):
            msg = f"The upstream's stream began with {event.type[:50]!r} instead of message_start."
            raise UpstreamBroken(msg)
        return handler(event)

    def finish(self) -> Sequence[Event]:
        """The stream has ended. Raises UpstreamBroken when that was before message_stop."""
        if not self._stopped:
            msg = "The upstream's stream ended before message_stop."
            raise UpstreamBroken(msg)
        return ()

    def _odd(self, data: bytes) -> _Wire:
        """Read an event with odd characters, or of a type that came after this was written (it gives nothing)."""
        fields = decode_upstream(data)
        if str(fields.get("type")) not in self._handlers:
            return _Wire()
        try:
            return msgspec.convert(fields, _Wire)
        except msgspec.ValidationError as exc:
            msg = f"The upstream sent an event that is not of the Anthropic API: {exc}"
            raise UpstreamBroken(msg) from exc

    def _message_start(self, event: _Wire) -> Sequence[Event]:
        if self._started:
            msg = "The upstream sent message_start twice."
            raise UpstreamBroken(msg)
        self._started = True
        message = event.message
        usage = message.get("usage")
        self._usage = usage if isinstance(usage, dict) else None
        self._extra = message_extras(message)
        return (Started(id=str(message.get("id", "")), model=str(message.get("model", "")), created=0, target=""),)

    def _block_start(self, event: _Wire) -> Sequence[Event]:
        if event.index in self._open:
            msg = f"The upstream started block {event.index} twice."
            raise UpstreamBroken(msg)
        block = _Open(self._items, event.content_block)
        self._items += 1
        self._open[event.index] = block
        events: list[Event] = [ItemStarted(index=block.index, item=_skeleton(block))]
        # Some upstreams put the first words, or all, into the start.
        kind = block.raw.get("type")
        if kind in ("text", "thinking") and isinstance(text := block.raw.get(kind), str) and text:
            block.pieces.append(text)
            events.append(_piece(block, text))
        return events

    def _block_delta(self, event: _Wire) -> Sequence[Event]:
        block = self._block(event.index)
        delta = event.delta
        kind = str(delta.get("type"))
        if kind in _TEXT_OF:
            text = delta.get(_TEXT_OF[kind])
            if not isinstance(text, str):
                msg = f"The upstream sent a {kind} without its text."
                raise UpstreamBroken(msg)
            if not text:
                return ()
            block.pieces.append(text)
            return () if _is_foreign(block) else (_piece(block, text),)
        if kind == "signature_delta":
            block.signature += str(delta.get("signature", ""))
        elif kind == "citations_delta":
            block.citations.append(delta.get("citation"))
        elif _is_foreign(block):
            _merge(block.raw, delta)
        return ()

    def _block_stop(self, event: _Wire) -> Sequence[Event]:
        block = self._block(event.index)
        del self._open[event.index]
        item = _whole(block)
        events: list[Event] = []
        if isinstance(item, ToolCall) and not block.pieces:
            events.append(ArgumentsDelta(index=block.index, text=item.arguments))
        events.append(ItemFinished(index=block.index, item=item))
        return events

    def _block(self, index: int) -> _Open:
        block = self._open.get(index)
        if block is None:
            msg = f"The upstream went on with block {index}, which is not open."
            raise UpstreamBroken(msg)
        return block

    def _message_delta(self, event: _Wire) -> Sequence[Event]:
        if event.usage is not None:
            self._usage = merge_usage(self._usage or {}, event.usage)
        self._stop = {**self._stop, **event.delta}
        if event.context_management is not None:
            self._extra["context_management"] = event.context_management
        return ()

    def _message_stop(self, _: _Wire) -> Sequence[Event]:
        if self._open:
            msg = "The upstream's message ended with a block still open."
            raise UpstreamBroken(msg)
        self._stopped = True
        stop = self._stop
        more = {name: value for name, value in stop.items() if name not in ("stop_reason", "stop_sequence")}
        # A null in the end leaves what the start said.
        extra = merge_usage(self._extra, more)
        return (
            finished(
                stop_reason=stop.get("stop_reason"),
                stop_sequence=stop.get("stop_sequence"),
                usage=self._usage,
                extra=extra,
            ),
        )

    def _error(self, event: _Wire) -> Sequence[Event]:
        raise stream_error(event.error)


def _is_foreign(block: _Open) -> bool:
    return block.raw.get("type") not in ("text", "thinking", "tool_use")


def _skeleton(block: _Open) -> Item:
    raw = block.raw
    kind = raw.get("type")
    if kind == "thinking":
        raw = {"type": "thinking", "thinking": "", "signature": "", **raw}
    elif kind == "text":
        raw = {**raw, "text": ""}
    elif kind == "tool_use":
        raw = {**raw, "input": {}}
    return skeleton(decode_item(raw, block.index))


def _piece(block: _Open, text: str) -> Event:
    kind = block.raw["type"]
    if kind == "text":
        return TextDelta(index=block.index, text=text)
    if kind == "thinking":
        return ReasoningDelta(index=block.index, text=text)
    return ArgumentsDelta(index=block.index, text=text)


def _whole(block: _Open) -> Item:
    """Put the block together and translate it as one of a whole answer, so that both ways give the same item."""
    raw = block.raw
    text = "".join(block.pieces)
    kind = raw.get("type")
    if kind == "text":
        citations = [*(raw.get("citations") or ()), *block.citations]
        return decode_item({**raw, "text": text, **({"citations": citations} if citations else {})}, block.index)
    if kind == "thinking":
        signature = block.signature or raw.get("signature") or ""
        return decode_item({**raw, "thinking": text, "signature": signature}, block.index)
    if kind == "tool_use":
        item = decode_item({**raw, "input": {}} if text else raw, block.index)
        # The text itself, not its meaning: a call cut off by max_tokens is no JSON, and no byte of it is lost.
        return msgspec.structs.replace(item, arguments=text) if text and isinstance(item, ToolCall) else item
    if text:
        _merge(raw, {"input": _input(text)})
    return decode_item(raw, block.index)


def _input(text: str) -> Json:
    try:
        return _parse(text)
    except msgspec.DecodeError as exc:
        msg = "The upstream sent the input of a server tool that is not JSON."
        raise UpstreamBroken(msg) from exc


def _merge(raw: Raw, delta: Raw) -> None:
    """Put the delta of a block that nobody here knows on it: texts grow, everything else is set."""
    for name, value in delta.items():
        if name == "type" or value is None:
            continue
        before = raw.get(name)
        raw[name] = before + value if isinstance(before, str) and isinstance(value, str) else value
