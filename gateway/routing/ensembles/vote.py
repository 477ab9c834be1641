"""`vote`: several targets are asked at once, and the answer goes out that most give, or that a judge finds best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import anyio
import structlog

from gateway.config.ensemble_settings import VoteSettings
from gateway.core.call import Call
from gateway.core.decision import Verdict
from gateway.core.errors import InternalError, Overloaded, SwitchgearError, Unavailable, UpstreamTimeout
from gateway.core.events import Decided, Spent
from gateway.core.responder import Send
from gateway.routing.ensembles.agreeing import is_decided, meaning_of, most_frequent
from gateway.routing.ensembles.ensemble import TIMES_OUT, Refused, Told, ask_whole, remarked
from gateway.routing.ensembles.held import HeldAnswer, release
from gateway.routing.ensembles.judging import Judge, NoVerdict
from gateway.routing.ensembles.plan import quorum_of, voters_of
from gateway.routing.ensembles.suitability import unsuitable
from gateway.routing.routed import Routed
from gateway.routing.seat import Seat
from gateway.routing.timing import Timing

log = structlog.get_logger()


class Vote:
    """A Responder over the targets of a model. `deadline` is in seconds; `judge` decides where the majority does not."""

    def __init__(
        self, routed: Routed, settings: VoteSettings, judge: Judge | None, timing: Timing, deadline: float
    ) -> None:
        self._routed = routed
        self._settings = settings
        self._judge = judge
        self._now = timing.now
        self._deadline = deadline
        self._asked = voters_of(settings, len(routed.pool.seats))
        self._quorum = quorum_of(settings, len(routed.pool.seats))

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer with what wins. Where too few answer, and nobody else does, raises what the first that failed raised."""
        if why := unsuitable(call):
            await self._routed(call, remarked(send, why))
            return
        began = self._now()
        seats, decision = self._routed.pool.decide(call, began)
        if len(seats) == 1 and self._quorum == 1:
            await self._routed(call, send)
            return
        told = Told(decision, send)
        await send(Decided(decision))
        try:
            winner, voters = await self._won(call, seats, told, send, began)
        except SwitchgearError as error:
            # One answer alone is none that was voted for; other models, and what is done instead, are as without a vote.
            deadline = began + self._deadline
            await self._routed.instead(error, call, send, decision=told.decision, deadline=deadline)
            return
        await _account(voters, winner, send)
        await release(winner.held, winner.held.answer(), send, waited=self._now() - began)

    async def _won(
        self, call: Call, seats: Sequence[Seat], told: Told, send: Send, began: float
    ) -> tuple[_Voter, Sequence[_Voter]]:
        """Let them vote, and say what came of it. Raises what the first that failed raised, where too few answer."""
        self._check(call, seats)
        voters = [_Voter(seat, HeldAnswer(call, self._settings.held_bytes, send)) for seat in seats[: self._asked]]
        try:
            await self._collect(call, voters)
            winner, why = await self._winner(call, voters, send, began + self._deadline - self._now())
        except BaseException:
            await told.tell({voter.seat.name: voter.verdict("lost", "there was no result") for voter in voters})
            await _account(voters, None, send)
            raise
        lost = {voter.seat.name: voter.verdict("lost", "another answer won") for voter in voters}
        await told.tell({**lost, winner.seat.name: ("won", why)})
        return winner, voters

    def _check(self, call: Call, seats: Sequence[Seat]) -> None:
        """Raise what keeps a vote from coming about: then nobody is asked, and paid."""
        if len(seats) < self._quorum:
            msg = f"{self._quorum} answers are needed for a vote, and only {len(seats)} targets can be asked now."
            raise Unavailable(msg, retry_after=1.0)
        roomy = sum(seat.has_room(call.id) for seat in seats)
        if roomy < self._quorum:
            msg = f"{self._quorum} answers are needed for a vote, and only {roomy} targets have room for another call now."
            raise Overloaded(msg, retry_after=1.0)

    async def _collect(self, call: Call, voters: Sequence[_Voter]) -> None:
        """Ask all of them, until all have answered, nothing can change the result any more, or time is over."""
        async with anyio.create_task_group() as tasks:
            scope = tasks.cancel_scope
            scope.deadline = anyio.current_time() + min(self._settings.timeout or math.inf, self._deadline)
            for voter in voters:
                tasks.start_soon(self._ask, call, voter, voters, scope)

    async def _ask(self, call: Call, voter: _Voter, voters: Sequence[_Voter], scope: anyio.CancelScope) -> None:
        error: SwitchgearError | None
        try:
            error = await ask_whole(self._routed, voter.seat, call, voter.held, self._deadline, "routing.deadline")
        except Refused as refused:
            error = refused.error
        except Exception:
            # A fault of one must not take the others with it.
            log.exception("vote.crashed", call=call.id, target=voter.seat.name)
            error = InternalError()
        voter.end(error, None if error is not None else meaning_of(voter.held.answer(), self._settings.normalize))
        if self._judge is None:
            meanings = _meanings(voters)
            waiting = sum(voter.state == "waiting" for voter in voters)
            if waiting and len(meanings) >= self._quorum and is_decided(meanings, waiting):
                scope.cancel()

    async def _winner(self, call: Call, voters: Sequence[_Voter], send: Send, left: float) -> tuple[_Voter, str]:
        meanings = _meanings(voters)
        if len(meanings) < self._quorum:
            raise self._too_few(voters, len(meanings))
        note = ""
        if self._judge is not None and len(meanings) > 1:
            standing = [voters[place] for place in sorted(meanings)]
            try:
                best = await self._judge.best(call, [voter.held.answer() for voter in standing], send, max(left, 0.0))
            except NoVerdict as failure:
                note = f"; by majority, because of the judge {failure}"
            else:
                return standing[best], f"the judge found it the best of {len(standing)}"
        place, votes = most_frequent(meanings, [voter.seat.weight for voter in voters])
        return voters[place], f"{votes} of {len(voters)} votes{note}"

    def _too_few(self, voters: Sequence[_Voter], counted: int) -> SwitchgearError:
        for voter in voters:
            if voter.error is not None:
                return voter.error
        if any(voter.state == "waiting" for voter in voters):
            return UpstreamTimeout(TIMES_OUT.format(why="routing.vote.timeout"))
        return Unavailable(f"{self._quorum} answers that count are needed for a vote, and there were {counted}.")


