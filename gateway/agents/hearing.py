"""Listening to one answer of a model: what it asks tools of this server for is kept back, everything else is passed on.

A client must never see such a call as one that it has to make by itself. What is asked for is known when the answer has ended, not before:
a call whose answer was cut off is none.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

import msgspec

from gateway.core.events import ArgumentsDelta, Event, Finished, FinishReason, ItemFinished, ItemStarted
from gateway.core.items import ToolCall

_WHOLE: Final[tuple[FinishReason, ...]] = ("stop", "tool_calls", "stop_sequence", "pause")


class Hearing:
    """One answer. `own` are the names of the client's functions: what goes by another name is for this server.

    `wanted` are the calls that were asked for, in the order in which they began; `handed` whether the client has calls to make.
    """

    def __init__(self, own: Container[str]) -> None:
        self._own = own
        self._kept: dict[int, ToolCall | None] = {}
        self._texts: dict[int, list[str]] = {}
        self._whole = False
        self.handed = False

    def take(self, event: Event) -> Sequence[Event]:
        """Give what is for the client of one event."""
        if isinstance(event, ItemStarted):
            return self._start(event)
        if isinstance(event, ArgumentsDelta) and event.index in self._kept:
            self._texts.setdefault(event.index, []).append(event.text)
            return ()
        if isinstance(event, ItemFinished) and event.index in self._kept:
            return self._finish(event)
        if isinstance(event, ItemFinished) and isinstance(event.item, ToolCall):
            self.handed = True
        if isinstance(event, Finished):
            self._whole = event.reason in _WHOLE
        return (event,)

    @property
    def wanted(self) -> Sequence[ToolCall]:
        """The calls for this server; none of an answer that was cut off, and none whose end was not heard."""
        if not self._whole:
            return ()
        return [call for _, call in sorted(self._kept.items()) if call is not None]

    def _start(self, event: ItemStarted) -> Sequence[Event]:
        item = event.item
        if not isinstance(item, ToolCall) or item.kind == "custom" or item.name in self._own:
            return (event,)
        self._kept[event.index] = None
        return ()

    def _finish(self, event: ItemFinished) -> Sequence[Event]:
        item = event.item
        if not isinstance(item, ToolCall):
            return ()
        if not item.arguments:
            item = msgspec.structs.replace(item, arguments="".join(self._texts.get(event.index, ())))
        if item.name not in self._own:
            self._kept[event.index] = item
            return ()
        # Its name came late, and it is the client's after all.
        del self._kept[event.index]
        self.handed = True
        begun = ItemStarted(index=event.index, item=msgspec.structs.replace(item, arguments=""))
        return (
            begun,
            ArgumentsDelta(index=event.index, text=item.arguments),
            msgspec.structs.replace(event, item=item),
        )
