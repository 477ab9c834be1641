"""Guardrails around an answer: what goes in is judged before or beside it, what comes out held back until it may be seen.

One Responder a guardrail. A request that does not pass is refused (400); an answer that does not pass ends where it was
stopped, with the finish reason `content_filter`. Guardrails decide nothing about each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec

from gateway.core.call import Call, opened
from gateway.core.events import ASIDE, Event, Started
from gateway.core.responder import Responder, Send
from gateway.pipeline.guarded_answer import Buffered, Windowed
from gateway.pipeline.guarded_beside import Beside
from gateway.pipeline.guarded_closing import Held
from gateway.pipeline.guarded_rail import Bench, Guardrail
from gateway.pipeline.guarded_texts import asked, with_asked_edits
from gateway.protection.content_walk import holds_tokens
from gateway.protection.judgements import Judgements


def guarded(inner: Responder, rails: Sequence[Guardrail], judgements: Judgements) -> Responder:
    """Put guardrails around a responder, in their order: the first sees a request first, and an answer last."""
    for rail in reversed(rails):
        stage = GuardedInput if rail.when == "input" else GuardedOutput
        inner = stage(inner, rail, judgements)
    return inner


class GuardedInput:
    """Judges what the caller said: `buffer` before the call goes on, `async` beside it, with the answer held until then."""

    def __init__(self, inner: Responder, rail: Guardrail, judgements: Judgements) -> None:
        self._inner = inner
        self._rail = rail
        self._judgements = judgements

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder. Raises ContentBlocked, or Unavailable where the guardrail failed closed."""
        # A moderation is what guardrails themselves ask for, and a token count answers nothing.
        judged = call.operation not in ("count_tokens", "moderate")
        if not judged or not self._rail.match.applies(call.caller):
            await self._inner(call, send)
            return
        bench = Bench(self._rail, call, self._judgements)
        try:
            if self._rail.mode == "async":
                await self._beside(call, send, bench)
            else:
                await self._inner(await self._passed(call, bench), send)
        finally:
            bench.close()

    async def _passed(self, call: Call, bench: Bench) -> Call:
        if call.content is None:
            msg = "a route with guardrails must decode its calls"
            raise RuntimeError(msg)
        if call.operation == "generate" and self._rail.action == "block" and holds_tokens(call.content):
            raise bench.refusal()
        verdict = await bench.judge(asked(call.content))
        if verdict.decision == "allow":
            return call
        content = with_asked_edits(call.content, verdict.edits) if verdict.decision == "replace" else None
        if content is None:
            raise bench.refusal()
        return opened(msgspec.structs.replace(call, content=content, fields={}, body=msgspec.json.encode(content)))

    async def _beside(self, call: Call, send: Send, bench: Bench) -> None:
        """Ask and answer at the same time; nothing of the answer goes out before the verdict."""
        judged = anyio.Event()
        failure: Exception | None = None

        async def hold(event: Event) -> None:
            if not isinstance(event, (Started, *ASIDE)):
                await judged.wait()
            await send(event)

        async with anyio.create_task_group() as tasks:

            async def judge() -> None:
                nonlocal failure
                try:
                    passed = await self._passed(call, bench)
                except Exception as error:  # noqa: BLE001 - carried out of the task group, where it would be wrapped
                    failure = error
                else:
                    if passed is call:
                        judged.set()
                        return
                    failure = bench.refusal()  # it is too late to change what was asked
                tasks.cancel_scope.cancel()

            tasks.start_soon(judge)
            try:
                await self._inner(call, hold)
            except Exception as error:  # noqa: BLE001 - as above
                failure = error
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


class GuardedOutput:
    """Judges the answer, in the way that the guardrail's mode says."""

    def __init__(self, inner: Responder, rail: Guardrail, judgements: Judgements) -> None:
        self._inner = inner
        self._rail = rail
        self._judgements = judgements

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder. Raises Unavailable where the guardrail failed closed."""
        if call.operation != "generate" or not self._rail.match.applies(call.caller):
            await self._inner(call, send)
            return
        bench = Bench(self._rail, call, self._judgements)
        answer = Held(send, call, marks=self._rail.action == "report")
        try:
            if self._rail.mode == "async":
                await Beside(bench, answer).run(self._inner, opened(call))
            else:
                taking = Buffered(bench, answer) if self._rail.mode == "buffer" else Windowed(bench, answer)
                await answer.until_stopped(self._inner(opened(call), taking))
        finally:
            bench.close()
