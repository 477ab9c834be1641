"""Strategies that go by how targets are doing: the quickest, the least busy, the cheapest, the one with most left of its limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, inf
from typing import Final, Protocol

from gateway.core.call import Call
from gateway.routing.choosing.chooser import Ranked, Weighted
from gateway.routing.condition import FADING_SECONDS, Condition
from gateway.routing.seat import Seat

EXPECTED_TOKENS: Final = 256
"""Tokens of an answer, where latencies are weighed: the first of them has its own."""


class Load(Protocol):
    """What a model server says of itself: requests that it computes and that wait, and how full its cache is, from 0 to 1."""

    @property
    def running(self) -> int:
        """Requests being computed."""
        ...

    @property
    def waiting(self) -> int:
        """Requests waiting."""
        ...

    @property
    def kv_cache_usage(self) -> float:
        """From 0 to 1."""
        ...


LoadOf = Callable[[Seat], Load | None]
CostOf = Callable[[Call, Seat], float | None]
"""Gives what a call would cost at a target, in US dollars, None when a price is unknown."""


Score = Callable[[Call, Seat, float], float]
"""Gives a seat's figure for a call at a moment of the steady clock; less is better."""


class ByScore:
    """Orders by a score; between equals each has its turn, by weight."""

    def __init__(self, name: str, score: Score) -> None:
        self.name = name
        self._score = score
        self._turns = Weighted()

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats by their scores."""
        turns, _ = self._turns.rank(call, seats, now, peek=peek)
        scored = sorted([(self._score(call, seat, now), turn, seat) for turn, seat in enumerate(turns)])
        return [seat for _, _, seat in scored], [score for score, _, _ in scored]


def by_latency(call: Call, seat: Seat, now: float) -> float:
    """Give the seconds to expect by the peaks of late, times the calls that wait there already (peak-EWMA, as Finagle has it).

    What has not been asked yet, or not for a while, counts as quick: so a slow target gets its chances.
    """
    del call
    return expected_seconds(seat.condition, now) * (seat.condition.in_flight + 1)


def by_load(load_of: LoadOf) -> Score:
    """Give a score of calls in flight by weight; where the server tells of its own queue and cache, these count too."""

    def score(call: Call, seat: Seat, now: float) -> float:
        del call, now
        if not seat.weight:
            return inf
        busy = float(seat.condition.in_flight)
        load = load_of(seat)
        if load is not None:
            # Others use the server too. A waiting call tells more than a running one; a full cache makes calls wait.
            busy = max(busy, load.running + load.waiting) + load.waiting + load.kv_cache_usage
        return busy / seat.weight

    return score


def by_cost(cost_of: CostOf) -> Score:
    """Give a score of what the call is expected to cost; a target without a price comes last."""

    def score(call: Call, seat: Seat, now: float) -> float:
        del now
        cost = cost_of(call, seat)
        return inf if cost is None else cost

    return score


def by_headroom(call: Call, seat: Seat, now: float) -> float:
    """Give the share of its rate limits that is used up, as its own headers say; what says nothing has all."""
    del call
    return seat.condition.limits_used(now)


def expected_seconds(condition: Condition, now: float) -> float:
    """Give the seconds that an answer is expected to take; it fades with the time since the last one."""
    if condition.first is None:
        return 0.0
    whole = condition.first + (condition.per_token or 0.0) * EXPECTED_TOKENS
    return whole * exp(-max(now - condition.first_at, 0.0) / FADING_SECONDS)
