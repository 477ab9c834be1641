"""A model's targets, and which of them a call is to ask, in order. It decides and explains; asking is `routed`'s business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.config.routing_settings import BreakerSettings
from gateway.core.call import Call
from gateway.core.decision import Considered, Decision
from gateway.routing.choosing import Chooser
from gateway.routing.choosing_by_call import Reasoned
from gateway.routing.condition import Condition
from gateway.routing.fitting import ALL_FIT, NOBODY, fitting, lesser_last
from gateway.routing.seat import Seat

MOST_REMEMBERED: Final = 256
"""Decisions without scores that a pool remembers: made once, they are told again and again."""


class Pool:
    """The seats of one model, and the strategy that orders them."""

    def __init__(
        self,
        model: str,
        seats: Sequence[Seat],
        chooser: Chooser,
        breaker: BreakerSettings,
        tokens_of: Callable[[Call], int] = lambda call: 0,
    ) -> None:
        self.model = model
        self.seats = tuple(seats)
        self._chooser = chooser
        self._reason = chooser.reason if isinstance(chooser, Reasoned) else None
        self._tokens_of = tokens_of
        # Of a pool whose targets can all do everything nobody asks what a call needs.
        self._picky = len(self.seats) > 1 and any(seat.abilities.limited or seat.loses for seat in self.seats)
        # One alone is taken out entirely: asking what is down helps nobody. Of several some always stay.
        self._most_out = max(1, int(breaker.most_ejected * len(self.seats)))
        self._remembered: dict[tuple[Seat, ...], Decision] = {}

    def decide(self, call: Call, now: float, *, peek: bool = False) -> tuple[Sequence[Seat], Decision]:
        """Give the seats to ask, in order, and the decision. With `peek` nothing is noted: the next call gets the same."""
        open_, spared = self._open(now)
        unfit, lesser = fitting(self.seats, call, self._tokens_of) if self._picky else ALL_FIT
        if unfit:
            open_ = [seat for seat in open_ if seat not in unfit]
            spared = [seat for seat in spared if seat not in unfit]
        if not open_:
            return (), self._told((), None, spared, unfit, now)
        if self._reason is not None:
            order, scores, why = self._reason(call, open_)
            unfit = {**unfit, **_left_out(open_, order, why)}
        else:
            (order, scores), why = self._chooser.rank(call, open_, now, peek=peek), ""
        if why or lesser:
            order, scores = lesser_last(order, scores, lesser)
            return order, self._told(order, scores, spared, unfit, now, why, lesser)
        if scores is None and not spared and not unfit:
            order = tuple(order)
            known = self._remembered.get(order)
            if known is None:
                known = self._told(order, None, (), {}, now)
                if len(self._remembered) < MOST_REMEMBERED:
                    self._remembered[order] = known
            return order, known
        return order, self._told(order, scores, spared, unfit, now)

    def _open(self, now: float) -> tuple[Sequence[Seat], Sequence[Seat]]:
        """Give the seats that may be asked, and those that are spared."""
        for seat in self.seats:
            if seat.condition.spared(now):
                break
        else:
            return self.seats, ()
        return self._sorted_out(now)

    def _sorted_out(self, now: float) -> tuple[Sequence[Seat], Sequence[Seat]]:
        spared = [seat for seat in self.seats if seat.condition.spared(now)]
        broken = sorted(
            (seat for seat in spared if not seat.condition.breaker.admits(now)),
            key=lambda seat: seat.condition.breaker.until,
        )
        kept_in = set(broken[: max(len(broken) - self._most_out, 0)])
        spared = [seat for seat in spared if seat not in kept_in]
        if len(spared) == len(self.seats):
            # Who asked to be left alone may have meant one caller's large call: where nobody else is there, it is asked still.
            tired = [seat for seat in spared if seat.condition.breaker.admits(now)]
            tired.sort(key=lambda seat: seat.condition.cooling_until)
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
        left_alone = [Considered(seat.name, "spared", None, _why(seat.condition, now)) for seat in spared]
        left_out = [Considered(seat.name, "unfit", None, why) for seat, why in unfit.items()]
        return Decision(self._chooser.name, (*asked, *left_alone, *left_out))


def _left_out(seats: Sequence[Seat], order: Sequence[Seat], why: str) -> Mapping[Seat, str]:
    """Give the seats that a strategy wants nobody to ask."""
    if len(order) == len(seats):
        return {}
    return {seat: f"only others are asked ({why})" for seat in seats if seat not in order}


def _why(condition: Condition, now: float) -> str:
    if now < condition.cooling_until:
        return f"it asked to be left alone for another {condition.cooling_until - now:.1f} s"
    left = condition.breaker.until - now
    if left > 0:
        return f"its breaker is open for another {left:.1f} s"
    return "its breaker is half open, and probes are on their way"
