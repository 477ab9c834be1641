"""Puts values back into the events of an answer. It knows no rules, and keeps what it holds back as short as a placeholder."""

from __future__ import annotations

import msgspec

from gateway.core.events import (
    ASIDE,
    ArgumentsDelta,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Verbatim,
)
from gateway.core.items import Item, Json, ToolCall
from gateway.core.responder import Send
from gateway.protection.content_walk import walk
from gateway.protection.placeholders import Placeholders
from gateway.protection.restoring import Restorer, restored, restored_json

Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta
Channel = tuple[int, str, int]


def channel_of(delta: Delta) -> Channel:
    """Give the text that a delta goes on with: item, what kind of text, and part."""
    if isinstance(delta, ArgumentsDelta):
        return delta.index, "arguments", 0
    if isinstance(delta, ReasoningDelta):
        return delta.index, delta.kind, delta.part
    return delta.index, type(delta).__name__, delta.part


class Restoring:
    """A Send that restores what passes. Pieces of text may come a little later and longer; nothing else changes."""

    def __init__(self, send: Send, placeholders: Placeholders) -> None:
        self._send = send
        self._placeholders = placeholders
        self._channels: dict[Channel, tuple[Restorer, Delta]] = {}
        self._calls: dict[int, ToolCall] = {}

    async def __call__(self, event: Event) -> None:
        """Take the next event. Raises RuntimeError for bytes, which cannot be restored."""
        if isinstance(event, Delta):
            await self._delta(event)
        elif isinstance(event, ItemStarted):
            if isinstance(event.item, ToolCall):
                self._calls[event.index] = event.item
            await self._send(ItemStarted(index=event.index, item=self._item(event.item)))
        elif isinstance(event, ItemFinished):
            await self._flush(event.index)
            await self._send(ItemFinished(index=event.index, item=self._item(event.item)))
        elif isinstance(event, Verbatim):
            msg = "the answer to a redacted call came as bytes"
            raise RuntimeError(msg)  # noqa: TRY004 - not a wrong argument: a broken promise of the route's
        elif isinstance(event, (Started, *ASIDE)):
            await self._send(event)
        else:
            await self._end(event)

    async def _delta(self, delta: Delta) -> None:
        channel = channel_of(delta)
        if channel not in self._channels:
            call = self._calls.get(delta.index)
            in_json = isinstance(delta, ArgumentsDelta) and (call is None or call.kind == "function")
            self._channels[channel] = (Restorer(self._placeholders, in_json=in_json), delta)
        text = self._channels[channel][0].feed(delta.text)
        if text or getattr(delta, "logprobs", None):
            await self._send(msgspec.structs.replace(delta, text=text))

    async def _flush(self, index: int | None = None) -> None:
        """Say what was held back of an item, or of all."""
        for channel in [channel for channel in self._channels if index is None or channel[0] == index]:
            restorer, like = self._channels.pop(channel)
            if text := restorer.finish():
                rest = {"logprobs": None} if isinstance(like, TextDelta) else {}
                await self._send(msgspec.structs.replace(like, text=text, **rest))

    async def _end(self, event: Event) -> None:
        await self._flush()
        if isinstance(event, Finished) and event.stop_sequence is not None:
            stopped = restored(event.stop_sequence, self._placeholders)
            event = msgspec.structs.replace(event, stop_sequence=stopped)
        await self._send(event)

    def _item(self, item: Item) -> Item:
        return walk(item, _Change(self._placeholders, in_json=isinstance(item, ToolCall) and item.kind == "function"))


class _Change:
    """Restores the texts of an item."""

    def __init__(self, placeholders: Placeholders, *, in_json: bool) -> None:
        self._placeholders = placeholders
        self._in_json = in_json

    def text(self, text: str, key: str = "") -> str:
        return restored(text, self._placeholders, in_json=self._in_json and key == "arguments")

    def json(self, value: Json, key: str = "") -> Json:
        del key
        return restored_json(value, self._placeholders)
