"""One answer of a target on its way to the caller, held back until it is known to have its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.answer import Answer, replay
from gateway.core.errors import InternalError, InvalidOutput
from gateway.core.events import ASIDE, CutShort, Event, Finished, ItemFinished, Started, Verbatim
from gateway.core.items import Item
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.pipeline.shaped_extension import bare
from gateway.pipeline.shaped_faults import Judge, cut, faults_in, raw_of, spoken
from gateway.pipeline.shaped_flow import Flowing
from gateway.pipeline.shaped_sent import Sent
from gateway.pipeline.shaped_text import only_documents
from gateway.pipeline.shaped_wish import Wish

_SHOWN: Final = 2


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a try: how the answer is kept to its form, what is emulated for that, and which parameter asks for it.

    `raw_bytes` bounds what an error carries of the model's own text.
    """

    structured: str
    emulated: tuple[str, ...] = ()
    param: str | None = None
    raw_bytes: int = 0


class Attempt:
    """A Send that takes one answer, and passes it on when it is good. `faults` says what is wrong with one that was not passed on.

    `used` is what such an answer has used, `raw` what it said.
    """

    def __init__(self, send: Send, wish: Wish, judge: Judge, told: Told, flow: Flowing | None, sent: Sent) -> None:
        self._send = send
        self._wish = wish
        self._judge = judge
        self._told = told
        self._flow = flow
        self._sent = sent
        self._started: Started | None = None
        self._items: dict[int, Item] = {}
        self.faults: list[str] = []
        self.used: Usage | None = None
        self.raw = ""

    @property
    def structured(self) -> str:
        """How it is kept to the form."""
        return self._told.structured

    @property
    def out(self) -> bool:
        """Whether the caller has seen a part of it."""
        return self._flow is not None and self._flow.out

    async def __call__(self, event: Event) -> None:
        """Take the next event. Raises InvalidOutput where a part of a bad answer is out already."""
        if isinstance(event, Verbatim):
            # Nobody can judge bytes; calls that get here go out by their Items.
            raise InternalError
        if isinstance(event, CutShort):
            self.used = event.usage
            await self._send(event)
        elif isinstance(event, ASIDE):
            await self._send(event)
        elif isinstance(event, Finished):
            await self._end(event)
        else:
            await self._take(event)

    async def _take(self, event: Event) -> None:
        if isinstance(event, Started):
            event = self._started = msgspec.structs.replace(
                event, structured=self._told.structured, emulated=(*event.emulated, *self._told.emulated)
            )
        elif isinstance(event, ItemFinished):
            event = event if self._flow is None else self._flow.whole(event)
            self._items[event.index] = event.item
        if self._flow is not None:
            try:
                await self._flow.take(event)
            except ValueError as fault:
                raise failure(self._told, [str(fault)], self._flow.heard) from None

    async def _end(self, finished: Finished) -> None:
        if self._started is None:
            raise InternalError
        items = self._sent.restored(self._items[index] for index in sorted(self._items))
        faults = await self._faults(items, finished)
        if faults and not self.out and (found := self._without_more(items)) is not None:
            found = self._sent.restored(found)
            better = await self._faults(found, finished)
            items, faults = (items, faults) if better else (found, better)
        if not faults:
            await self._pass(self._started, items, finished)
            return
        self.used = finished.usage or finished.estimate
        self.faults, self.raw = faults, self._raw(finished)
        if self.out:
            if self.used is not None:
                await self._send(CutShort(usage=self.used))
            raise self.failure()

    def _without_more(self, items: tuple[Item, ...]) -> tuple[Item, ...] | None:
        """Give the answer without what a model writes around one."""
        if self._wish.words is None:
            return only_documents(items)
        # Who decodes by a grammar writes nothing around a text.
        return bare(items) if self._told.emulated else None

    async def _faults(self, items: Sequence[Item], finished: Finished) -> list[str]:
        return await faults_in(spoken(items, finished), self._wish, self._judge)

    async def _pass(self, started: Started, items: tuple[Item, ...], finished: Finished) -> None:
        if self._flow is not None and self._flow.out:
            await self._flow.end(finished)
            return
        for event in replay(Answer(started=started, items=items, finished=finished)):
            await self._send(event)

    def _raw(self, finished: Finished) -> str:
        items = [self._items[index] for index in sorted(self._items)]
        return raw_of(spoken(items, finished))

    def refused(self, error: InvalidOutput) -> None:
        """The target has found by itself that its answer is not of the form."""
        self.faults, self.raw = list(error.violations) or [error.message], error.raw or ""

    def failure(self) -> InvalidOutput:
        """Give the error that says what is wrong with it."""
        return failure(self._told, self.faults, self.raw)


def failure(told: Told, faults: Sequence[str], raw: str) -> InvalidOutput:
    """Give the error for an answer that is not of its form."""
    more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
    msg = f"The model's answer is not of the form that was asked for: {'; '.join(faults[:_SHOWN])}{more}."
    return InvalidOutput(
        msg, param=told.param, violations=tuple(faults), raw=cut(raw, told.raw_bytes), structured=told.structured
    )
