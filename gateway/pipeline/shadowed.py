"""A stage: sends a copy of sampled calls to another model when the answer is out. All others cost it the toss of a coin.

What becomes of the copy is the business of `shadowing`; the caller sees nothing of it, whatever happens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.core.call import Call
from gateway.core.errors import UpstreamError
from gateway.core.responder import Responder, Send
from gateway.pipeline.shadowed_answer import Heard
from gateway.pipeline.shadowed_copy import OPERATIONS, skipped
from gateway.pipeline.shadowed_plan import ShadowPlan
from gateway.pipeline.shadowing import Shadowing


class Shadowed:
    """A Stage, around all others of a model."""

    def __init__(self, inner: Responder, plan: ShadowPlan, shadowing: Shadowing, chance: Callable[[], float]) -> None:
        self._inner = inner
        self._plan = plan
        self._shadowing = shadowing
        self._lane = shadowing.lane(plan.model, plan.settings.keep_rows)
        self._share = plan.settings.share
        self._chance = chance

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder."""
        if self._chance() >= self._share or call.operation not in OPERATIONS:
            return self._inner(call, send)
        return self._sampled(call, send)

    async def _sampled(self, call: Call, send: Send) -> None:
        if not self._admitted(call):
            await self._inner(call, send)
            return
        shadowing, plan, lane = self._shadowing, self._plan, self._lane
        heard = Heard(call, send, shadowing.now)
        error = ""
        lane.busy += 1
        begun = False
        try:
            try:
                await self._inner(call, heard)
            except UpstreamError as failed:
                # An upstream's failure is an answer to compare too; a caller that was refused, or left, has none.
                error = failed.code
                raise
            finally:
                if error or heard.finished is not None:
                    shadowing.begin(plan, lane, heard, error or heard.stand_in)
                    begun = True
        finally:
            if not begun:
                lane.busy -= 1

    def _admitted(self, call: Call) -> bool:
        shadowing, plan, lane = self._shadowing, self._plan, self._lane
        why: str | None = skipped(call)
        if why is None and (lane.busy >= plan.settings.most or not shadowing.running):
            why = "skipped_busy"
        wall = shadowing.wall()
        if why is None and not (
            lane.affords(plan.settings, priced=plan.priced, wall=wall) and lane.take(plan.settings, shadowing.now())
        ):
            why = "skipped_budget"
        if why is None:
            return True
        shadowing.count(plan.model, why)
        return False
