"""A model's targets, and which of them a call is to ask, in order. It decides and explains; asking is `routed`'s business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from gateway.config.routing_settings import BreakerSettings
from gateway.core.call import Call
from gateway.core.decision import Considered, Decision, Verdict
from gateway.core.errors import Unavailable
from gateway.routing.affinity import Affinity
from gateway.routing.choosing.by_call import Reasoned
from gateway.routing.choosing.chooser import Chooser, Ranked
from gateway.routing.fitting import ALL_FIT, NOBODY, fitting, lesser_last
from gateway.routing.hedging.hedge import Hedge
from gateway.routing.seat import Seat

MOST_REMEMBERED: Final = 256
"""Decisions without scores that a pool remembers: made once, they are told again and again."""

ToldOf = Callable[[int, int], tuple[Verdict, str]]
"""Gives verdict and reason of the target with a number, from 0, of so many in their order: where several are asked for one answer."""


class AnyPool(Protocol):
    """A pool, or what decides as one does."""

    model: str
    seats: tuple[Seat, ...]

    def decide(self, call: Call, now: float, *, peek: bool = False) -> tuple[Sequence[Seat], Decision]:
        """Give the seats to ask, in order, and the decision. With `peek` nothing is noted: the next call gets the same."""
        ...


class Pool:
    """The seats of one model, and the strategy that orders them."""

    def __init__(
        self,
        model: str,
        seats: Sequence[Seat],
        chooser: Chooser,
        breaker: BreakerSettings,
        tokens_of: Callable[[Call], int] = lambda call: 0,
        told_of: ToldOf | None = None,
        affinity: Affinity | None = None,
    ) -> None:
        self.model = model
        self.version = ""
        self.seats = tuple(seats)
        self._chooser = chooser
        self._reason = chooser.reason if isinstance(chooser, Reasoned) else None
        self._tokens_of = tokens_of
        self._told_of = told_of
        self._affinity = affinity
        # Of a pool whose targets can all do everything nobody asks what a call needs; what goes out as it came loses nothing.
        several = len(self.seats) > 1
        self._picky = several and any(seat.abilities.limited for seat in self.seats)
        self._losing = several and any(seat.loses for seat in self.seats)
        # One alone is taken out entirely: asking what is down helps nobody. Of several some always stay.
        self._most_out = max(1, int(breaker.most_ejected * len(self.seats)))
        self._gated = any(seat.gate is not None for seat in self.seats)
        self._remembered: dict[tuple[Seat, ...], Decision] = {}
        self.hedge: Hedge | None = None

    def decide(self, call: Call, now: float, *, peek: bool = False) -> tuple[Sequence[Seat], Decision]:
        """Give the seats to ask, in order, and the decision. With `peek` nothing is noted: the next call gets the same."""
        open_, spared = self._open(now)
        picky = self._picky or (self._losing and call.content is not None)
        unfit, lesser = fitting(self.seats, call, self._tokens_of) if picky else ALL_FIT
        if unfit:
            open_ = [seat for seat in open_ if seat not in unfit]
            spared = [seat for seat in spared if seat not in unfit]
        if not open_:
            return (), self._told((), None, spared, unfit, now)
        full = _full(open_, call) if self._gated else ()
        roomy = [seat for seat in open_ if seat not in full] if full else open_
        order, scores, why = self._ranked(call, roomy, lesser, now, peek=peek) if roomy else ((), None, "")
        # Nobody's turn has come by this: who waits for them decides again when there is room.
        later = self._ranked(call, full, lesser, now, peek=True)[0] if full else ()
        left_out = _left_out(open_, (*order, *later), why) if self._reason is not None else {}
        if scores is None and not (why or spared or unfit or lesser or later or left_out):
            order = tuple(order)
            known = self._remembered.get(order)
            if known is None:
                known = self._told(order, None, (), {}, now)
                if len(self._remembered) < MOST_REMEMBERED:
                    self._remembered[order] = known
            return order, known
        there = len(order) + len(self.behind(order, later))
        told = self._told(order, scores, spared, {**unfit, **left_out}, now, why, lesser, there)
        return (*order, *later), _with_full(told, later, len(order)) if later else told

    def behind(self, order: Sequence[Seat], full: Sequence[Seat]) -> list[Seat]:
        """Give those of the full seats that are written behind all that are asked."""
        last = max(map(self.seats.index, order), default=-1)
        return [seat for seat in full if self.seats.index(seat) > last]

    def _ranked(
        self, call: Call, seats: Sequence[Seat], lesser: Mapping[Seat, str], now: float, *, peek: bool
    ) -> tuple[Sequence[Seat], Sequence[float] | None, str]:
        """Give the seats in the order in which they are asked, their figures, and why so, where there is more to say."""
        why = ""
        if self._reason is not None:
            order, scores, why = self._reason(call, seats)
        else:
            order, scores = self._chooser.rank(call, seats, now, peek=peek)
        if lesser:
            order, scores = lesser_last(order, scores, lesser)
        if self._affinity is not None:
            first, made = self._affinity.lead(call, order)
            if first is not None:
                order, scores = _led(first, order, scores)
                why = made
        return order, scores, why

    def all_spared(self, now: float) -> Unavailable:
        """Give the error of a call for which there was nobody to ask."""
        soonest = min(seat.condition.back_at(now) for seat in self.seats)
        message = f"Every target of '{self.model}' failed too often of late, and is spared for a while."
        return Unavailable(message, retry_after=max(soonest, 1.0))

    def _open(self, now: float) -> tuple[Sequence[Seat], Sequence[Seat]]:
        """Give the seats that may be asked, and those that are spared."""
        for seat in self.seats:
            if seat.condition.spared(now) or (seat.unwell is not None and seat.unwell()):
                break
        else:
            return self.seats, ()
        return self._sorted_out(now)

    def _sorted_out(self, now: float) -> tuple[Sequence[Seat], Sequence[Seat]]:
        unwell = {seat for seat in self.seats if seat.unwell is not None and seat.unwell()}
        spared = [seat for seat in self.seats if seat.condition.spared(now)]
        broken = sorted(
            (seat for seat in spared if not seat.condition.breaker.admits(now)),
            key=lambda seat: (seat in unwell, seat.condition.breaker.until),
        )
        kept_in = set(broken[: max(len(broken) - self._most_out, 0)])
        spared = [seat for seat in self.seats if seat in unwell or (seat in spared and seat not in kept_in)]
        if len(spared) == len(self.seats):
            # Who asked to be left alone may have meant one caller's large call, and who watches may be wrong: where nobody else is
            # there, they are asked still.
            tired = [seat for seat in spared if seat in kept_in or seat.condition.breaker.admits(now)]
            tired.sort(key=lambda seat: (seat in unwell, seat.condition.cooling_until))
            return tired, [seat for seat in spared if seat not in tired]
        return [seat for seat in self.seats if seat not in spared], spared

    def _told(
        self,
        order: Sequence[Seat],
        scores: Sequence[float] | None,
        spared: Sequence[Seat],
        unfit: Mapping[Seat, str],
        now: float,
        why: str = "",
        lesser: Mapping[Seat, str] = NOBODY,
        there: int = 0,
    ) -> Decision:
        asked = [
            Considered(
                seat.name,
                "next" if number else "chosen",
                None if scores is None else scores[number],
                "; ".join(filter(None, ("" if number else why, lesser.get(seat)))),
            )
            for number, seat in enumerate(order)
        ]
        if self._told_of is not None:
            told = (self._told_of(number, there or len(order)) for number in range(len(order)))
            asked = [
                Considered(one.target, verdict, None, "; ".join(filter(None, (why, one.why))))
                for one, (verdict, why) in zip(asked, told, strict=True)
            ]
        left_alone = [Considered(seat.name, "spared", None, _why(seat, now)) for seat in spared]
        left_out = [Considered(seat.name, "unfit", None, why) for seat, why in unfit.items()]
        return Decision(self._chooser.name, (*asked, *left_alone, *left_out), self.version)


def _led(first: Seat, order: Sequence[Seat], scores: Sequence[float] | None) -> Ranked:
    """Put one seat before all others."""
    others = [number for number, seat in enumerate(order) if seat is not first]
    moved = [order.index(first), *others]
    return [order[number] for number in moved], None if scores is None else [scores[number] for number in moved]


def _left_out(seats: Sequence[Seat], asked: Sequence[Seat], why: str) -> Mapping[Seat, str]:
    """Give the seats that a strategy wants nobody to ask."""
    if len(asked) == len(seats):
        return {}
    return {seat: f"only others are asked ({why})" for seat in seats if seat not in asked}


def _full(seats: Sequence[Seat], call: Call) -> list[Seat]:
    """Give those where the call would find no place."""
    for seat in seats:
        gate = seat.gate
        if gate is not None and gate.taken >= gate.limit:  # written out: this is done for every call
            return [seat for seat in seats if not seat.has_room(call.id)]
    return []


def _with_full(told: Decision, full: Sequence[Seat], asked: int) -> Decision:
    """Put those that are full behind those that are asked."""
    waiting = [
        Considered(seat.name, "full", None, f"full: it has {gate.taken} of {gate.limit:g} calls at once")
        for seat in full
        if (gate := seat.gate) is not None
    ]
    return replace(told, considered=(*told.considered[:asked], *waiting, *told.considered[asked:]))


def _why(seat: Seat, now: float) -> str:
    if seat.unwell is not None and (said := seat.unwell()):
        return said
    condition = seat.condition
    if now < condition.cooling_until:
        return f"it asked to be left alone for another {condition.cooling_until - now:.1f} s"
    left = condition.breaker.until - now
    if left > 0:
        return f"its breaker is open for another {left:.1f} s"
    return "its breaker is half open, and probes are on their way"
