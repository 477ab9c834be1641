"""What cascades and votes have in common: one target asked whole, and what was decided so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
import msgspec

from gateway.core.call import Call, opened
from gateway.core.decision import Considered, Decision, Verdict
from gateway.core.errors import SwitchgearError, UpstreamBroken, UpstreamTimeout
from gateway.core.events import Decided, Event
from gateway.core.responder import Lane, Send, lane_of
from gateway.routing.ensembles.held import HeldAnswer, TooLong
from gateway.routing.ensembles.suitability import unsuitable
from gateway.routing.retry import cause_of
from gateway.routing.routed import Routed
from gateway.routing.seat import Seat

_SEVERAL: Final = ("cascade", "vote")
TIMES_OUT: Final = "The answer took longer than it may be waited for ({why})."


class Refused(Exception):
    """Carries an error that no other target can mend."""

    def __init__(self, error: SwitchgearError) -> None:
        super().__init__()
        self.error = error


async def ask_whole(
    routed: Routed, seat: Seat, call: Call, held: HeldAnswer, left: float, why: str
) -> SwitchgearError | None:
    """Ask one target for a whole answer within `left` seconds; give the error that it failed with.

    `why` names the setting that says how long. Raises Refused where no other target could do better.
    """
    with anyio.move_on_after(left):
        try:
            error = await routed.ask_alone(seat, opened(call), held)
        except TooLong:
            return UpstreamBroken("The answer is longer than may be held back (held_bytes).")
        except SwitchgearError as raised:
            error = raised
        if error is not None and not held.begun and cause_of(error) == "call":
            raise Refused(error)
        return error or _fault(held)
    return UpstreamTimeout(TIMES_OUT.format(why=why))


def _fault(held: HeldAnswer) -> SwitchgearError | None:
    try:
        held.answer()
    except UpstreamBroken as error:
        return error
    return None


class Told:
    """The decision as it becomes known, told again with every change: what stands in the record is what happened."""

    def __init__(self, decision: Decision, send: Send) -> None:
        self.decision = decision
        self._send = send

    async def tell(self, verdicts: Mapping[str, tuple[Verdict, str]]) -> None:
        """Say what became of targets: (verdict, why) by name."""
        considered = tuple(
            Considered(one.target, verdicts[one.target][0], one.score, verdicts[one.target][1])
            if one.target in verdicts
            else one
            for one in self.decision.considered
        )
        self.decision = msgspec.structs.replace(self.decision, considered=considered)
        await self._send(Decided(self.decision))


class Amended:
    """A Send that changes what is said about an answer, and nothing of the answer."""

    __slots__ = ("_amend", "_send")

    def __init__(self, send: Send, amend: Callable[[Event], Event]) -> None:
        self._send = send
        self._amend = amend

    def __call__(self, event: Event) -> Awaitable[None]:
        """Pass it on."""
        return self._send(self._amend(event))

    def lane(self) -> Lane | None:
        """Nothing is looked at in a stream."""
        return lane_of(self._send)


def remarked(send: Send, why: str) -> Send:
    """Give a Send that adds to decisions why only one target is asked."""

    def amend(event: Event) -> Event:
        return Decided(_alone(event.decision, why)) if isinstance(event, Decided) else event

    return Amended(send, amend)


def foretold(decision: Decision, call: Call) -> Decision:
    """Give a decision as it would be told if the call were made."""
    why = unsuitable(call) if decision.strategy in _SEVERAL else ""
    return _alone(decision, why) if why else decision


def asks_several(decision: Decision, call: Call) -> bool:
    """Whether several targets are, or may be, asked for one answer to such a call."""
    return decision.strategy in _SEVERAL and not unsuitable(call)


def _alone(decision: Decision, why: str) -> Decision:
    first = decision.chosen
    considered = tuple(_remark(one, why, first=one.target == first) for one in decision.considered)
    return msgspec.structs.replace(decision, considered=considered)


def _remark(one: Considered, why: str, *, first: bool) -> Considered:
    if one.verdict not in ("chosen", "next"):
        return one
    if first:
        return msgspec.structs.replace(one, why=f"asked alone: {why}")
    return msgspec.structs.replace(one, verdict="next", why="asked when those before it fail")
