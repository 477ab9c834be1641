"""Asks the targets of a pool until one answers: which come next, which again and after what wait, and when to give up.

Only failures before the first content event move on: the commit point. A failure after it is the caller's, in the stream.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog

from gateway.config.routing_settings import RetrySettings
from gateway.core.call import Call
from gateway.core.decision import Considered, Decision
from gateway.core.errors import Overloaded, SwitchgearError, UpstreamTimeout
from gateway.core.events import Decided, Tried
from gateway.core.responder import Send
from gateway.routing.commit import Commit
from gateway.routing.condition import Condition
from gateway.routing.hedging.leash import Leash
from gateway.routing.hedging.race import Ask, Failure, Race
from gateway.routing.overload.ladder import Ladder
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.rate_headers import limits_in
from gateway.routing.retry import Cause, RetryBudget, asked_for, back_off, cause_of
from gateway.routing.seat import Seat
from gateway.routing.timing import Timing, call_later

log = structlog.get_logger()

_AGAIN: Final = ("target", "busy")
_ELSEWHERE: Final = ("target", "busy", "credentials", "elsewhere")
_LONGEST_COOLING: Final = 120.0
"""Seconds: one answer of a confused upstream must not take it out for a day."""


class Routed:
    """A Responder over a pool. `helping` are other models' pools by the list that names them: general, context, content.

    `deadline` is in seconds, for all tries together.
    """

    def __init__(
        self,
        pool: Pool,
        timing: Timing,
        retry: RetrySettings,
        deadline: float,
        helping: Mapping[str, Sequence[AnyPool]],
        ladder: Ladder | None = None,
    ) -> None:
        self.pool = pool
        self._timing = timing
        self.now = timing.now
        self._hedge = None if timing.spawn is None else pool.hedge
        self._now = timing.now
        self._sleep = timing.sleep
        self._chance = timing.chance
        self._retry = retry
        self._deadline = deadline
        self.helping = dict(helping)
        self._budget = RetryBudget(retry.budget)
        self._ladder = ladder
        # Of a version everybody is told, also where it has nothing to choose.
        self._lone = pool.seats[0] if len(pool.seats) == 1 and not pool.version else None

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer from the first target that can. Raises what the last one raised, Unavailable when all are spared."""
        now = self._now()
        self._budget.deposit()
        lone = self._lone
        if lone is not None and not lone.condition.spared(now) and (lone.gate is None or lone.gate.has_room(call.id)):
            # Where there is nothing to choose nobody need be told, unless more follows.
            error = await self._try(lone, call, send, now, self._deadline)
            if error is None:
                return
            seats, decision = self.pool.decide(call, now)
            tries = _Tries((lone,), decision, now + self._deadline, error)
            await send(Decided(decision))
            await self._go_on(tries, call, send)
            return
        seats, decision = self.pool.decide(call, now)
        await send(Decided(decision))
        if seats and (self._ladder is None or seats[0].has_room(call.id)):
            begun = await self._first(seats, decision, call, send, now)
            if begun is None:
                return
            tries = begun
        else:
            error = self._ladder.full() if seats and self._ladder is not None else self.pool.all_spared(now)
            tries = _Tries((), decision, now + self._deadline, error)
        await self._go_on(tries, call, send)

    @property
    def ask(self) -> Ask:
        """What asks a single target: for who has something to ask after the commit point."""
        return self._try

    async def ask_alone(self, seat: Seat, call: Call, send: Send, left: float = math.inf) -> SwitchgearError | None:
        """Ask one target, which has `left` seconds to begin, and give its error. Raises where `_try` does."""
        self._budget.deposit()
        return await self._try(seat, call, send, self._now(), left)

    async def recover(
        self,
        seat: Seat,
        error: SwitchgearError,
        call: Call,
        send: Send,
        *,
        decision: Decision,
        deadline: float,
        asked: Sequence[Seat],
    ) -> None:
        """The last that was asked alone has failed: go on with the models that help out, and tries again. Nobody waits for the `asked`."""
        tries = _Tries((seat,), decision, deadline, error)
        tries.asked.update(asked)
        await self._go_on(tries, call, send)

    async def instead(
        self, error: SwitchgearError, call: Call, send: Send, *, decision: Decision, deadline: float
    ) -> None:
        """None of the model's own targets is to answer any more: go on with the models that help out, then down the ladder."""
        tries = _Tries((), decision, deadline, error)
        tries.asked.update(self.pool.seats)
        await self._go_on(tries, call, send)

    async def _first(
        self, seats: Sequence[Seat], decision: Decision, call: Call, send: Send, now: float
    ) -> _Tries | None:
        """Ask the first target, and beside it the second where that takes long; give how far the call has got, None at its end."""
        if self._hedge is not None and (patience := self._hedge.wait(call, seats, now)) is not None:
            race = Race(self._try, self._hedge, self._timing, call, send, seats, decision)
            failures = await race.run(patience, now, self._deadline)
            return _after(race, failures, now + self._deadline) if failures else None
        error = await self._try(seats[0], call, send, now, self._deadline)
        return None if error is None else _Tries(seats, decision, now + self._deadline, error)

    async def _try(
        self, seat: Seat, call: Call, send: Send, now: float, left: float, commit: Commit | None = None
    ) -> SwitchgearError | None:
        """Ask one target, and give its error; raise it when the answer had begun, or no other target could mend it.

        `left` are the seconds until the deadline.
        """
        commit, condition = commit or Commit(send, self._now), seat.condition
        probe = condition.begin()
        try:
            if left >= seat.target.timeouts.total:  # which ends it by itself
                await seat.responder(call, commit)
            else:
                await self._within(left, seat, call, commit)
        except SwitchgearError as error:
            cause = cause_of(error)
            self._note(seat, error, cause, probe=probe)
            if commit.done or cause == "call":
                raise
            return error
        except BaseException:
            condition.leave(probe=probe)
            raise
        ended = self._now()
        condition.succeed(ended, probe=probe)
        if commit.done:
            _learn(condition, commit, now, ended)
            if condition.first_times is not None:
                condition.saw_first_time(call, commit.at - now, ended)
        return None

    async def _within(self, left: float, seat: Seat, call: Call, commit: Commit) -> None:
        """Ask a target that has to begin its answer before the deadline. A cancel scope would cost as much as all of the rest."""
        leash = Leash()
        leash.hold()
        commit.alarm = alarm = call_later(max(left, 0.0), leash.pull)
        try:
            await seat.responder(call, commit)
        except asyncio.CancelledError:
            if not leash.release():
                raise
            msg = f"All tries together took longer than {self._deadline:g} s (routing.deadline)."
            raise UpstreamTimeout(msg) from None
        except BaseException:
            leash.release()
            raise
        else:
            leash.release()
        finally:
            alarm.cancel()

    def _note(self, seat: Seat, error: SwitchgearError, cause: Cause, *, probe: bool) -> None:
        now, condition = self._now(), seat.condition
        if cause in ("target", "credentials"):
            if condition.fail(now, probe=probe):
                log.warning(
                    "breaker.opened", target=seat.name, error=error.code, open_s=round(condition.back_at(now), 1)
                )
        elif cause in ("call", "context", "content"):
            condition.succeed(now, probe=probe)  # it lives, and says no
        else:
            condition.leave(probe=probe)
        if cause in _AGAIN and (asked := asked_for(error)):
            condition.cool(now + min(asked, _LONGEST_COOLING))

    async def _go_on(self, tries: _Tries, call: Call, send: Send) -> None:
        """The first target has failed, or all are full or spared: ask others, and when none can answer, go down the ladder."""
        if self._ladder is None:
            await self._others(tries, call, send)
            return
        try:
            await self._others(tries, call, send)
        except SwitchgearError as error:
            # What another target's answer had begun with, or no target could mend, is not in the tries.
            if error is not tries.error or cause_of(error) not in _ELSEWHERE:
                raise
        else:
            return
        await self._ladder.descend(
            tries, call, send, lambda seat: self._ask(seat, tries, call, send), lambda: self._rest(tries, call, send)
        )

    async def _ask(self, seat: Seat, tries: _Tries, call: Call, send: Send) -> bool:
        """Ask one more target; whether it answered. Raises what its answer had begun with, or no target could mend."""
        if tries.failed is not None:
            await send(Tried(target=tries.failed.name, error=tries.error.code, following=seat.name))
        now = self._now()
        error = await self._try(seat, call, send, now, tries.deadline - now)
        if error is None:
            return True
        tries.note(seat, error)
        return False

    async def _rest(self, tries: _Tries, call: Call, send: Send) -> bool:
        """Ask whom there is left to ask; whether one answered. Raises as `ask`."""
        try:
            await self._others(tries, call, send)
        except SwitchgearError as error:
            if error is not tries.error:
                raise
            return False
        return True

    async def _others(self, tries: _Tries, call: Call, send: Send) -> None:
        """The first target has failed: ask the others, then the models that help out, then those again that may have recovered."""
        while True:
            now = self._now()
            if now >= tries.deadline:
                raise tries.error
            seat, wait = self._following(tries, call, now)
            if tries.told is not tries.decision:
                tries.told = tries.decision
                await send(Decided(tries.decision))
            if tries.failed is not None:
                await send(Tried(target=tries.failed.name, error=tries.error.code, following=seat.name))
            if wait:
                await self._sleep(wait)
            now = self._now()
            error = await self._try(seat, call, send, now, tries.deadline - now)
            if error is None:
                return
            tries.note(seat, error)

    def _following(self, tries: _Tries, call: Call, now: float) -> tuple[Seat, float]:
        """Give the target to ask next, and how long to wait before. Raises the last error when there is none."""
        cause = cause_of(tries.error)
        seat = tries.following(cause, call)
        while seat is None and self._help(tries, cause, call, now):
            seat = tries.following("elsewhere", call)
        return self._again(tries, now) if seat is None else (seat, 0.0)

    def _help(self, tries: _Tries, cause: Cause, call: Call, now: float) -> bool:
        """Add the targets of the models that help out in such a case; whether there are any to ask."""
        name = cause if cause in ("context", "content") else "general"
        if name == "general" and cause not in _ELSEWHERE:
            return False
        for pool in self.helping.get(name, ()):
            if pool.model not in tries.helped:
                seats, decision = pool.decide(call, now)
                tries.help(pool.model, seats, decision)
                if seats:
                    return True
        return False

    def _again(self, tries: _Tries, now: float) -> tuple[Seat, float]:
        """Give a target to ask again, and how long to wait before. Raises the last error when none is worth it."""
        retry = self._retry
        if tries.number < retry.attempts:
            for seat, error in tries.again:
                wait = back_off(retry, tries.repeated + 1, asked_for(error), self._chance)
                if wait is None or now + wait >= tries.deadline:
                    continue
                if not seat.condition.breaker.admits(now + wait):
                    continue
                if not self._budget.withdraw():
                    break
                tries.repeat(seat)
                seat.condition.repeated += 1
                return seat, wait
        raise tries.error


