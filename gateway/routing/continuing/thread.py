"""An answer on its way out, told by one target after another: what it has said so far, and the way on for who continues it.

It is told by events, and only a single text can be gone on with: nothing else is known to be whole where it broke off.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec

from gateway.core.decision import Decision
from gateway.core.events import (
    ArgumentsDelta,
    Continued,
    CutShort,
    Decided,
    Degraded,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Spent,
    Started,
    TextDelta,
    Tried,
)
from gateway.core.items import Item, Message, Reasoning, Text
from gateway.core.responder import NOTHING, Send
from gateway.core.usage import BYTES_A_TOKEN, Usage

MOST_BYTES: Final = 1_000_000
"""Of a text that is kept to be gone on with: at least so many of its characters, at most four times as many bytes."""
_BESIDE: Final = (Tried, Degraded, Spent, Started)


class Thread:
    """A Send: what the first target says goes on as it is.

    `target` is who speaks, `text` what has been said, `cut` what who broke off has used.
    """

    def __init__(self, send: Send) -> None:
        self.send = send
        self.target = ""
        self.cut: CutShort | None = None
        self.decision: Decision | None = None
        self.item: ItemStarted | None = None
        self._said: list[str] = []
        self._size = 0
        self._fit = True

    def __call__(self, event: Event) -> Awaitable[None]:
        """Note it, and pass it on; what it cost is kept until it is known to whom that belongs."""
        kind = type(event)
        if kind is TextDelta:
            self.take(event)  # type: ignore[arg-type]  # `kind is` does not narrow; isinstance costs more
        elif isinstance(event, CutShort):
            self.cut = event
            return NOTHING
        elif isinstance(event, Started):
            self.target = event.target
        elif isinstance(event, Decided):
            self.decision = event.decision
        elif isinstance(event, ItemStarted) and self.item is None and _is_said(event.item):
            self.item = event
        elif not isinstance(event, _BESIDE):
            self.spoil()
        return self.send(event)

    @property
    def text(self) -> str:
        """All that has been said."""
        return "".join(self._said)

    @property
    def can_go_on(self) -> bool:
        """Whether it is a text that has begun, and is not over."""
        return self._fit and self.item is not None

    def take(self, delta: TextDelta) -> None:
        """More of the text, or of something else."""
        item = self.item
        if item is None or delta.index != item.index or delta.part or delta.logprobs or self._size > MOST_BYTES:
            self.spoil()
        elif self._fit:
            self._said.append(delta.text)
            self._size += len(delta.text)

    def spoil(self) -> None:
        """From here on nobody else can go on with it."""
        self._fit = False
        self._said.clear()

    async def give_up(self) -> None:
        """Nobody goes on: what the last one used is the answer's."""
        if self.cut is not None:
            await self.send(self.cut)
            self.cut = None

    def used(self, prompt_bytes: int) -> Usage:
        """Give what who broke off has used, estimated where it did not say."""
        if self.cut is not None:
            return self.cut.usage
        return Usage(input=prompt_bytes // BYTES_A_TOKEN, output=self._size // BYTES_A_TOKEN, estimated=True)


class Onward:
    """A Send for who goes on with a thread: its first message continues the one that broke off, under the same number and id.

    White space with which the text ended was not given to it, for that is refused or lost: what it repeats of that is left out.
    Thinking is left out: it would come after the text that it is about. `begun` is whether it has.
    """

    def __init__(self, thread: Thread, repeated: str, prompt_bytes: int) -> None:
        self._thread = thread
        self._repeated = repeated
        self._prompt_bytes = prompt_bytes
        self._numbers: dict[int, int | None] = {}
        self._own: int | None = None  # the number of the message that goes on
        self._next = 1 if thread.item is None else thread.item.index + 1
        self.begun = False

    async def __call__(self, event: Event) -> None:
        """Take the next event."""
        thread = self._thread
        if isinstance(event, TextDelta):
            await self._say(event)
        elif isinstance(event, Started):
            await self._begin(event)
        elif isinstance(event, CutShort):
            thread.cut = event
        elif isinstance(event, ItemStarted):
            await self._open(event)
        elif isinstance(event, ItemFinished):
            await self._close(event)
        elif isinstance(event, (ArgumentsDelta, ReasoningDelta, RefusalDelta)):
            if (number := self._numbers.get(event.index)) is not None:
                thread.spoil()
                await thread.send(msgspec.structs.replace(event, index=number))
        elif isinstance(event, Finished):
            await self._end_message(None)
            await thread.send(event)
        else:
            await thread.send(event)

    async def _begin(self, event: Started) -> None:
        self.begun = True
        thread = self._thread
        await thread.send(Spent(target=thread.target, usage=thread.used(self._prompt_bytes), why="continuation"))
        thread.decision = _told(thread.decision, event.target, thread.target)
        thread.target, thread.cut = event.target, None
        await thread.send(Continued(target=event.target, decision=thread.decision))

    async def _say(self, event: TextDelta) -> None:
        number = self._numbers.get(event.index)
        if number is None:
            return
        text = event.text
        if event.index == self._own and event.part == 0:
            text = self._without_repeated(text)
        if text:
            delta = TextDelta(index=number, part=event.part, text=text)
            self._thread.take(delta)
            await self._thread.send(delta)

    def _without_repeated(self, text: str) -> str:
        same = 0
        while same < len(text) and same < len(self._repeated) and text[same] == self._repeated[same]:
            same += 1
        # What differs once is new from there on.
        self._repeated = self._repeated[same:] if same == len(text) else ""
        return text[same:]

    async def _open(self, event: ItemStarted) -> None:
        thread = self._thread
        if isinstance(event.item, Reasoning):
            self._numbers[event.index] = None
        elif self._own is None and thread.item is not None and _is_said(event.item):
            self._own, self._numbers[event.index] = event.index, thread.item.index
        else:
            await self._end_message(None)
            number = self._numbers[event.index] = self._next
            self._next += 1
            thread.spoil()
            await thread.send(ItemStarted(index=number, item=event.item))

    async def _close(self, event: ItemFinished) -> None:
        number = self._numbers.get(event.index)
        if event.index == self._own:
            await self._end_message(event.item)
        elif number is not None:
            await self._thread.send(ItemFinished(index=number, item=event.item))

    async def _end_message(self, item: Item | None) -> None:
        """Close the message that broke off; `item` is as who went on with it sees it, None where it added none."""
        thread = self._thread
        begun, text = thread.item, thread.text
        if begun is None or not isinstance(begun.item, Message):
            return
        thread.item = None
        parts = item.parts if isinstance(item, Message) else ()
        first = (
            msgspec.structs.replace(parts[0], text=text) if parts and isinstance(parts[0], Text) else Text(text=text)
        )
        whole = msgspec.structs.replace(begun.item, parts=(first, *parts[1:]))
        thread.spoil()
        await thread.send(ItemFinished(index=begun.index, item=whole))


def _is_said(item: Item) -> bool:
    return isinstance(item, Message) and not item.parts


def _told(decision: Decision | None, target: str, dead: str) -> Decision | None:
    """Give the decision with who went on, and why."""
    if decision is None:
        return None
    why = f"went on where {dead} broke off"
    considered = [msgspec.structs.replace(one, why=why) if one.target == target else one for one in decision.considered]
    return msgspec.structs.replace(decision, considered=tuple(considered))
