"""How sure one can be of a share after so many samples, looking as often as one likes. Pure.

A mixture of likelihoods over a Beta distribution is a martingale where the share is what is claimed, so that it exceeds 1/a at any time
with a probability of at most a (Ville, 1939; Robbins, 1970). So the bounds hold at all times together, not only for a number of samples
that was settled beforehand, as those of Wilson or of Clopper and Pearson would: they are looked at after every sample.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log
from typing import Final

_STEPS: Final = 50


def against(rate: float, wrong: int, total: int, *, expected: float) -> float:
    """Give the logarithm of the evidence against a share of `rate`. `expected` is about the share that one would find telling."""
    alpha, beta = 1.0, max(1.0, 1.0 / expected)
    mixed = _log_beta(alpha + wrong, beta + total - wrong) - _log_beta(alpha, beta)
    return mixed - _log_likelihood(rate, wrong, total)


def surely_below(rate: float, wrong: int, total: int, *, confidence: float) -> bool:
    """Whether the share is below `rate`, as sure as that."""
    return wrong < rate * total and against(rate, wrong, total, expected=rate) >= -log(1 - confidence)


def surely_above(rate: float, wrong: int, total: int, *, confidence: float) -> bool:
    """Whether the share is above `rate`, as sure as that."""
    return wrong > rate * total and against(rate, wrong, total, expected=2.5 * rate) >= -log(1 - confidence)


def interval(wrong: int, total: int, *, confidence: float, expected: float) -> tuple[float, float]:
    """Give the least and the greatest share that the samples do not speak against."""
    if total == 0:
        return 0.0, 1.0
    share, most = wrong / total, -log(1 - confidence)

    def excluded(rate: float) -> bool:
        return against(rate, wrong, total, expected=expected) >= most

    return _edge(share, 0.0, excluded), _edge(share, 1.0, excluded)


def _edge(inside: float, outside: float, excluded: Callable[[float], bool]) -> float:
    """Halve the distance between a share that is not excluded and one that is, or the end of the scale."""
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return inside


def _log_beta(alpha: float, beta: float) -> float:
    return lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)


def _log_likelihood(rate: float, wrong: int, total: int) -> float:
    right = total - wrong
    if (rate <= 0 and wrong) or (rate >= 1 and right):
        return -inf
    return (wrong * log(rate) if wrong else 0.0) + (right * log(1 - rate) if right else 0.0)
