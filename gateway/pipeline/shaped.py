"""Holds the answers of a target to the form that was asked for: one stage around it. A finished answer has that form, or is an error.

How it is held to the form is told in the answer's start (the header `x-switchgear-structured`) and in the record. What is not of the form
is asked for again, as long as nothing of it is out. Calls that ask for no form pass untouched.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import anyio
import msgspec

from gateway.config.structured_settings import StructuredSettings
from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import InvalidOutput, SwitchgearError, UnsupportedSchema, UpstreamTimeout
from gateway.core.events import Spent
from gateway.core.responder import Responder, Send
from gateway.pipeline.shaped_attempt import Attempt, Told
from gateway.pipeline.shaped_extension import Saying, is_extended, refuse_unknown, taken_up
from gateway.pipeline.shaped_flow import Flowing
from gateway.pipeline.shaped_forms import COMPLETIONS, EXTENSION
from gateway.pipeline.shaped_ladder import Rungs, Step, amended, refuses_form, repairing, tool_name
from gateway.pipeline.shaped_means import Means
from gateway.pipeline.shaped_sent import Sent
from gateway.pipeline.shaped_tool import ToolAsText
from gateway.pipeline.shaped_wish import Wish, param_of, wish_of

_EMULATED: Final = ("tool", "prompt")


class Shaped:
    """A Responder around a target."""

    def __init__(self, inner: Responder, rungs: Rungs, settings: StructuredSettings, means: Means) -> None:
        self._inner = inner
        self._rungs = rungs
        self._settings = settings
        self._means = means

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder. Raises InvalidOutput."""
        wish, prompt = wish_of(call), call.content
        if not isinstance(prompt, Prompt):
            return self._inner(call, send)
        if is_extended(call):
            if self._rungs.own == "native":
                refuse_unknown(call, words=self._rungs.target.shapes)
                prompt = prompt if wish is None else taken_up(prompt, wish)
            elif wish is None:
                # Only the target looks at a grammar.
                return self._inner(call, Saying(send, self._rungs.own))
        if wish is None:
            return self._inner(call, send)
        return self._shape(call, prompt, wish, send)

    async def _shape(self, call: Call, prompt: Prompt, wish: Wish, send: Send) -> None:
        left = self._rungs.target.timeouts.total + self._means.now()
        steps = self._rungs.steps(msgspec.structs.replace(call, content=prompt), prompt, wish)
        repairs, failed = 0, None
        while True:
            try:
                asked, sent = amended(call, prompt, wish, steps[0], self._rungs)
            except UnsupportedSchema:
                if len(steps) == 1:
                    raise
                steps = steps[1:]
                continue
            attempt = self._attempt(send, call, wish, steps[0], repairs, sent)
            answering = self._ask(asked, attempt, wish, steps[0])
            try:
                if failed is None:
                    await answering
                else:
                    await self._within(left, answering, failed, attempt)
            except SwitchgearError as error:
                if len(steps) > 1 and not attempt.out and refuses_form(error):
                    steps = steps[1:]
                    continue
                raise
            if not attempt.faults:
                return
            if attempt.used is not None:
                await send(Spent(target=self._rungs.target.name, usage=attempt.used, why="repair"))
            failed = attempt.failure()
            # A text that is to be gone on with is no conversation that could be told what was wrong.
            most = 0 if call.dialect == COMPLETIONS else self._settings.repairs
            if repairs >= most or self._means.now() >= left:
                raise failed
            repairs += 1
            prompt = repairing(prompt, attempt.raw, attempt.faults)

    async def _ask(self, call: Call, attempt: Attempt, wish: Wish, step: Step) -> None:
        try:
            await self._inner(call, ToolAsText(attempt, tool_name(wish)) if step == "tool" else attempt)
        except InvalidOutput as error:
            # Of an answer that is out already, or of a target that judges by itself.
            if error.structured:
                raise
            attempt.refused(error)
            if attempt.out:
                raise attempt.failure() from error

    async def _within(self, left: float, answering: Awaitable[None], failed: InvalidOutput, attempt: Attempt) -> None:
        """Wait for a repair as long as all tries together may take."""
        with anyio.move_on_after(max(0.0, left - self._means.now())) as scope:
            await answering
        if scope.cancelled_caught and attempt.out:
            msg = f"{self._rungs.target.name} did not end its answer in time."
            raise UpstreamTimeout(msg)
        if scope.cancelled_caught:
            raise failed

    def _attempt(self, send: Send, call: Call, wish: Wish, step: Step, repairs: int, sent: Sent) -> Attempt:
        told = Told(
            structured=step + (f"; repairs={repairs}" if repairs else ""),
            emulated=_emulated(wish) if step in _EMULATED else (),
            param=param_of(call, wish),
            raw_bytes=self._settings.raw_bytes,
        )
        means, flow = self._means, None
        # A text in words is short, and what is not of its form can be asked for again as long as nothing is out.
        whole = wish.words is not None and step == "prompt"
        if call.stream and not sent.restores and not whole:
            early = step not in _EMULATED or wish.output is None
            flow = Flowing(send, wish, means.judge, means.prefix_of, early=early)
        return Attempt(send, wish, means.judge, told, flow, sent)


def _emulated(wish: Wish) -> tuple[str, ...]:
    if wish.words is not None:
        return (EXTENSION,)
    return () if wish.output is None else (wish.output.kind,)
