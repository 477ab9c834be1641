"""Looking often does not lie: equal versions stay, worse ones go back, and intervals hold at every moment."""

import importlib.util
import math
import random
from pathlib import Path

import pytest

from gateway.config.rollout_settings import RolloutSettings
from gateway.routing.rollouts.evidence import Seen, compared, count, verdicts, wealth, worse_by
from gateway.routing.rollouts.intervals import difference_of_means, difference_of_rates, mean_interval, rate_interval
from gateway.routing.rollouts.tally import Tally

ROOT = Path(__file__).resolve().parents[4]
VERSIONS = ("v1", "v2")
ERRORS = RolloutSettings(stable="v1", challenger="v2", first_token=None)
DEFAULT = RolloutSettings(stable="v1", challenger="v2")


def simulation():
    """The simulated rollouts of the benchmark: the same ones, in fewer runs."""
    spec = importlib.util.spec_from_file_location("rollouts_benchmark", ROOT / "benchmarks" / "rollouts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SIMULATED = simulation()


def went_back(settings: RolloutSettings, runs: int, seed: int = 3, **world) -> float:
    return SIMULATED.share_back(SIMULATED.World(**world), settings, runs, seed)[0]


def test_of_a_thousand_equal_challengers_at_most_one_in_twenty_goes_back_though_every_call_is_looked_at():
    # 1,000 rollouts in all, of 400 calls: most of what goes back does so early. The benchmark runs 2,000 calls each.
    rates = [0.01, 0.05, 0.2, 0.5]
    shares = [
        SIMULATED.share_back(SIMULATED.World(errors=(rate, rate)), ERRORS, 250, seed, calls=400)[0]
        for seed, rate in enumerate(rates)
    ]
    assert sum(shares) / len(shares) <= 0.05


def test_an_outage_of_both_versions_at_a_larger_share_speaks_against_neither():
    # As steps have different shares, figures that were just added up would: here the challenger has most of its calls meanwhile.
    assert went_back(ERRORS, 60, errors=(0.01, 0.01), outage=(185, 500, 0.5)) <= 0.09


@pytest.mark.parametrize("errors", [(0.01, 0.06), (0.05, 0.10), (0.0, 0.05)])
def test_a_challenger_that_is_five_points_worse_goes_back_within_two_thousand_calls(errors):
    assert went_back(DEFAULT, 60, errors=errors) >= 0.85  # the benchmark shows at least 90 % in 1,000 runs


def test_a_challenger_that_hardly_works_goes_back_after_a_few_of_its_calls():
    _, after = SIMULATED.share_back(SIMULATED.World(errors=(0.01, 0.9)), DEFAULT, 20)
    assert after <= 150  # of which it had one in a hundred, later one in twenty


def test_a_slow_challenger_goes_back():
    assert went_back(DEFAULT, 20, errors=(0.01, 0.01), first_token=(0.0, math.log(1.5))) >= 0.9


def test_a_challenger_that_is_better_stays():
    assert went_back(DEFAULT, 20, errors=(0.10, 0.05), first_token=(0.0, -0.5)) == 0


def test_a_failure_is_bet_on_by_the_likelihood_ratio_of_two_rates():
    """Turner, Ly and Grünwald: the factor is p(y | version) / p(y | both), whatever the rate is."""
    tally, share = Tally(), 0.5
    count(tally, VERSIONS, Seen(version="v2", challenger=True, share=share, failed=True))

    rate, difference = 0.05, 0.04  # before the first call, and what is bet on
    theirs = rate + (1 - share) * difference
    assert tally["bet.error_rate.0"] == pytest.approx(math.log(theirs / rate))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("rate", [0.001, 0.3, 0.9])
def test_no_bet_expects_to_win_where_versions_are_equal(share, rate):
    expected = 0.0
    for challenger, chance in ((True, share), (False, 1 - share)):
        for failed, likely in ((True, rate), (False, 1 - rate)):
            tally = Tally()
            for number in range(40):
                tally.add("v1.calls", 1)
                tally.add("v1.errors", number % 3 == 0)
            version = "v2" if challenger else "v1"
            count(tally, VERSIONS, Seen(version=version, challenger=challenger, share=share, failed=failed))
            expected += chance * likely * wealth(tally, "error_rate")
    assert expected == pytest.approx(1)


def test_replicas_bets_add_up_whoever_saw_the_calls():
    chance, one, other = random.Random(2), Tally(), Tally()
    for number in range(200):
        challenger = chance.random() < 0.5
        tally = (one, other)[number % 2]
        one.others, other.others = dict(other.own), dict(one.own)
        seen = Seen(
            version=VERSIONS[challenger], challenger=challenger, share=0.5, failed=chance.random() < 0.4 * challenger
        )
        count(tally, VERSIONS, seen)
    one.others = other.own

    assert one["v1.calls"] + one["v2.calls"] == 200
    assert verdicts(one, ERRORS)[0].breached


def test_alpha_is_divided_between_the_figures():
    settings = RolloutSettings(stable="v1", challenger="v2", cost=0.2, score="helpful", alpha=0.05)

    assert sum(alpha for _, alpha in compared(settings).values()) <= 0.05
    assert compared(settings)["error_rate"][1] > 0.03
    assert list(compared(ERRORS)) == ["error_rate"]


def test_a_difference_that_is_tolerated_goes_back_never_however_sure_it_is():
    tally = Tally()
    for version, errors in (("v1", 1000), ("v2", 1900)):
        tally.add(f"{version}.calls", 100_000)
        tally.add(f"{version}.errors", errors)
    tally.add("bet.error_rate.0", 50.0)

    (verdict,) = verdicts(tally, ERRORS)
    assert verdict.wealth > verdict.needed
    assert verdict.worse == pytest.approx(0.009)
    assert not verdict.breached


def test_too_few_calls_say_nothing():
    tally = Tally()
    count(tally, VERSIONS, Seen(version="v1", challenger=False, share=0.5, failed=False))
    count(tally, VERSIONS, Seen(version="v2", challenger=True, share=0.5, failed=True))

    assert worse_by(tally, "error_rate", "v1", "v2") == -math.inf


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_interval_of_a_rate_holds_after_every_call(rate):
    chance, missed = random.Random(4), 0
    for _ in range(200):
        hits, wrong = 0, False
        for calls in range(1, 301):
            hits += chance.random() < rate
            if calls % 5 == 0:
                low, high = rate_interval(hits, calls, 0.05)
                wrong |= not low <= rate <= high
        missed += wrong
    assert missed / 200 <= 0.05


def test_the_interval_of_a_difference_of_means_holds_after_every_call():
    chance, missed = random.Random(5), 0
    for _ in range(150):
        tally, wrong = Tally(), False
        for calls in range(1, 401):
            tally.add_value(VERSIONS[calls % 2], chance.gauss(0, 1))
            if calls > 40 and calls % 5 == 0:
                interval = difference_of_means(tally.moments("v1"), tally.moments("v2"), 0.05)
                assert interval is not None
                wrong |= not interval[0] <= 0 <= interval[1]
        missed += wrong
    assert missed / 150 <= 0.05


def test_intervals_of_nothing_are_everything():
    assert rate_interval(0, 0, 0.05) == (0, 1)
    assert mean_interval(Tally().moments("x"), 0.05) is None
    assert difference_of_rates((0, 0), (5, 10), 0.05)[0] < 0


def test_intervals_of_none_and_of_all_reach_the_ends():
    assert rate_interval(0, 50, 0.05)[0] == 0
    assert rate_interval(50, 50, 0.05)[1] == 1
    assert 0 < rate_interval(0, 50, 0.05)[1] < 0.3
