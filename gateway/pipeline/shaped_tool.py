"""Makes a text of the arguments of the tool that was to be called in an answer's stead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.events import ArgumentsDelta, Event, Finished, ItemFinished, ItemStarted, TextDelta
from gateway.core.items import Json, Message, Text, ToolCall
from gateway.core.responder import Send
from gateway.dialects.openai_chat.wire import choice_of

_CHAT: Final = "openai_chat"


class ToolAsText:
    """A Send. What a model says beside its call is left out; where it calls nothing, its text is passed on."""

    def __init__(self, send: Send, name: str) -> None:
        self._send = send
        self._name = name
        # By the index of an item, the choice that it belongs to.
        self._texts: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._held: list[tuple[int, Event]] = []

    async def __call__(self, event: Event) -> None:
        """Pass an event on, or hold it back."""
        if isinstance(event, ItemStarted) and isinstance(event.item, Message):
            self._texts[event.index] = choice_of(event.item)
        if isinstance(event, ItemStarted) and isinstance(event.item, ToolCall) and event.item.name == self._name:
            self._calls[event.index] = choice_of(event.item)
        index = getattr(event, "index", None)
        if isinstance(event, Finished):
            await self._finish(event)
        elif index in self._texts:
            self._held.append((self._texts[index], event))
        else:
            await self._send(self._translated(event))

    async def _finish(self, event: Finished) -> None:
        called = set(self._calls.values())
        for choice, held in self._held:
            if choice not in called:
                await self._send(held)
        if not called:
            await self._send(event)
            return
        reason = "stop" if event.reason == "tool_calls" and 0 in called else event.reason
        detail = {**event.detail, _CHAT: _stopped(event.detail.get(_CHAT) or {}, called)}
        await self._send(msgspec.structs.replace(event, reason=reason, detail=detail))

    def _translated(self, event: Event) -> Event:
        if getattr(event, "index", None) not in self._calls:
            return event
        if isinstance(event, ArgumentsDelta):
            return TextDelta(index=event.index, text=event.text)
        if isinstance(event, ItemStarted) and isinstance(event.item, ToolCall):
            return ItemStarted(index=event.index, item=_message(event.item, parts=()))
        if isinstance(event, ItemFinished) and isinstance(event.item, ToolCall):
            return ItemFinished(index=event.index, item=_message(event.item, parts=(Text(text=event.item.arguments),)))
        return event


def _message(call: ToolCall, *, parts: tuple[Text, ...]) -> Message:
    number = choice_of(call)
    return Message(role="assistant", parts=parts, rest={_CHAT: {"$choice": number}} if number else {})


def _stopped(detail: Mapping[str, Json], called: set[int]) -> dict[str, Json]:
    reasons = {
        number: "stop" if one == "tool_calls" and int(number) in called else one
        for number, one in (detail.get("reasons") or {}).items()
    }
    return {**detail, "reasons": reasons} if reasons else dict(detail)
