"""A hedged call: when its first target is slow to begin, a second one is asked as well, and whichever begins first answers.

The first is asked in the caller's own task, as if nobody hedged; only when the alarm rings does the second get a task of its own,
which ends before the call does. The other is cancelled as soon as one has begun, and what it used is told.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from anyio import CancelScope, Event, sleep_forever

from gateway.core import events
from gateway.core.call import Call
from gateway.core.decision import Decision
from gateway.core.errors import InternalError, SwitchgearError, Unavailable
from gateway.core.events import Decided, Spent, Tried
from gateway.core.responder import Send
from gateway.core.usage import BYTES_A_TOKEN, Usage
from gateway.routing.commit import Commit
from gateway.routing.hedging.hedge import Hedge
from gateway.routing.hedging.leash import Leash
from gateway.routing.seat import Seat
from gateway.routing.timing import Timing

log = structlog.get_logger()


class Ask(Protocol):
    """Asks a target at the moment `now`, for at most `left` seconds until it begins; gives the error that another target may mend."""

    def __call__(
        self, seat: Seat, call: Call, send: Send, now: float, left: float, commit: Commit | None = None
    ) -> Awaitable[SwitchgearError | None]:
        """Ask."""
        ...


Failure = tuple[Seat, SwitchgearError]

_MADE_OF_TOKENS = ("generate", "embed", "rerank")


class Entrant(Commit):
    """One of the two tries. Its answer goes out only if it is the first to begin.

    `asked` is when its target was asked (None: not yet), `over` whether that has come to an end of its own: by an answer, by the
    `error` that another target may mend, or by a `fault` that none can. `leash` ends it,
    and `told` is whether it has been said what it used for nothing.
    """

    __slots__ = ("_race", "asked", "error", "fault", "leash", "over", "seat", "told")

    def __init__(self, race: Race, seat: Seat, send: Send, now: Callable[[], float]) -> None:
        super().__init__(send, now)
        self._race = race
        self.seat = seat
        self.leash = Leash()
        self.asked: float | None = None
        self.over = False
        self.error: SwitchgearError | None = None
        self.fault: BaseException | None = None
        self.told = False

    @property
    def failed(self) -> bool:
        """Whether it came to an end without an answer."""
        return self.error is not None or self.fault is not None

    async def _begin(self, event: events.Event) -> None:
        if not self._race.claim(self):
            await sleep_forever()  # it is being cancelled
        before = (self.asked or 0.0) - self._race.began
        if before > 0 and self.started is not None:
            # The first was waited for as well, and that is no overhead of ours.
            self.started = msgspec.structs.replace(self.started, waited=self.started.waited + before)
        await super()._begin(event)


class Race:
    """One call, asked of the first of `seats`, and perhaps of a second. `decision` says so then."""

    __slots__ = (
        "_ask", "_call", "_deadline", "_ended", "_first", "_hedge", "_patience", "_second", "_second_seat", "_send", "_timing",
        "_waiting", "began", "decision", "failures", "seats", "winner",
    )  # fmt: skip

    def __init__(
        self, ask: Ask, hedge: Hedge, timing: Timing, call: Call, send: Send, seats: Sequence[Seat], decision: Decision
    ) -> None:
        self._ask = ask
        self._hedge = hedge
        self._timing = timing
        self._call = call
        self._send = send
        self.seats = seats
        self.decision = decision
        self.winner: Entrant | None = None
        self.failures: list[Failure] = []
        self._first = Entrant(self, seats[0], send, timing.now)
        self._second: Entrant | None = None
        self._second_seat: Seat | None = None
        self._ended = False  # the second's task
        self._waiting: Event | None = None
        self._patience = self._deadline = self.began = 0.0

    async def run(self, patience: float, now: float, left: float) -> list[Failure]:
        """Ask, and give the targets that failed, in the order in which they did; none when one of them answered.

        `patience` are the seconds that the first may take to begin before another is asked, `left` those until the call's deadline. Raises
        what an answer that had begun raised, and what no other target can mend.
        """
        self._patience, self._deadline, self.began = patience, now + left, now
        first = self._first
        alarm = self._timing.later(patience, self._ring)
        try:
            try:
                await self._enter(first, now, left)
            finally:
                alarm.cancel()
            if self._second_seat is None:
                return self._alone(first)
            return await self._settle(first)
        finally:
            if self._second_seat is not None:
                await self._close()
                await self._account()

    def claim(self, entrant: Entrant) -> bool:
        """Its answer begins; whether it is the first."""
        if self.winner is not None or entrant.leash.pulled:
            return False
        self.winner = entrant
        other = self._second if entrant is self._first else self._first
        if other is not None:
            other.leash.pull()
        return True

    async def _enter(self, entrant: Entrant, now: float, left: float) -> None:
        entrant.asked = now
        leash = entrant.leash
        leash.hold()
        try:
            entrant.error = await self._ask(entrant.seat, self._call, self._send, now, left, entrant)
        except CancelledError:
            if not leash.release():
                raise
        except BaseException as fault:  # noqa: BLE001 - kept for the call's own task: the other one raises nothing
            leash.release()
            entrant.fault, entrant.over = fault, True
        else:
            leash.release()
            entrant.over = True

    def _alone(self, first: Entrant) -> list[Failure]:
        if first.fault is not None:
            raise first.fault
        return [] if first.error is None else [(first.seat, first.error)]

    def _ring(self) -> None:
        """The first is slow. Called by the event loop, in no task."""
        spawn = self._timing.spawn
        if self.winner is not None or self._first.over or spawn is None:
            return
        seat = self._hedge.second(self.seats, self._timing.now())
        if seat is not None:
            spawn(self._hedged)
            self._second_seat = seat

    async def _hedged(self) -> None:
        """Ask the second; its task raises nothing."""
        seat = self._second_seat
        try:
            # The first may have begun, or failed for good, before this task had its turn.
            if seat is not None and self.winner is None and self._waiting is None:
                second = self._second = Entrant(self, seat, self._send, self._timing.now)
                await self._send(Decided(self._told(seat)))
                # Or while it was told.
                if self.winner is None and not second.leash.pulled:
                    now = self._timing.now()
                    await self._enter(second, now, self._deadline - now)
                    await self._note(second)
        finally:
            self._ended = True
            if self._waiting is not None:
                self._waiting.set()

    def _told(self, seat: Seat) -> Decision:
        why = f"hedged after {self._patience:.3g} s"
        considered = [
            msgspec.structs.replace(one, why=why) if one.target == seat.name else one
            for one in self.decision.considered
        ]
        self.decision = msgspec.structs.replace(self.decision, considered=tuple(considered))
        return self.decision

    async def _note(self, second: Entrant) -> None:
        """The second is over, or was ended."""
        outcome = "won" if self.winner is second else "failed" if second.failed else "lost"
        hedges = second.seat.condition.hedges
        hedges[outcome] = hedges.get(outcome, 0) + 1
        if outcome == "lost":
            await self._lost(second)
        elif outcome == "failed":
            error = second.error
            if error is None:
                error = second.fault if isinstance(second.fault, SwitchgearError) else InternalError()
            if not isinstance(second.fault, SwitchgearError | None):
                log.error("hedge.crashed", call=self._call.id, target=second.seat.name, exc_info=second.fault)
            self.failures.append((second.seat, error))
            if self.winner is None and not self._first.over:
                await self._send(Tried(target=second.seat.name, error=error.code, following=self._first.seat.name))

    async def _settle(self, first: Entrant) -> list[Failure]:
        """The first is over, or was ended, and there is a second."""
        if self._second is not None and self.winner is self._second:
            await self._account()
        elif first.fault is not None:
            raise first.fault
        elif first.error is None:
            return []
        else:
            self.failures.append((first.seat, first.error))
            if self._second is None:
                return self.failures
            if not self._second.over:
                following = self._second.seat.name
                await self._send(Tried(target=first.seat.name, error=first.error.code, following=following))
        await self._wait()
        return self._of_second()

    def _of_second(self) -> list[Failure]:
        second = self._second
        if second is None:
            return self.failures
        if second.fault is not None:
            raise second.fault
        if not second.over:
            msg = "The server ended the call."
            raise Unavailable(msg)
        return self.failures if second.error is not None else []

    async def _account(self) -> None:
        """Where the second won, note and tell what the first has come to."""
        first = self._first
        if self._second is None or self.winner is not self._second or first.told or first.failed:
            return
        now = self._timing.now()
        first.seat.condition.outlasted(self._call, now - (first.asked or now), now)
        await self._lost(first)

    async def _lost(self, entrant: Entrant) -> None:
        """Tell what it used for nothing: what its target said, else at least the prompt, which most of them bill."""
        entrant.told = True
        used = None if entrant.cut is None else entrant.cut.usage
        if used is None and self._call.operation in _MADE_OF_TOKENS:
            used = Usage(input=len(self._call.body) // BYTES_A_TOKEN, estimated=True)
        if used is not None:
            await self._send(Spent(target=entrant.seat.name, usage=used, why="hedge"))

    async def _close(self) -> None:
        """Let nothing of it be left when the call is over."""
        if self._ended:
            return
        if self._waiting is None:
            self._waiting = Event()
        if self._second is not None:
            self._second.leash.pull()
        with CancelScope(shield=True):
            await self._waiting.wait()

    async def _wait(self) -> None:
        if not self._ended:
            self._waiting = Event()
            await self._waiting.wait()
