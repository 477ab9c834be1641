"""Strategies order targets as they promise: by weight, evenly; by key, always alike; and spared ones are left out."""

from collections import Counter

import pytest

from gateway.config.routing_settings import BreakerSettings, StickySettings
from gateway.core.caller import Caller
from tests.unit.routing.routing_doubles import Upstream, World, call_of

THREE = ("a/m", "b/m", "c/m")


def pool(world, *names, **plan):
    return world.pool(*[Upstream(name) for name in names], **plan)


def choices(one, calls, *, number=1000):
    return Counter(one.decide(calls(at), 0.0)[1].chosen for at in range(number))


def plain(at):
    return call_of(f"call_{at}")


def test_each_target_gets_its_share_and_never_two_turns_more():
    one = pool(World(), *THREE, strategy="weighted", weights=(5, 3, 2))
    seen = Counter()
    for at in range(1, 101):
        seen[one.decide(plain(at), 0.0)[1].chosen] += 1
        for name, weight in zip(THREE, (5, 3, 2), strict=True):
            assert abs(seen[name] - at * weight / 10) <= 1

    assert seen == {"a/m": 50, "b/m": 30, "c/m": 20}


def test_one_of_weight_zero_is_only_asked_when_the_others_fail():
    one = pool(World(), *THREE, strategy="weighted", weights=(1, 0, 1))
    order, _ = one.decide(plain(1), 0.0)

    assert choices(one, plain)["b/m"] == 0
    assert [seat.name for seat in order][-1] == "b/m"


def test_to_peek_changes_nothing():
    one = pool(World(), *THREE, strategy="weighted", weights=(5, 3, 2))
    for at in range(30):
        foreseen = [one.decide(plain(at), 0.0, peek=True)[1] for _ in range(3)]
        assert foreseen == [one.decide(plain(at), 0.0)[1]] * 3


def session(at):
    return call_of(f"call_{at}", session=f"session-{at}")


def test_a_session_goes_to_the_same_target_and_sessions_by_weight():
    one = pool(World(), *THREE, strategy="sticky", weights=(5, 3, 2))
    seen = choices(one, session, number=4000)
    assert seen == choices(one, session, number=4000)

    for name, share in zip(THREE, (0.5, 0.3, 0.2), strict=True):
        assert seen[name] / 4000 == pytest.approx(share, abs=0.03)


def test_when_a_target_goes_only_its_own_sessions_move():
    all_, without = pool(World(), *THREE, strategy="sticky"), pool(World(), "a/m", "c/m", strategy="sticky")
    for at in range(300):
        before = all_.decide(session(at), 0.0)[1].chosen
        if before != "b/m":
            assert without.decide(session(at), 0.0)[1].chosen == before


def test_while_its_target_is_spared_a_session_goes_to_the_next_and_then_back():
    world = World()
    one = pool(world, *THREE, strategy="sticky")
    order, _ = one.decide(session(7), 0.0)
    order[0].condition.cool(10.0)
    assert one.decide(session(7), 5.0)[1].chosen == order[1].name

    assert one.decide(session(7), 10.0)[1].chosen == order[0].name


@pytest.mark.parametrize(
    ("by", "one", "other"),
    [
        (("session",), call_of(session="s"), call_of(session="t")),
        (("session",), call_of(conversation="conv_1"), call_of(conversation={"id": "conv_2"})),
        (("session",), call_of(prompt_cache_key="k"), call_of(prompt_cache_key="l")),
        (("user",), call_of(user="ann"), call_of(user="ben")),
        (("user",), call_of(metadata={"user_id": "ann"}), call_of(metadata={"user_id": "ben"})),
        (("caller",), call_of(caller=Caller(id="key_1")), call_of(caller=Caller(id="key_2"))),
        (
            ("session",),
            call_of(session="s", caller=Caller(id="key_1")),
            call_of(session="s", caller=Caller(id="key_2")),
        ),
    ],
)
def test_what_is_sticky_is_as_the_settings_say(by, one, other):
    sticky = pool(World(), *[f"t{number}/m" for number in range(200)], strategy="sticky", sticky=StickySettings(by=by))

    assert sticky.decide(one, 0.0)[1].chosen == sticky.decide(one, 0.0)[1].chosen
    assert sticky.decide(one, 0.0)[1].chosen != sticky.decide(other, 0.0)[1].chosen


def test_what_has_no_key_goes_by_weight():
    one = pool(World(), *THREE, strategy="sticky", weights=(2, 1, 1), sticky=StickySettings(by=("session",)))

    assert choices(one, plain, number=400) == {"a/m": 200, "b/m": 100, "c/m": 100}


def test_breakers_never_take_out_more_of_a_pool_than_was_said():
    world = World()
    four = pool(world, "a/m", "b/m", "c/m", "d/m", breaker=BreakerSettings(failures=1, most_ejected=0.5))
    for at, seat in enumerate(four.seats[:3]):
        seat.condition.fail(float(at), probe=seat.condition.begin())
    order, decision = four.decide(plain(1), 3.0)

    # The one that opened first is the first to be asked again.
    assert [seat.name for seat in order] == ["a/m", "d/m"]
    assert [(one.target, one.verdict) for one in decision.considered if one.verdict == "spared"] == [
        ("b/m", "spared"), ("c/m", "spared"),
    ]  # fmt: skip
    assert "breaker is open for another" in decision.considered[-1].why
