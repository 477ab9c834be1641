"""Confidence sequences: intervals that hold at every moment at once, so that looking often does not lie. Pure."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, lgamma, log, log1p, sqrt
from typing import Final

from gateway.routing.rollouts.tally import Moments

Interval = tuple[float, float]

TUNED_FOR: Final = 1000
"""Calls at which intervals of means are tightest."""
FEWEST: Final = 20
"""Values of each version below which nothing is said of a mean: the sequence holds asymptotically."""
_HALVINGS = 50


def rate_interval(hits: float, calls: float, alpha: float) -> Interval:
    """Give where a probability lies, by Beta-binomial mixture with Jeffreys' prior: Howard et al., "Time-uniform Chernoff bounds" (2020).

    Exact: with probability 1 - alpha it holds after every call.
    """
    if not calls:
        return 0.0, 1.0
    misses = calls - hits
    limit = _log_beta(hits + 0.5, misses + 0.5) - _log_beta(0.5, 0.5) + log(alpha)

    def outside(rate: float) -> bool:
        likelihood = (hits * log(rate) if hits else 0.0) + (misses * log1p(-rate) if misses else 0.0)
        return likelihood < limit

    seen = hits / calls
    low = 0.0 if not hits else _edge(outside, 0.0, seen)
    high = 1.0 if not misses else _edge(outside, 1.0, seen)
    return low, high


def difference_of_rates(stable: tuple[float, float], challenger: tuple[float, float], alpha: float) -> Interval:
    """Give where the difference of two probabilities lies, from (hits, calls) of each: each one's own interval at half of alpha."""
    low, high = rate_interval(*stable, alpha / 2)
    other_low, other_high = rate_interval(*challenger, alpha / 2)
    return other_low - high, other_high - low


def difference_of_means(stable: Moments, challenger: Moments, alpha: float) -> Interval | None:
    """Give where the difference of two means lies; None for too few values.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit theory", 2024).
    """
    if min(stable.n, challenger.n) < FEWEST:
        return None
    calls = stable.n + challenger.n
    spread = sqrt(calls * (stable.spread**2 / stable.n + challenger.spread**2 / challenger.n))
    half = spread * _boundary(calls, alpha)
    difference = challenger.mean - stable.mean
    return difference - half, difference + half


def mean_interval(values: Moments, alpha: float) -> Interval | None:
    """Give where a mean lies, as above; None for too few values."""
    if values.n < FEWEST:
        return None
    half = values.spread * _boundary(values.n, alpha)
    return values.mean - half, values.mean + half


def ratio(interval: Interval | None) -> Interval | None:
    """Give the interval of a ratio from that of the difference of logarithms."""
    return None if interval is None else (_exp(interval[0]), _exp(interval[1]))


def _boundary(calls: float, alpha: float) -> float:
    """Give half the width of the interval of a mean whose standard deviation is 1 (Robbins' normal mixture)."""
    narrow = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / TUNED_FOR
    grown = calls * narrow + 1
    return sqrt(2 * grown / (calls * calls * narrow) * log(sqrt(grown) / alpha))


def _edge(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Give where `outside` turns, between a point at which it holds and one at which it does not."""
    for _ in range(_HALVINGS):
        middle = (far + near) / 2
        if middle in (far, near):
            break
        if outside(middle):
            far = middle
        else:
            near = middle
    return far


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _exp(value: float) -> float:
    return inf if value > 700 else exp(value)
