"""A guardrail that judges beside a stream: nothing waits for it but the end, and what it stops is cut, not unsaid."""

from __future__ import annotations

import anyio

from gateway.core.call import Call
from gateway.core.events import CutShort, Event, Finished, ItemFinished
from gateway.core.responder import Responder
from gateway.pipeline.guarded_answer import must_be_events
from gateway.pipeline.guarded_closing import Held
from gateway.pipeline.guarded_rail import Bench
from gateway.pipeline.guarded_texts import texts_of
from gateway.pipeline.redacted_answer import Channel, Delta, channel_of


class Beside:
    """One answer and its judging. The last verdict is waited for before the answer ends."""

    def __init__(self, bench: Bench, answer: Held) -> None:
        self._bench = bench
        self._answer = answer
        self._texts: dict[Channel, list[str]] = {}
        self._whole: dict[int, list[str]] = {}
        self._fresh = 0
        self._news = anyio.Event()
        self._finished: Finished | None = None
        self._failure: Exception | None = None

    async def run(self, inner: Responder, call: Call) -> None:
        """Answer and judge. Raises what the inner responder raised, or Unavailable from a guardrail that failed closed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._judge, tasks.cancel_scope)
            try:
                await inner(call, self._take)
            except Exception as error:  # noqa: BLE001 - carried out of the task group, where it would be wrapped
                self._failure = error
            if self._finished is None:
                tasks.cancel_scope.cancel()
            self._news.set()
        if self._failure is not None:
            raise self._failure
        if self._answer.stopped:
            self._answer.usage = self._answer.usage or (None if self._finished is None else self._finished.usage)
            await self._answer.close()
        elif self._finished is not None:
            await self._answer.send(self._finished)

    async def _take(self, event: Event) -> None:
        must_be_events(event)
        if isinstance(event, CutShort):
            self._answer.cut_short(event)
            if self._answer.stopped:
                return
        if isinstance(event, Finished):
            self._finished = event
            return
        if isinstance(event, Delta):
            self._texts.setdefault(channel_of(event), []).append(event.text)
            self._answer.heard += len(event.text)
            self._fresh += len(event.text)
        elif isinstance(event, ItemFinished):
            self._whole[event.index] = texts_of([event.item])
        if self._fresh >= self._bench.rail.window:
            self._news.set()
        await self._answer.send(event)

    async def _judge(self, scope: anyio.CancelScope) -> None:
        """Judge all that has come whenever a window of it is new, and once more when it is complete."""
        while True:
            await self._news.wait()
            self._news, self._fresh = anyio.Event(), 0
            complete = self._finished is not None
            try:
                verdict = await self._bench.judge(self._so_far())
            except Exception as error:  # noqa: BLE001 - carried out of the task group, where it would be wrapped
                self._failure = error
                scope.cancel()
                return
            if verdict.decision != "allow":
                self._answer.stop()
                scope.cancel()
                return
            if complete:
                return

    def _so_far(self) -> list[str]:
        going_on = ["".join(pieces) for channel, pieces in self._texts.items() if channel[0] not in self._whole]
        return [text for texts in self._whole.values() for text in texts] + going_on
