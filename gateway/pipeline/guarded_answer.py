"""How an answer is held back while a guardrail judges it: the whole of it (buffer), or the last stretch (window).

A span that is not longer than the window is never delivered in part. Tool calls are held until they are complete in either
mode: half of their arguments is of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.answer import AnswerBuilder, replay
from gateway.core.events import (
    ASIDE,
    ArgumentsDelta,
    CutShort,
    Event,
    Finished,
    ItemFinished,
    ItemStarted,
    Spent,
    Started,
    Verbatim,
)
from gateway.core.items import Item, ToolCall
from gateway.pipeline.guarded_closing import Held
from gateway.pipeline.guarded_rail import Bench
from gateway.pipeline.guarded_texts import texts_of, with_edits
from gateway.pipeline.redacted_answer import Channel, Delta, channel_of
from gateway.protection.verdict import Edit, edited

_STEPS = 4
"""A cheap guardrail judges whenever this part of a window has come."""


def must_be_events(event: Event) -> None:
    """Raise RuntimeError for bytes: they cannot be judged."""
    if isinstance(event, Verbatim):
        msg = "the answer to a guarded call came as bytes"
        raise RuntimeError(msg)  # noqa: TRY004 - not a wrong argument: a broken promise of the route's


class Buffered:
    """A Send that keeps everything until the answer is complete and has been judged."""

    def __init__(self, bench: Bench, answer: Held) -> None:
        self._bench = bench
        self._answer = answer
        self._builder = AnswerBuilder()

    async def __call__(self, event: Event) -> None:
        """Take the next event."""
        must_be_events(event)
        if isinstance(event, CutShort):
            self._answer.cut_short(event)
        if isinstance(event, (Started, *ASIDE)):
            await self._answer.send(event)
        self._builder.add(event)
        if isinstance(event, Delta):
            self._answer.heard += len(event.text)
        elif isinstance(event, Finished):
            await self._release(event)

    async def _release(self, finished: Finished) -> None:
        answer = self._builder.answer()
        verdict = await self._bench.judge(texts_of(answer.items))
        if verdict.decision == "block":
            self._answer.usage = finished.usage
            raise self._answer.stop()
        if verdict.decision == "replace":
            answer = msgspec.structs.replace(answer, items=with_edits(answer.items, verdict.edits))
        for event in replay(answer):
            if not isinstance(event, Started):
                await self._answer.send(event)


class Windowed:
    """A Send that lets text go when a whole window has come after it and has been judged with it."""

    def __init__(self, bench: Bench, answer: Held) -> None:
        self._bench = bench
        self._answer = answer
        self._window = bench.rail.window
        self._step = self._window if bench.rail.costly else max(1, self._window // _STEPS)
        self._stretches: dict[Channel, _Stretch] = {}
        self._calls: dict[int, ItemStarted] = {}

    async def __call__(self, event: Event) -> None:
        """Take the next event."""
        must_be_events(event)
        if isinstance(event, CutShort):
            self._answer.cut_short(event)
        if self._answer.stopped and not isinstance(event, (CutShort, Spent)):
            raise self._answer.stop()
        if isinstance(event, Delta):
            await self._delta(event)
        elif isinstance(event, ItemStarted) and isinstance(event.item, ToolCall):
            self._calls[event.index] = event
        elif isinstance(event, ItemFinished):
            await self._finish(event)
        else:
            await self._answer.send(event)

    async def _delta(self, delta: Delta) -> None:
        self._answer.heard += len(delta.text)
        if isinstance(delta, ArgumentsDelta):
            return
        channel = channel_of(delta)
        stretch = self._stretches.setdefault(channel, _Stretch(delta))
        stretch.add(delta)
        if len(stretch.pending) >= self._window + self._step:
            await self._advance(stretch, last=False)

    async def _advance(self, stretch: _Stretch, *, last: bool) -> None:
        """Judge what is pending, with what went before it, and let go what no span can reach any more."""
        verdict = await self._bench.judge([stretch.before + stretch.pending])
        if verdict.decision == "block":
            raise self._answer.stop()
        edits = stretch.own(verdict.edits[0] if verdict.edits else ())
        if edits is None:
            raise self._answer.stop()
        delta = stretch.release(
            len(stretch.pending) if last else len(stretch.pending) - self._window, edits, self._window
        )
        if delta is not None:
            await self._answer.send(delta)

    async def _finish(self, event: ItemFinished) -> None:
        said: dict[str, str] = {}
        for channel in [channel for channel in self._stretches if channel[0] == event.index]:
            stretch = self._stretches.pop(channel)
            if stretch.pending:
                await self._advance(stretch, last=True)
            said["".join(stretch.heard)] = "".join(stretch.said)
        item = await self._judged(event.item, said)
        begun = self._calls.pop(event.index, None)
        if begun is not None:
            await self._answer.send(begun)
            if isinstance(item, ToolCall) and item.arguments:
                await self._answer.send(ArgumentsDelta(index=event.index, text=item.arguments))
        await self._answer.send(ItemFinished(index=event.index, item=item))

    async def _judged(self, item: Item, said: dict[str, str]) -> Item:
        """Give an item with its texts as they were let go; those that came in no piece are judged now."""
        texts = texts_of([item])
        edits: list[Sequence[Edit]] = [
            [Edit(0, len(text), said[text])] if said.get(text, text) != text else () for text in texts
        ]
        for place, text in enumerate(texts):
            if text and text not in said:
                verdict = await self._bench.judge([text])
                if verdict.decision == "block":
                    raise self._answer.stop()
                edits[place] = verdict.edits[0] if verdict.edits else ()
        return with_edits([item], edits)[0] if any(edits) else item


class _Stretch:
    """One text of a streamed answer: what was let go last, what is pending."""

    def __init__(self, like: Delta) -> None:
        self._like = like
        self._logprobs: tuple[object, ...] = ()
        self.before = ""
        self.pending = ""
        self.heard: list[str] = []
        self.said: list[str] = []

    def add(self, delta: Delta) -> None:
        """Take the next piece."""
        self.pending += delta.text
        self.heard.append(delta.text)
        self._logprobs += getattr(delta, "logprobs", None) or ()

    def own(self, edits: Sequence[Edit]) -> list[Edit] | None:
        """Give the edits as places in what is pending; None where one reaches back into what is out already."""
        skip = len(self.before)
        moved = [Edit(start - skip, end - skip, text) for start, end, text in edits if end > skip]
        return None if any(start < 0 for start, _, _ in moved) else moved

    def release(self, limit: int, edits: list[Edit], window: int) -> Delta | None:
        """Give the piece up to `limit`, but not into a span that is to be changed."""
        for start, end, _ in edits:
            if start < limit < end:
                limit = start
        if limit <= 0:
            return None
        text = edited(self.pending[:limit], [edit for edit in edits if edit.end <= limit])
        self.before = (self.before + self.pending[:limit])[-window:]
        self.pending = self.pending[limit:]
        self.said.append(text)
        piece = msgspec.structs.replace(self._like, text=text)
        if hasattr(piece, "logprobs"):
            piece = msgspec.structs.replace(piece, logprobs=self._logprobs or None)
            self._logprobs = ()
        return piece
