"""An answer on its way out that may have to end early: it knows what has been said, and how to end so that clients understand.

The end is an answer like any other: open items are finished with what was said of them, and the finish reason is
`content_filter`. Nobody here judges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import msgspec

from gateway.core.call import Call
from gateway.core.events import (
    CutShort,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from gateway.core.items import Item, Message, Reasoning, Refusal, Text
from gateway.core.responder import Send
from gateway.core.usage import Usage

_CHARS_A_TOKEN = 4  # of English text, on average; for estimates only


class Stopped(Exception):
    """Not an error: the way out of a provider whose answer is not wanted any more."""


class Held:
    """The way to the client, and what has gone there.

    Unless `marks`, no log probabilities go there: they spell out what is held back or taken out, and what else might have
    been said, which nobody has judged.
    """

    def __init__(self, send: Send, call: Call, *, marks: bool = False) -> None:
        self._send = send
        self._marks = marks
        self._call = call
        self._open: dict[int, Item] = {}
        self._said: dict[tuple[int, str, int], list[str]] = {}
        self._items = 0
        self.usage: Usage | None = None
        self.heard = 0
        self.stopped = False

    async def send(self, event: Event) -> None:
        """Pass an event on to the client."""
        if not self._marks:
            event = _without_marks(event)
        if isinstance(event, ItemStarted):
            self._open[event.index] = event.item
            self._items = max(self._items, event.index + 1)
        elif isinstance(event, (TextDelta, RefusalDelta)):
            self._said.setdefault((event.index, type(event).__name__, event.part), []).append(event.text)
        elif isinstance(event, ReasoningDelta):
            self._said.setdefault((event.index, event.kind, event.part), []).append(event.text)
        elif isinstance(event, ItemFinished):
            self._open.pop(event.index, None)
        await self._send(event)

    def stop(self) -> Stopped:
        """From now on nothing of the answer passes. Gives what to raise, so that the provider ends."""
        self.stopped = True
        return Stopped()

    def cut_short(self, event: CutShort) -> None:
        """The provider has ended, and says what that has used."""
        self.usage = self.usage or event.usage

    async def until_stopped(self, answering: Awaitable[None]) -> None:
        """Wait for the answer; when it was stopped, end it."""
        try:
            await answering
        except asyncio.CancelledError:
            raise
        except BaseException:
            if not self.stopped:
                raise
        if self.stopped:
            await self.close()

    async def close(self) -> None:
        """End the answer where it is."""
        if not self._items:
            empty = Message(role="assistant", parts=())
            await self._send(ItemStarted(index=0, item=empty))
            await self._send(ItemFinished(index=0, item=empty))
        for index, item in sorted(self._open.items()):
            await self._send(ItemFinished(index=index, item=self._as_said(index, item)))
        await self._send(Finished(reason="content_filter", usage=self.usage or self._estimate()))

    def _as_said(self, index: int, item: Item) -> Item:
        said = {key[1:]: "".join(texts) for key, texts in sorted(self._said.items()) if key[0] == index}
        if isinstance(item, Message):
            parts = [
                Refusal(text=text) if kind == RefusalDelta.__name__ else Text(text=text)
                for (kind, _), text in sorted(said.items(), key=lambda entry: entry[0][1])
            ]
            return msgspec.structs.replace(item, parts=tuple(parts))
        if isinstance(item, Reasoning):
            summary = tuple(text for (kind, _), text in said.items() if kind == "summary")
            return msgspec.structs.replace(item, text=said.get(("text", 0), ""), summary=summary)
        return item

    def _estimate(self) -> Usage:
        size = len(self._call.body) // _CHARS_A_TOKEN
        return Usage(input=size, output=self.heard // _CHARS_A_TOKEN, estimated=True)


def _without_marks(event: Event) -> Event:
    """Give an event without log probabilities."""
    if isinstance(event, TextDelta) and event.logprobs:
        return msgspec.structs.replace(event, logprobs=None)
    if isinstance(event, ItemFinished) and isinstance(event.item, Message):
        parts = [
            msgspec.structs.replace(part, logprobs=None) if isinstance(part, Text) and part.logprobs else part
            for part in event.item.parts
        ]
        return ItemFinished(index=event.index, item=msgspec.structs.replace(event.item, parts=tuple(parts)))
    return event