class _Voter:
    """One target that votes, and what became of it. `meaning` is what its answer comes to, None where that does not count."""

    def __init__(self, seat: Seat, held: HeldAnswer) -> None:
        self.seat = seat
        self.held = held
        self.state: Literal["waiting", "answered", "failed"] = "waiting"
        self.error: SwitchgearError | None = None
        self.meaning: str | None = None

    def end(self, error: SwitchgearError | None, meaning: str | None) -> None:
        """It has answered, or failed."""
        self.error, self.meaning = error, meaning
        self.state = "answered" if error is None else "failed"

    def verdict(self, otherwise: Verdict, why: str) -> tuple[Verdict, str]:
        """Say what became of it where it did not win."""
        if self.error is not None:
            return "failed", self.error.code
        if self.state == "waiting":
            return otherwise, "it was not waited for"
        return (otherwise, why) if self.meaning is not None else ("failed", "no_vote: its answer does not count")


def _meanings(voters: Sequence[_Voter]) -> dict[int, str]:
    return {place: voter.meaning for place, voter in enumerate(voters) if voter.meaning is not None}


async def _account(voters: Sequence[_Voter], winner: _Voter | None, send: Send) -> None:
    """Tell what all but the winner have used."""
    for voter in voters:
        if voter is not winner and (voter.state != "failed" or voter.held.begun):
            await send(Spent(target=voter.seat.name, usage=voter.held.used(), why="vote"))
