"""Strategies: in which order a model's targets are asked. Each is a pure function of the call and of what it is told of targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from gateway.core.call import Call
from gateway.routing.seat import Seat

Ranked = tuple[Sequence[Seat], Sequence[float] | None]
"""Seats, the best first, and the figure by which they were ordered; less is better."""


class Chooser(Protocol):
    """Orders the seats that may be asked."""

    name: str

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats in the order in which they are asked. With `peek` nothing is noted. `now` is steady."""
        ...


class InOrder:
    """`fallback`, and whatever else asks them as they are written."""

    def __init__(self, name: str = "fallback") -> None:
        self.name = name

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats as they are."""
        del call, now, peek
        return seats, None


class Weighted:
    """`weighted`: each as often as its weight says, spread as evenly as that goes (nginx's smooth weighted round-robin).

    The others follow in the order in which their turns would come. One of weight 0 is asked only when the others fail.
    """

    name = "weighted"

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the one whose turn it is, then the others."""
        del call, now
        credit = self._credit
        total = 0.0
        grown: list[tuple[float, Seat]] = []
        for seat in seats:
            weight = seat.weight
            total += weight
            grown.append((credit.get(seat.name, 0.0) + weight if weight else -math.inf, seat))
        grown.sort(key=_first, reverse=True)
        if not peek:
            for had, seat in grown:
                if had > -math.inf:
                    credit[seat.name] = had
            if total:
                credit[grown[0][1].name] -= total
        return [seat for _, seat in grown], None


def _first(pair: tuple[float, Seat]) -> float:
    return pair[0]
