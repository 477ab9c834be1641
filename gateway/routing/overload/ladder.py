"""The degradation ladder: what is done, step by step, when a model cannot answer as asked.

Steps are taken until one answers: another model (without a wait), the queue (only where targets are full), a text that was ready.
The ladder of a model that stands in is not followed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from gateway.core.answer import Answer, replay
from gateway.core.call import Call
from gateway.core.decision import Decision
from gateway.core.errors import Overloaded, SwitchgearError
from gateway.core.events import Decided, Degraded, Finished, Started, Tried
from gateway.core.items import Json, Message, Text
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.routing.overload.line import Lines
from gateway.routing.overload.waiting import Choice, Queue
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.seat import Seat
from gateway.routing.timing import Timing

STATIC_TARGET: Final = "switchgear/static"
"""What a static answer names as its target, in its header and in records."""
_FORMATS = ("response_format", "text", "output_config", "output_format")
_FREE = ("text", "grammar", None)


class Tries(Protocol):
    """How far a call has got: see `routed`."""

    decision: Decision
    told: Decision
    deadline: float
    error: SwitchgearError
    failed: Seat | None
    asked: set[Seat]

    def take(self, seats: Sequence[Seat], decision: Decision) -> None:
        """These are to be asked next."""

    def help(self, model: str, seats: Sequence[Seat], decision: Decision) -> None:
        """Another model helps out."""


Ask = Callable[[Seat], Awaitable[bool]]
"""Asks one target; whether it answered. Raises what its answer had begun with, or no target could mend."""
GiveOld = Callable[[Call, Send, str], Awaitable[bool]]
"""Answers a call with an old answer; whether there is one. Told the code of the error that keeps the model from it."""
Rest = Callable[[], Awaitable[bool]]
"""Asks whom there is left to ask; as above."""


class Rung(Protocol):
    """One step."""

    async def __call__(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> bool:
        """Answer the call; whether it did. Where it did not, `tries.error` says why as well as can be said."""
        ...


class Ladder:
    """The steps of one model, in order. `patient` are those of calls that nobody waits for: they want the model that was asked."""

    def __init__(self, rungs: Sequence[Rung], patient: Sequence[Rung], full: Callable[[], Overloaded]) -> None:
        self._rungs = tuple(rungs)
        self._patient = tuple(patient)
        self.full = full

    async def descend(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> None:
        """Take one step after another until one answers. Raises the error that the call has then."""
        for rung in self._patient if call.background else self._rungs:
            if await rung(tries, call, send, ask, rest):
                return
        raise tries.error


class Smaller:
    """The step `model`: another model's targets are asked, each once; none of them is waited for."""

    def __init__(self, pool: AnyPool, now: Callable[[], float]) -> None:
        self._pool = pool
        self._now = now

    async def __call__(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> bool:
        """Answer from the other model."""
        del rest
        error = tries.error
        now = self._now()
        if now >= tries.deadline:
            return False
        seats, decision = self._pool.decide(call, now)
        tries.help(self._pool.model, (), decision)
        tries.told = tries.decision
        await send(Decided(tries.decision))
        await send(Degraded("smaller", error.code))
        for seat in seats:
            if self._now() < tries.deadline and seat.has_room(call.id) and await ask(seat):
                return True
        # That another model could not help says less than why the one that was asked could not.
        tries.error = error
        return False


class Wait:
    """The step `queue`: wait until a target has room, where targets are full that this call has not asked yet."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue

    async def __call__(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> bool:
        """Wait, and answer."""
        seats, _ = self._pool.decide(call, self._queue.now(), peek=True)
        if tries.asked.issuperset(seats):
            return False
        reason = tries.error.code
        with self._queue.place(call, self._pool.seats) as place:
            try:
                seats, decision = await place.room(partial(self._decide, tries, call), tries.deadline)
            except SwitchgearError as error:
                tries.error = error
                return False
            if not seats:
                now = self._queue.now()
                if not self._pool.decide(call, now, peek=True)[0]:
                    tries.error = self._pool.all_spared(now)
                return False
            tries.take(seats[1:], decision)
            await send(Decided(decision))
            await send(Degraded("queue", reason))
            if await ask(seats[0]):
                return True
        return await rest()

    def _decide(self, tries: Tries, call: Call, now: float) -> Choice:
        seats, decision = self._pool.decide(call, now)
        return [seat for seat in seats if seat not in tries.asked], decision


class Stale:
    """The step `stale`: an old answer of the cache. `give` gives it, and says whether there is one."""

    def __init__(self, give: GiveOld) -> None:
        self._give = give

    async def __call__(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> bool:
        """Answer with it."""
        del ask, rest
        return await self._give(call, send, tries.error.code)


class Static:
    """The step `static`: a text that was ready. Only for calls that take text: nothing else can be made up."""

    def __init__(self, text: str, wall: Callable[[], float]) -> None:
        self._message = Message(role="assistant", parts=(Text(text=text),))
        self._wall = wall

    async def __call__(self, tries: Tries, call: Call, send: Send, ask: Ask, rest: Rest) -> bool:
        """Answer with the text."""
        del ask, rest
        if call.operation != "generate" or wants_form(call.fields):
            return False
        if tries.failed is not None:
            await send(Tried(target=tries.failed.name, error=tries.error.code, following=STATIC_TARGET))
        await send(Degraded("static", tries.error.code))
        answer = Answer(
            started=Started(id=call.id, model=call.model, created=int(self._wall()), target=STATIC_TARGET),
            items=(self._message,),
            finished=Finished(reason="stop", usage=Usage()),
        )
        for event in replay(answer):
            await send(event)
        return True


def wants_form(fields: Mapping[str, Json]) -> bool:
    """Whether a call wants JSON, or a tool called: a plain text would break what reads the answer."""
    for name in _FORMATS:
        value = fields.get(name)
        if isinstance(value, dict) and (_kind(value) not in _FREE or _kind(value.get("format")) not in _FREE):
            return True
    choice = fields.get("tool_choice")
    return choice == "required" or _kind(choice) not in (None, "auto", "none")


def _kind(value: Json) -> Json:
    return value.get("type") if isinstance(value, dict) else None


def open_ladder(
    pool: Pool,
    plan: RoutingPlan,
    timing: Timing,
    pools: Mapping[str, AnyPool],
    lines: Lines,
    give_old: GiveOld | None = None,
) -> Ladder | None:
    """Give a model's ladder; None where there is nothing to do but to fail."""
    gated = any(seat.gate is not None for seat in pool.seats)
    if not gated and not plan.degrade:
        return None
    # Versions wait apart: a place at a target of one is none for a call of the other.
    name = f"{pool.model}@{pool.version}" if pool.version else pool.model
    queue = Queue(name, plan.queue, lines, timing.now, timing.sleep)
    wait = Wait(pool, queue)
    patient = [wait] if gated else []
    if plan.degrade is None:
        return Ladder(patient, patient, queue.full)
    rungs: list[Rung] = []
    for step in plan.degrade:
        if step.model is not None:
            rungs.append(Smaller(pools[step.model], timing.now))
        elif step.static is not None:
            rungs.append(Static(step.static, timing.wall))
        elif step.stale is not None:
            if give_old is not None:
                rungs.append(Stale(give_old))
        elif gated:
            rungs.append(wait)
    return Ladder(rungs, patient, queue.full)