def _after(race: Race, failures: Sequence[Failure], deadline: float) -> _Tries:
    """Give how far a call has got of which all that raced have failed, in the order in which they did."""
    failed = [seat for seat, _ in failures]
    others = [seat for seat in race.seats if seat not in failed]
    tries = _Tries((*failed[:1], *others), race.decision, deadline, failures[0][1])
    for seat, error in failures[1:]:
        tries.note(seat, error)
    return tries


def _learn(condition: Condition, commit: Commit, began: float, ended: float) -> None:
    """Note what a good answer tells of its target: how long it took, and what is left of its limits."""
    finished, started = commit.finished, commit.started
    if finished is not None and finished.usage is not None:
        further = finished.usage.output_total - 1
        if further > 0:
            condition.saw_rate((ended - commit.at) / further, ended)
    condition.saw_first(commit.at - began, ended)
    if started is not None and (started.limits or started.headers):
        condition.saw_limits(limits_in(started, ended))


class _Tries:
    """How far one call has got."""

    def __init__(self, seats: Sequence[Seat], decision: Decision, deadline: float, error: SwitchgearError) -> None:
        self.decision = self.told = decision
        self.deadline = deadline
        self.error = error
        self.failed: Seat | None = None
        self.number = 0
        self.repeated = 0
        self.helped: set[str] = set()
        self.asked: set[Seat] = set()
        self.again: deque[tuple[Seat, SwitchgearError]] = deque()
        self._queue = deque(seats)
        if self._queue:
            self.note(self._queue.popleft(), error)

    def note(self, seat: Seat, error: SwitchgearError) -> None:
        """A try has failed."""
        self.number += 1
        if isinstance(error, Overloaded):  # it never got there
            return
        self.failed, self.error = seat, error
        self.asked.add(seat)
        if cause_of(error) in _AGAIN:
            self.again.append((seat, error))

    def following(self, cause: Cause, call: Call) -> Seat | None:
        """Give the next target that was not asked yet. Where the prompt or its content is at fault, the same model's do not help."""
        while self._queue and cause in _ELSEWHERE:
            seat = self._queue.popleft()
            if seat.has_room(call.id):
                return seat
        return None

    def take(self, seats: Sequence[Seat], decision: Decision) -> None:
        """These are to be asked next."""
        self._queue = deque(seats)
        self.decision = self.told = decision

    def repeat(self, seat: Seat) -> None:
        """It is asked again."""
        self.repeated += 1
        self.again = deque(pair for pair in self.again if pair[0] is not seat)

    def help(self, model: str, seats: Sequence[Seat], decision: Decision) -> None:
        """Another model helps out."""
        self.helped.add(model)
        self._queue = deque(seats)
        considered = (*self.decision.considered, *[_next(one) for one in decision.considered])
        self.decision = msgspec.structs.replace(self.decision, considered=considered)


def _next(one: Considered) -> Considered:
    return msgspec.structs.replace(one, verdict="next", score=None) if one.verdict == "chosen" else one
