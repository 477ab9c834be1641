"""How strongly calls speak for it that a challenger is worse: tests that may be looked at after every call.

Every compared figure is a bet against the claim that the challenger is no worse. Calls go to the challenger by chance, with a known
probability p; so where versions do not differ, (G - p)(Y - c) has mean 0, whatever the figure Y of a call is, G being 1 for the
challenger's calls and 0 for others, and c anything that was known before. A stake L that was known before as well then makes the wealth,
the product of 1 + L(G - p)(Y - c), a test martingale: by Ville's inequality it ever reaches 1/alpha with probability alpha at most, however
often one looks, and however figures drift over time, as they drift for both versions alike. For errors, with c the error rate of both and
L = d/(c(1 - c)), the factor is the likelihood ratio of Turner, Ly and Grünwald ("Generic E-variables for exact sequential k-sample
tests", 2024) for versions that differ by d; for other figures it is the betting of Waudby-Smith and Ramdas ("Estimating means of bounded
random variables by betting", 2024), with values cut off at three standard deviations. Wealths of several d are mixed, which is a wealth.

Logarithms of wealths are sums over calls: so are those of replicas, in whatever order they come together.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, log1p
from typing import Final, Literal

import msgspec

from gateway.config.rollout_settings import RolloutSettings
from gateway.routing.rollouts.tally import Tally

Figure = Literal["error_rate", "first_token", "cost", "score"]
SCORE_OF: Final = "score:"
"""What the names of scores are counted under where none of them is compared."""

ERROR_BETS: Final = ((0.04, 0.9), (0.4, 0.1))
"""Differences in the error rate that are bet on, and their weights: the best for five points soon, and a version that hardly works."""
VALUE_BETS: Final = ((0.25, 0.5), (0.75, 0.5))
"""The same for other figures, in standard deviations."""
MOST_AT_STAKE: Final = 0.9
"""No call takes more than this share of the wealth."""
CUT: Final = 3.0
"""Standard deviations at which values are cut off: one that is far out says no more than that."""
FEWEST_VALUES: Final = 20
"""Values that the mean and the spread of a figure are taken from before anything is bet on it."""
LEAST_SPREAD: Final = 0.05
"""The least standard deviation: of a logarithm, or of a score. Smaller differences matter to nobody."""
FEWEST_CALLS: Final = 5
"""Calls of the challenger before anything is said about it: a few of one session tell little."""
SPENT: Final = 0.9
"""The share of alpha that the tests use: the rest is for what they do not know, as that calls of one session fail together."""
ERRORS_PART: Final = 0.8
"""The share of alpha that errors have where other figures are compared too."""
_PRIOR_RATE, _PRIOR_CALLS = 0.05, 20.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One call: the version that had it, and what came of it. `share` is the probability with which it went to the challenger.

    `failed` is None for a call that says nothing of it. `values` holds logarithms of seconds (first_token) and nano-dollars (cost).
    """

    version: str
    challenger: bool
    share: float
    failed: bool | None
    values: tuple[tuple[str, float], ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure says: how much worse the challenger looks (`worse`, 0 or less where it is not), and how surely."""

    figure: Figure
    wealth: float
    needed: float
    worse: float
    tolerance: float

    @property
    def breached(self) -> bool:
        """Whether it is worse by more than is tolerated, and not by chance."""
        return self.wealth >= self.needed and self.worse >= self.tolerance and self.worse > 0


def count(tally: Tally, versions: Sequence[str], seen: Seen) -> None:
    """Note a call, and bet on it. `versions` are all that are compared. A share of 0 or 1 decides nothing by chance: no bet."""
    by_chance = 0 < seen.share < 1
    if seen.failed is not None:
        if by_chance:
            _bet_on_failure(tally, versions, seen, failed=seen.failed)
        tally.add(f"{seen.version}.calls", 1)
        if seen.failed:
            tally.add(f"{seen.version}.errors", 1)
    for figure, value in seen.values:
        if by_chance:
            _bet_on_value(tally, versions, seen, figure, value)
        tally.add_value(f"{seen.version}.{figure}", value)


def _bet_on_failure(tally: Tally, versions: Sequence[str], seen: Seen, *, failed: bool) -> None:
    calls = sum([tally[f"{version}.calls"] for version in versions]) + _PRIOR_CALLS
    errors = sum([tally[f"{version}.errors"] for version in versions]) + _PRIOR_RATE * _PRIOR_CALLS
    rate, p = errors / calls, seen.share
    drawn = (1 - p if seen.challenger else -p) * (1 - rate if failed else -rate)
    worst = max(p * (1 - rate), (1 - p) * rate)
    for number, (difference, _) in enumerate(ERROR_BETS):
        stake = min(difference / (rate * (1 - rate)), MOST_AT_STAKE / worst)
        tally.add(f"bet.error_rate.{number}", log1p(stake * drawn))


def _bet_on_value(tally: Tally, versions: Sequence[str], seen: Seen, figure: str, value: float) -> None:
    known = tally.moments(*[f"{version}.{figure}" for version in versions])
    if known.n < FEWEST_VALUES:
        return
    far = (value - known.mean) / max(known.spread, LEAST_SPREAD)
    far = min(max(far, -CUT), CUT)
    p = seen.share
    drawn = (1 - p if seen.challenger else -p) * (-far if figure == "score" else far)
    worst = CUT * max(p, 1 - p)
    for number, (difference, _) in enumerate(VALUE_BETS):
        tally.add(f"bet.{figure}.{number}", log1p(min(difference, MOST_AT_STAKE / worst) * drawn))


def compared(settings: RolloutSettings) -> dict[Figure, tuple[float, float]]:
    """Give (tolerance, alpha) of each figure that is compared: together the alphas are less than that of the rollout."""
    tolerances: dict[Figure, float | None] = {
        "error_rate": settings.error_rate,
        "first_token": settings.first_token,
        "cost": settings.cost,
        "score": None if settings.score is None else settings.score_drop,
    }
    there: dict[Figure, float] = {figure: limit for figure, limit in tolerances.items() if limit is not None}
    others = len(there) - ("error_rate" in there)
    errors = 0.0 if "error_rate" not in there else ERRORS_PART if others else 1.0
    alpha = settings.alpha * SPENT
    found: dict[Figure, tuple[float, float]] = {}
    for figure, tolerance in there.items():
        found[figure] = (tolerance, alpha * (errors if figure == "error_rate" else (1 - errors) / others))
    return found


def verdicts(tally: Tally, settings: RolloutSettings) -> list[Verdict]:
    """Give what every compared figure says so far."""
    return [
        Verdict(
            figure=figure,
            wealth=wealth(tally, figure),
            needed=1 / alpha,
            worse=worse_by(tally, figure, settings.stable, settings.challenger),
            tolerance=tolerance,
        )
        for figure, (tolerance, alpha) in compared(settings).items()
    ]


def wealth(tally: Tally, figure: Figure) -> float:
    """Give what a stake of 1 has become by betting that the challenger is worse."""
    bets = ERROR_BETS if figure == "error_rate" else VALUE_BETS
    return sum([weight * _grown(tally[f"bet.{figure}.{number}"]) for number, (_, weight) in enumerate(bets)])


def worse_by(tally: Tally, figure: Figure, stable: str, challenger: str) -> float:
    """Give how much worse the challenger looks: as a difference of rates or scores, or as the excess of a ratio; -inf for too few."""
    if figure == "error_rate":
        calls, stable_calls = tally[f"{challenger}.calls"], tally[f"{stable}.calls"]
        if calls < FEWEST_CALLS or not stable_calls:
            return -inf
        return tally[f"{challenger}.errors"] / calls - tally[f"{stable}.errors"] / stable_calls
    theirs, ours = tally.moments(f"{challenger}.{figure}"), tally.moments(f"{stable}.{figure}")
    if theirs.n < FEWEST_CALLS or not ours.n:
        return -inf
    difference = theirs.mean - ours.mean
    return -difference if figure == "score" else _grown(difference) - 1


def log_of(value: float, least: float) -> float:
    """Give the logarithm of a figure that cannot be negative; below `least` nothing is told apart."""
    return log(max(value, least))


def _grown(logarithm: float) -> float:
    return exp(min(logarithm, 700.0))
