"""What of an answer may go out while it is still being made: what can still become one of the form that was asked for.

Nothing goes out before the first character of a document. What then cannot become one any more ends the answer with an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

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
from gateway.core.items import Item, Json, Message, Text, ToolCall
from gateway.core.responder import Send
from gateway.dialects.openai_chat.wire import choice_of
from gateway.pipeline.shaped_faults import Judge, faults_of_call, free_text
from gateway.pipeline.shaped_wish import OBJECT, Wish

_CLOSERS: Final = re.compile(r"(?<=[}\]])")
_BEGINNING: Final = re.compile(r"[\[{]")
_OTHER_PIECES: Final = "what came in pieces is not what the whole is said to be"
_NO_DOCUMENT: Final = "what came so far cannot become a document of the form that was asked for"


class Prefix(Protocol):
    """Reads one document as it arrives."""

    @property
    def complete(self) -> bool:
        """Whether it could end here."""
        ...

    def feed(self, text: str) -> bool:
        """Take the next piece. False once no continuation makes a valid document."""
        ...


PrefixOf = Callable[[Mapping[str, Json]], Prefix]


class _Document:
    """The text of one choice, without what a model writes behind a whole object or array."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self.begun = False
        self.said = ""
        self.trimmed = False

    def feed(self, text: str) -> str:
        """Take a piece, and give what goes out of it. Raises ValueError where it can be no document of that form."""
        self.begun = self.begun or bool(text.strip())
        out = "".join(self._pieces(text))
        self.said += out
        return out

    def _pieces(self, text: str) -> list[str]:
        kept: list[str] = []
        for piece in _CLOSERS.split(text):
            if piece and (self.trimmed or self._is_whole(kept)):
                self.trimmed = True
                if _BEGINNING.search(piece):
                    raise ValueError(_NO_DOCUMENT)
            elif piece:
                kept.append(self._checked(piece))
        return kept

    def _is_whole(self, kept: list[str]) -> bool:
        return self._prefix.complete and (self.said + "".join(kept)).rstrip()[-1:] in ("}", "]")

    def _checked(self, text: str) -> str:
        if not self._prefix.feed(text):
            raise ValueError(_NO_DOCUMENT)
        return text


class Flowing:
    """A Flow: `early` says that what a model thinks may go out before its text. `out` says whether anything has gone out."""

    def __init__(self, send: Send, wish: Wish, judge: Judge, prefix_of: PrefixOf, *, early: bool) -> None:
        self._send = send
        self._wish = wish
        self._judge = judge
        self._prefix_of = prefix_of
        self._early = early
        self._held: list[Event] = []
        self._late: list[ItemFinished] = []
        self._stuck = False
        self._choices: dict[int, int] = {}
        self._documents: dict[int, _Document] = {}
        self._calls: dict[int, Prefix] = {}
        self._heard: list[str] = []
        self._passed: dict[int, list[str]] = {}
        self.out = False

    @property
    def heard(self) -> str:
        """What the target has said so far: texts, and arguments of tools."""
        return "".join(self._heard)

    async def take(self, event: Event) -> None:
        """Take an event of the answer, and pass on what may go out. Raises ValueError where it can come to no good end."""
        if self._stuck:
            return
        if isinstance(event, (TextDelta, ArgumentsDelta)):
            self._heard.append(event.text)
        try:
            await self._go_on(event)
        except ValueError:
            if self.out:
                raise
            # It is judged as a whole at its end; what was held is then written anew.
            self._stuck = True
            self._held, self._late = [], []

    async def _go_on(self, event: Event) -> None:
        if isinstance(event, ItemFinished):
            self._check_pieces(event)
            self._late.append(event)
            return
        if self._late:
            await self._release()
        passed, commits = self._looked_at(event)
        if passed is None:
            return
        if isinstance(passed, (TextDelta, ArgumentsDelta)):
            self._passed.setdefault(passed.index, []).append(passed.text)
        if self.out:
            await self._send(passed)
            return
        self._held.append(passed)
        if commits:
            self.out = True
            held, self._held = self._held, []
            for one in held:
                await self._send(one)

    def _check_pieces(self, event: ItemFinished) -> None:
        """Who adds up the pieces has what was judged: the item as a whole."""
        item = event.item
        if isinstance(item, Message):
            whole = "".join(part.text for part in item.parts if isinstance(part, Text))
        elif isinstance(item, ToolCall):
            whole = item.arguments
        else:
            return
        if "".join(self._passed.pop(event.index, [])) != whole:
            raise ValueError(_OTHER_PIECES)

    async def _release(self) -> None:
        """Something follows the items that have finished, so they are whole: a call that is not as it must be never goes out as one."""
        late, self._late = self._late, []
        for event in late:
            if isinstance(event.item, ToolCall) and (
                faults := await faults_of_call(event.item, self._wish, self._judge)
            ):
                raise ValueError(faults[0])
            if self.out:
                await self._send(event)
            else:
                self._held.append(event)

    def _looked_at(self, event: Event) -> tuple[Event | None, bool]:
        """Give what is left of an event, and whether the answer begins with it."""
        if isinstance(event, TextDelta):
            return self._text(event)
        if isinstance(event, ItemStarted):
            return event, self._starts(event)
        if isinstance(event, ArgumentsDelta):
            if event.index in self._calls and not self._calls[event.index].feed(event.text):
                raise ValueError(_NO_DOCUMENT)
            return event, False
        return event, isinstance(event, RefusalDelta) or (isinstance(event, ReasoningDelta) and self._early)

    def _starts(self, event: ItemStarted) -> bool:
        item = event.item
        self._choices[event.index] = choice_of(item)
        if not isinstance(item, ToolCall):
            return False
        if self._wish.offered is not None and item.name not in self._wish.offered:
            msg = f"a tool is called that was not offered: {item.name[:100]!r}"
            raise ValueError(msg)
        schema = self._wish.strict.get(item.name)
        if schema is not None and item.kind != "function":
            raise ValueError(free_text(item.name))
        if schema is not None:
            self._calls[event.index] = self._prefix_of(schema or OBJECT)
        return True

    def _text(self, event: TextDelta) -> tuple[Event | None, bool]:
        if self._wish.output is None:
            return event, True
        number = self._choices.get(event.index, 0)
        document = self._documents.get(number)
        if document is None:
            document = self._documents[number] = _Document(self._prefix_of(self._wish.schema))
        out = document.feed(event.text)
        if out == event.text:
            return event, document.begun
        return (TextDelta(index=event.index, part=event.part, text=out), document.begun) if out else (None, False)

    def whole(self, event: ItemFinished) -> ItemFinished:
        """Give an item as it went out: without what a model wrote behind its document."""
        item = event.item
        document = self._documents.get(self._choices.get(event.index, 0)) if isinstance(item, Message) else None
        if self._stuck or document is None or not document.trimmed:
            return event
        return ItemFinished(index=event.index, item=_trimmed(item, document.said))

    async def end(self, finished: Finished) -> None:
        """The answer is good: pass on the rest of it."""
        for event in self._late:
            await self._send(event)
        await self._send(finished)


def _trimmed(item: Item, said: str) -> Item:
    return msgspec.structs.replace(item, parts=(Text(text=said),)) if isinstance(item, Message) else item
