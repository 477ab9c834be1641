"""The quickest, the least busy, the cheapest and the one with most left are asked first, and a slow one gets its chances."""

from collections import Counter

import msgspec
import pytest

from gateway.core.events import Started
from gateway.routing.condition import Conditions
from gateway.routing.opening import Known, open_pool
from gateway.routing.plan import RoutingPlan
from gateway.routing.rate_headers import limits_in
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear

TWO = ("a/m", "b/m")


class Load(msgspec.Struct):
    """What a server says."""

    running: int = 0
    waiting: int = 0
    kv_cache_usage: float = 0.0


def pool(strategy, *names, weights=(), **known):
    answering = [(one.target, one) for one in map(Upstream, names)]
    return open_pool(
        "m", answering, RoutingPlan(strategy=strategy, weights=weights), Conditions(lambda: 0.0), Known(**known)
    )


def chosen(one, now=0.0, **fields):
    return one.decide(call_of(**fields), now)[1].chosen


def condition(one, name):
    return next(seat.condition for seat in one.seats if seat.name == name)


def test_the_quicker_target_is_asked():
    one = pool("latency", *TWO)
    condition(one, "a/m").saw_first(2.0, 0.0)
    condition(one, "b/m").saw_first(0.5, 0.0)

    assert Counter(chosen(one) for _ in range(10)) == {"b/m": 10}


def test_each_token_counts_beside_the_first():
    one = pool("latency", *TWO)
    for name, first, rate in (("a/m", 0.2, 0.05), ("b/m", 1.0, 0.01)):
        condition(one, name).saw_rate(rate, 0.0)
        condition(one, name).saw_first(first, 0.0)

    assert chosen(one) == "b/m"


def test_calls_that_wait_there_make_a_target_slower():
    one = pool("latency", *TWO)
    condition(one, "a/m").saw_first(1.0, 0.0)
    condition(one, "b/m").saw_first(2.5, 0.0)
    assert chosen(one) == "a/m"
    condition(one, "a/m").in_flight = 2

    assert chosen(one) == "b/m"


def test_a_target_that_was_never_asked_is_asked_first():
    one = pool("latency", *TWO)
    condition(one, "a/m").saw_first(0.01, 0.0)

    assert chosen(one) == "b/m"


def test_a_slow_answer_counts_at_once_and_quick_ones_bit_by_bit():
    one = condition(pool("latency", *TWO), "a/m")
    one.saw_first(0.5, 0.0)
    one.saw_first(3.0, 1.0)
    assert one.first == 3.0
    one.saw_first(0.5, 2.0)

    assert 2.5 < one.first < 3.0


def test_a_slow_target_gets_another_chance():
    one = pool("latency", *TWO)
    condition(one, "a/m").saw_first(5.0, 0.0)
    asked = None
    for second in range(1, 200):
        condition(one, "b/m").saw_first(0.5, float(second))
        if chosen(one, second + 0.1) == "a/m":
            asked = second
            break

    assert asked is not None
    assert 30 < asked < 100


def test_the_one_with_fewest_calls_by_weight_is_asked():
    one = pool("least_busy", *TWO, weights=(4, 1))
    condition(one, "a/m").in_flight = 3
    condition(one, "b/m").in_flight = 1

    assert chosen(one) == "a/m"


def test_equals_have_their_turns():
    one = pool("least_busy", *TWO, weights=(3, 1))

    assert Counter(chosen(one) for _ in range(40)) == {"a/m": 30, "b/m": 10}


@pytest.mark.parametrize("load", [Load(running=4), Load(running=1, waiting=1), Load(kv_cache_usage=0.9)])
def test_a_servers_own_queue_and_cache_count(load):
    one = pool("least_busy", *TWO, load_of=lambda seat: load if seat.name == "a/m" else Load())

    assert {chosen(one) for _ in range(6)} == {"b/m"}


def test_the_cheapest_is_asked_and_one_without_a_price_last():
    prices = {"a/m": 0.02, "b/m": 0.01, "c/m": None}
    one = pool("cheapest", "c/m", *TWO, cost_of=lambda call, seat: prices[seat.name])
    _, decision = one.decide(call_of(), 0.0)

    assert [considered.target for considered in decision.considered] == ["b/m", "a/m", "c/m"]
    assert [considered.score for considered in decision.considered] == [0.01, 0.02, float("inf")]


def test_the_one_with_most_left_of_its_limits_is_asked_until_they_are_back():
    one = pool("headroom", *TWO)
    condition(one, "a/m").saw_limits(((0.2, 60.0), (0.9, 60.0)))
    condition(one, "b/m").saw_limits(((0.5, 60.0),))
    assert {chosen(one) for _ in range(6)} == {"b/m"}

    assert {chosen(one, 61.0) for _ in range(6)} == {"a/m", "b/m"}


def started(*headers):
    limits = tuple((name.encode(), value.encode()) for name, value in headers if name.startswith("x-"))
    others = tuple((name.encode(), value.encode()) for name, value in headers if not name.startswith("x-"))
    return Started(id="1", model="m", created=0, target="a/m", headers=others, limits=limits)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            (
                ("x-ratelimit-limit-requests", "100"),
                ("x-ratelimit-remaining-requests", "25"),
                ("x-ratelimit-reset-requests", "1m30s"),
            ),
            ((0.75, 100.0),),
        ),
        ((("x-ratelimit-limit-tokens", "100"), ("x-ratelimit-remaining-tokens", "100")), ((0.0, 70.0),)),
        (
            (("anthropic-ratelimit-input-tokens-limit", "50"), ("anthropic-ratelimit-input-tokens-remaining", "5")),
            ((0.9, 70.0),),
        ),
        ((("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")), ()),
        ((("x-ratelimit-limit-requests", "many"), ("x-ratelimit-remaining-requests", "1")), ()),
        ((("x-ratelimit-limit-requests", "9" * 400), ("x-ratelimit-remaining-requests", "1")), ()),
        ((("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", "-3")), ((1.0, 70.0),)),
        ((("x-ratelimit-remaining-requests", "1"),), ()),
    ],
)
def test_what_headers_say_of_limits_is_read(headers, expected):
    found = limits_in(started(*headers), 10.0)

    assert [(pytest.approx(used), until) for used, until in found] == list(expected)


async def test_an_answer_teaches_how_quick_its_target_is():
    world = World()

    def wait():
        world.now += 0.8

    routed = world.routed(Upstream("a/m", before=wait), strategy="latency")
    await hear(routed)

    assert world.condition("a/m").first == pytest.approx(0.8)
