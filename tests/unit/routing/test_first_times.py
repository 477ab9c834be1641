"""The times of a target until its first token: a quantile that is nearly right, of the recent past, in bounded memory."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.first_times import (
    BUCKETS,
    ENOUGH,
    GENERATION_COUNT,
    GENERATION_SECONDS,
    GROWTH,
    FirstTimes,
)


def times_of(seconds, now=0.0):
    times = FirstTimes()
    for each in seconds:
        times.saw(each, now)
    return times


@given(st.lists(st.floats(0.001, 3000), min_size=ENOUGH, max_size=300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_at_most_a_tenth_too_large(seconds, share):
    exact = sorted(seconds)[math.ceil(share * len(seconds) - 1e-9) - 1]

    assert exact * 0.999 <= times_of(seconds).quantile(share, 0.0) <= exact * GROWTH * 1.001


def test_too_few_times_say_nothing():
    assert times_of([1.0] * (ENOUGH - 1)).quantile(0.95, 0.0) is None
    assert times_of([1.0] * ENOUGH).quantile(0.95, 0.0) is not None


def test_the_past_fades_with_the_calls():
    times = times_of([5.0] * 2000)
    for _ in range(2 * GENERATION_COUNT):
        times.saw(0.1, 0.0)

    assert times.quantile(0.95, 0.0) < 0.12


def test_the_past_fades_with_time():
    times = times_of([5.0] * 100)
    assert times.quantile(0.95, GENERATION_SECONDS - 1) >= 5.0
    assert times.quantile(0.95, GENERATION_SECONDS + 1) >= 5.0
    times = times_of([5.0] * 100)

    assert times.quantile(0.95, 2 * GENERATION_SECONDS + 1) is None


def test_any_time_has_its_place():
    times = times_of([0.0, 1e-9, 0.001, 1e6, 1e300] * 10)

    assert times.quantile(0.01, 0.0) <= 0.001 * GROWTH * 1.001
    assert math.isfinite(times.quantile(0.999, 0.0))
    assert len(times._counts) == BUCKETS


def test_what_is_new_is_seen_soon():
    times = times_of([0.1] * 40)
    assert times.quantile(0.5, 0.0) < 0.2
    for _ in range(100):
        times.saw(3.0, 0.0)

    assert times.quantile(0.5, 0.0) >= 3.0
