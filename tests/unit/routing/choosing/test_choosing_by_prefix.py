"""Prompts that begin alike go to one replica, unless it has more than its share."""

from collections import Counter

from gateway.routing.choosing.by_key import prefix_of
from tests.unit.routing.routing_doubles import Upstream, World, call_of

SYSTEM = {"role": "system", "content": "You are terse. " * 200}


def turn(number, *, topic="x", turns=1):
    said = [{"role": "user", "content": f"about {topic}"}]
    for at in range(turns - 1):
        said += [{"role": "assistant", "content": f"answer {at}"}, {"role": "user", "content": f"and {number}-{at}?"}]
    return call_of(messages=[{"role": "system", "content": "Short."}, *said])


def pool(*names, weights=()):
    return World().pool(*map(Upstream, names), strategy="prefix", weights=weights)


def test_all_turns_of_a_conversation_begin_alike():
    assert len({prefix_of(turn(1, turns=turns)) for turns in range(1, 9)}) == 1
    assert prefix_of(turn(1, topic="x")) != prefix_of(turn(1, topic="y"))


def test_a_long_system_text_is_all_that_counts():
    calls = [call_of(messages=[SYSTEM, {"role": "user", "content": f"question {at}"}]) for at in range(20)]

    assert len({prefix_of(call) for call in calls}) == 1


def test_every_api_has_a_beginning():
    calls = [
        call_of(system="a", messages=[{"role": "user", "content": "q"}]),
        call_of(instructions="a", input="q"),
        call_of(prompt="q"),
        call_of(input=["r"]),
        call_of(),
        call_of(messages=7, tools=[{"type": "function"}]),
    ]

    assert len({prefix_of(call) for call in calls}) == len(calls)


def test_beginnings_are_spread_and_always_go_to_the_same_replica():
    one = pool("a/m", "b/m", "c/m")
    choose = [one.decide(turn(1, topic=f"topic {at}"), 0.0)[1].chosen for at in range(300)]

    assert choose == [one.decide(turn(2, topic=f"topic {at}", turns=3), 0.0)[1].chosen for at in range(300)]
    assert min(Counter(choose).values()) > 60


def test_a_replica_with_more_than_its_share_is_passed_over():
    one = pool("a/m", "b/m", "c/m")
    first = one.decide(turn(1), 0.0)[0][0]
    first.condition.in_flight = 3
    order, decision = one.decide(turn(1), 0.0)

    assert decision.chosen != first.name
    assert order[-1] is first
    for seat in one.seats:
        seat.condition.in_flight = 3
    assert one.decide(turn(1), 0.0)[1].chosen == first.name
