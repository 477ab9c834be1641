"""Asks shadows, in the background: each copy once, within its time, and then both answers go to the store. One for a process.

Nothing here is waited for by anybody. A store that is away is tried again, with a bound on what waits for it; the end of the
process drops what is in flight, and says so.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import Forbidden, StoreUnavailable, SwitchgearError
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.core.record import Record
from gateway.pipeline.shadowed_answer import DIALECTS, Heard, alike, said, shortened
from gateway.pipeline.shadowed_copy import copied
from gateway.pipeline.shadowed_plan import DAY, ShadowLane, ShadowPlan
from gateway.stores.shadows import Shadow, ShadowStore, Side
from gateway.telemetry.metrics import Counter, Metric, Reading

log = structlog.get_logger()

MOST_WAITING: Final = 256
"""Comparisons that wait for a store that is away; further ones push out the oldest."""
TIMEOUT: Final = "shadow_timeout"
"""The error of a copy that took longer than it may."""
_AT_ONCE: Final = 32
_AGAIN_SECONDS: Final = 5.0
_TIDY_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 600.0
_LAST_SECONDS: Final = 2.0


class Shadowing:
    """Runs copies until it is cancelled, or told to `finish`."""

    def __init__(self, store: ShadowStore, *, clock: Clock, new_id: NewId) -> None:
        self.now = clock.monotonic
        self.wall = clock.wall
        self.lost = 0
        self._store = store
        self._new_id = new_id
        self._bills: dict[str, int] = {}
        self._lanes: dict[str, ShadowLane] = {}
        self._waiting: deque[Shadow] = deque()
        self._woken = anyio.Event()
        self._dropped = anyio.Event()
        self._copies: TaskGroup | None = None
        self._outcomes = Counter(
            "switchgear_shadow_calls_total",
            "Calls that were sampled for a shadow, by what came of their copy.",
            ("model", "outcome"),
        )
        self.metrics: tuple[Metric, ...] = (
            self._outcomes,
            Reading(
                "switchgear_shadow_lost_total",
                "Comparisons that could not be kept, because the store was away for too long.",
                lambda: {(): self.lost},
                kind="counter",
            ),
        )

    def lane(self, model: str, keep_rows: int) -> ShadowLane:
        """Give the counts of a model."""
        lane = self._lanes.setdefault(model, ShadowLane(model))
        lane.keep_rows = keep_rows
        return lane

    @property
    def running(self) -> bool:
        """Whether copies are made now."""
        return self._copies is not None

    def count(self, model: str, outcome: str) -> None:
        """Note what came of a sampled call."""
        self._outcomes.add((model, outcome))

    def bill(self, record: Record) -> None:
        """Note what a copy cost in all, whatever became of it: also what was cut short, and what its model asked beside."""
        beside = sum(each.cost_nano or 0 for each in record.beside)
        self._bills[record.id] = (record.cost_nano or 0) + beside

    def begin(self, plan: ShadowPlan, lane: ShadowLane, heard: Heard, error: str) -> None:
        """Ask the shadow what was asked. The caller's answer is out; `error` is what it ended with. Takes over the place in `lane`."""
        if self._copies is None:
            lane.busy -= 1
            self.count(plan.model, "dropped")
            return
        ended = self.now()
        plan.hold()
        self._copies.start_soon(self._copy, plan, lane, heard, error, ended)

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write)
            tasks.start_soon(self._tidy)
            async with anyio.create_task_group() as copies:
                self._copies = copies
                try:
                    await anyio.sleep_forever()
                finally:
                    self._copies = None
            self._dropped.set()

    async def finish(self, seconds: float) -> None:
        """Drop the copies in flight, and write what waits, for so long at most."""
        copies, self._copies = self._copies, None
        if copies is not None:
            copies.cancel_scope.cancel()
        with anyio.move_on_after(min(seconds, _LAST_SECONDS)):
            if copies is not None:
                await self._dropped.wait()
            while self._waiting and await self._write_some():
                pass
        self.lost += len(self._waiting)
        self._waiting.clear()

    async def _copy(self, plan: ShadowPlan, lane: ShadowLane, original: Heard, error: str, ended: float) -> None:
        outcome = "dropped"
        try:
            call = copied(
                original.call,
                model=plan.settings.model,
                call_id=self._new_id("call_"),
                now=self.now(),
                foreign=plan.foreign,
            )
            shadow = Heard(call, None, self.now)
            try:
                failed = await self._ask(plan, call, shadow)
            finally:
                lane.spend(self._bills.pop(call.id, 0), self.wall())
            if failed is None:
                outcome = "skipped_policy"
                return
            outcome = "failed" if failed else "sent"
            self._keep(await self._compared(plan, (original, error, ended), (shadow, failed, self.now())))
        except Exception:
            outcome = "failed"
            log.exception("shadow.crashed", model=plan.model, call=original.call.id)  # not worth the server
        finally:
            lane.busy -= 1
            plan.release()
            self.count(plan.model, outcome)

    async def _ask(self, plan: ShadowPlan, call: Call, shadow: Heard) -> str | None:
        """Give the error of the copy, empty where there is none; None where its caller may not use the shadow's model."""
        try:
            dialect = DIALECTS[call.dialect]
            if not plan.relays(call.dialect):
                call = shadow.call = msgspec.structs.replace(call, content=dialect.decode_call(call.fields))
            with anyio.move_on_after(plan.settings.timeout) as scope:
                await plan.answer(call, shadow)
            if scope.cancelled_caught:
                return TIMEOUT
        except Forbidden:
            return None
        except SwitchgearError as error:
            return error.code
        finished = shadow.finished
        return (finished.error if finished is not None else None) or shadow.stand_in

    async def _compared(
        self, plan: ShadowPlan, original: tuple[Heard, str, float], shadow: tuple[Heard, str, float]
    ) -> Shadow:
        call, copy = original[0].call, shadow[0].call
        answers = original[0].answer(), shadow[0].answer()
        same, similarity = alike(*answers)
        contents = [said(answer) for answer in answers]
        cleaned = contents if plan.clean is None else await plan.clean(call, contents)
        sides = [
            _side(plan, told, content, withheld=cleaned is None and before is not None)
            for told, content, before in zip((original, shadow), cleaned or (None, None), contents, strict=True)
        ]
        at = self.wall()
        return Shadow(
            id=copy.id,
            call=call.id,
            at=at,
            expires_at=at + plan.settings.keep_days * DAY,
            tenant=call.caller.tenant,
            user=call.caller.user,
            model=plan.model,
            shadow_model=plan.settings.model,
            dialect=call.dialect,
            operation=call.operation,
            stream=call.stream,
            original=sides[0],
            shadow=sides[1],
            same=same,
            similarity=similarity,
        )

    def _keep(self, shadow: Shadow) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(shadow)
        self._woken.set()

    async def _write(self) -> None:
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            while self._waiting:
                if not await self._write_some():
                    await anyio.sleep(_AGAIN_SECONDS)

    async def _write_some(self) -> bool:
        """Write the oldest that wait; False when the store is away."""
        some = list(self._waiting)[:_AT_ONCE]
        try:
            await self._store.add(some)
        except StoreUnavailable as error:
            log.warning("shadow.store_away", waiting=len(self._waiting), reason=error.message)
            return False
        except Exception:
            self.lost += len(some)
            log.exception("shadow.refused", comparisons=len(some))  # it would be refused again
        done = {one.id for one in some}
        self._waiting = deque(one for one in self._waiting if one.id not in done)
        return True

    async def _tidy(self) -> None:
        while True:
            try:
                await self._tidy_once()
            except SwitchgearError as error:
                log.warning("shadow.untidy", reason=error.message)
            except Exception:
                log.exception("shadow.crashed")  # whatever it is, it is not worth the server
            await anyio.sleep(_TIDY_SECONDS if self._lanes else _IDLE_SECONDS)

    async def _tidy_once(self) -> None:
        """Forget what is too old or too much, and learn what all processes together have spent today."""
        wall = self.wall()
        while await self._store.remove_expired(wall):
            pass
        for lane in tuple(self._lanes.values()):
            await self._store.remove_beyond(lane.model, lane.keep_rows)
            lane.heard(await self._store.spent(lane.model, wall // DAY * DAY), wall)


def _cost(plan: ShadowPlan, heard: Heard) -> int | None:
    if heard.usage is None or heard.started is None:
        return None
    return plan.cost(heard.started.target, heard.usage)


def _side(plan: ShadowPlan, told: tuple[Heard, str, float], content: dict[str, Json] | None, *, withheld: bool) -> Side:
    heard, error, ended = told
    usage, finished, began = heard.usage, heard.finished, heard.call.received
    kept, cut = (None, heard.overlong) if content is None else shortened(content, plan.settings.answer_bytes)
    return Side(
        target="" if heard.started is None else heard.started.target,
        error=error or (None if finished is None else finished.error) or "",
        finish_reason="" if finished is None else finished.reason,
        duration=ended - began,
        first_token=None if heard.first_at is None else heard.first_at - began,
        input_tokens=None if usage is None else usage.input_total,
        output_tokens=None if usage is None else usage.output_total,
        cost_nano=_cost(plan, heard),
        content=kept,
        cut=cut,
        withheld=withheld,
    )
