"""What is done to an answer so that it is as if the target had known a parameter. It works on pieces, and holds back no more than it must.

Texts are ended at stop sequences or taken out of a Markdown fence; of several tool calls one is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from gateway.core.items import Item, Message, Part, Text, ToolCall
from gateway.core.responder import Responder, Send

_FENCE = re.compile(r"\s*```[a-zA-Z]*[ \t]*\r?\n?")
_LONGEST_OPENING = 32
"""Characters in which a fence with its language has begun, if there is one."""
_CLOSING = re.compile(r"\s*(?:```\s*)?\Z")

_OF_ITEMS = (ItemStarted, TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta, ItemFinished)


class Cut:
    """Ends a text before the first of some stop sequences. `found` is the one that ended it."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """Give the text up to what may be the beginning of a stop sequence."""
        if self.found is not None:
            return ""
        held = self._held + text
        places = [(place, stop) for stop in self._stops if (place := held.find(stop)) >= 0]
        if places:
            place, self.found = min(places)
            self._held = ""
            return held[:place]
        keep = max((_overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def end(self) -> str:
        """Give what looked like the beginning of a stop sequence and was none."""
        held, self._held = self._held, ""
        return held


class Unfenced:
    """Takes a text out of the Markdown fence that it may stand in. What follows the fence is left out too.

    JSON has no line breaks inside its texts, so that a line which begins with a fence ends it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._begun = False
        self._inside: Cut | None = None

    def feed(self, text: str) -> str:
        """Give what is surely inside."""
        if not self._begun:
            self._held += text
            if len(self._held) < _LONGEST_OPENING and "{" not in self._held:
                return ""
            text = self._begin()
        if self._inside is None:
            return text
        # The closing fence may also stand right behind the text, or the space before it be under way.
        held = self._held + self._inside.feed(text)
        kept = held.rstrip("` \t\r\n")
        self._held = held[len(kept) :]
        return kept

    def end(self) -> str:
        """Give the rest, without the fence's end."""
        rest = "" if self._begun else self._all()
        if self._inside is None:
            return rest
        return rest + _CLOSING.sub("", self._held + self._inside.end())

    def _all(self) -> str:
        """Give a short text that has ended before anything could be said of it."""
        text = self._begin()
        return text if self._inside is None else self._inside.feed(text)

    def _begin(self) -> str:
        self._begun = True
        held, self._held = self._held, ""
        opening = _FENCE.match(held)
        if opening is None:
            return held
        self._inside = Cut(("\n```",))
        return held[opening.end() :]


class Edits(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done to an answer: a fence taken off, texts ended at stop sequences, only the first tool call kept."""

    unfence: bool = False
    stops: tuple[str, ...] = ()
    one_call: bool = False


def edits_for(prompt: Prompt, names: Collection[str]) -> Edits | None:
    """Give what has to be done to an answer where these parameters are emulated; None for nothing."""
    edits = Edits(
        unfence="json_object" in names or "json_schema" in names,
        stops=prompt.stop if "stop" in names else (),
        one_call="parallel_tool_calls" in names,
    )
    return None if edits == Edits() else edits


class Editing:
    """A Responder whose answers are edited."""

    def __init__(self, inner: Responder, edits: Edits) -> None:
        self._inner = inner
        self._edits = edits

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder."""
        await self._inner(call, _Edited(send, self._edits))


class _Edited:
    """A Send that edits one answer."""

    def __init__(self, send: Send, edits: Edits) -> None:
        self._send = send
        self._edits = edits
        self._texts: dict[tuple[int, int], _Text] = {}
        self._hidden: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._calls = 0
        self._stopped: str | None = None
        self._stopped_at: tuple[int, int] | None = None

    async def __call__(self, event: Event) -> None:
        """Pass on what is left of it."""
        if isinstance(event, _OF_ITEMS):
            await self._item(event)
        elif isinstance(event, Finished) and self._stopped is not None:
            await self._send(msgspec.structs.replace(event, reason="stop_sequence", stop_sequence=self._stopped))
        else:
            await self._send(event)

    async def _item(
        self, event: ItemStarted | TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta | ItemFinished
    ) -> None:
        index = event.index
        if isinstance(event, ItemStarted) and self._hides(event.item):
            self._hidden.add(index)
        if index in self._hidden:
            return
        number = self._numbers.setdefault(index, len(self._numbers))
        if isinstance(event, TextDelta):
            await self._text(event, number)
        elif isinstance(event, ItemFinished):
            await self._send(ItemFinished(index=number, item=await self._whole(event, number)))
        else:
            await self._send(msgspec.structs.replace(event, index=number))

    def _hides(self, item: Item) -> bool:
        """Whether an item would not be there: it comes after the stop sequence, or is a further call."""
        if self._stopped is not None:
            return True
        if not self._edits.one_call or not isinstance(item, ToolCall):
            return False
        self._calls += 1
        return self._calls > 1

    async def _text(self, event: TextDelta, number: int) -> None:
        if self._beyond(event.index, event.part):
            return
        out = self._of(event.index, event.part).feed(event.text)
        self._note(event.index, event.part)
        if out:
            logprobs = event.logprobs if out == event.text else None
            await self._send(TextDelta(index=number, part=event.part, text=out, logprobs=logprobs))

    async def _whole(self, event: ItemFinished, number: int) -> Item:
        if not isinstance(event.item, Message):
            return event.item
        parts: list[Part] = []
        for place, part in enumerate(event.item.parts):
            if self._beyond(event.index, place):
                continue
            if not isinstance(part, Text):
                parts.append(part)
                continue
            text = self._of(event.index, place)
            if not text.fed:
                text.feed(part.text)
            before = len(text.said)
            text.end()
            self._note(event.index, place)
            if rest := text.said[before:]:
                await self._send(TextDelta(index=number, part=place, text=rest))
            parts.append(
                part if text.said == part.text else msgspec.structs.replace(part, text=text.said, logprobs=None)
            )
        return msgspec.structs.replace(event.item, parts=tuple(parts))

    def _of(self, index: int, part: int) -> _Text:
        found = self._texts.get((index, part))
        if found is None:
            found = self._texts[index, part] = _Text(self._edits)
        return found

    def _note(self, index: int, part: int) -> None:
        found = self._texts[index, part].cut
        if found is not None and found.found is not None:
            self._stopped = self._stopped or found.found
            self._stopped_at = self._stopped_at or (index, part)

    def _beyond(self, index: int, part: int) -> bool:
        """Whether a part comes after the one that a stop sequence has ended."""
        return self._stopped_at is not None and index == self._stopped_at[0] and part > self._stopped_at[1]


class _Text:
    """One text on its way through the edits. `said` is what has gone out."""

    def __init__(self, edits: Edits) -> None:
        self._unfenced = Unfenced() if edits.unfence else None
        self.cut = Cut(edits.stops) if edits.stops else None
        self.said = ""
        self.fed = False

    def feed(self, text: str) -> str:
        """Take a piece, and give what goes out of it."""
        self.fed = True
        if self._unfenced is not None:
            text = self._unfenced.feed(text)
        if self.cut is not None:
            text = self.cut.feed(text)
        self.said += text
        return text

    def end(self) -> None:
        """Let out what was held back."""
        if self._unfenced is not None:
            rest = self._unfenced.end()
            self.said += rest if self.cut is None else self.cut.feed(rest)
        if self.cut is not None:
            self.said += self.cut.end()


def _overlap(text: str, stop: str) -> int:
    """Give how many characters at the end of a text may be the beginning of a stop sequence."""
    for many in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:many]):
            return many
    return 0
