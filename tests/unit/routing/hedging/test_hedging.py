"""A hedged call: who begins first answers, the other is ended at once, and both are accounted for."""

import anyio
import pytest

from gateway.config.hedge_settings import HedgeSettings
from gateway.core.errors import ClientLeft, InvalidRequest, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from gateway.core.events import Decided, Finished, Started, TextDelta
from gateway.core.usage import Usage
from gateway.routing.hedging.hedge import Hedge
from tests.unit.routing.hedging.hedging_doubles import PROMPT, Actor, HedgedCall, hedged_call, is_ours, turns
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear

ESTIMATED = Usage(input=len(b"{}") // 4, estimated=True)


def flying(call: HedgedCall):
    return [call.world.condition(name).in_flight for name in ("a/m", "b/m")]


def outcomes(call: HedgedCall):
    return call.world.condition("b/m").hedges


async def test_a_first_target_that_is_quick_is_alone():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        assert [seconds for seconds, _ in call.alarms] == [5.0]
        first.end()
        await turns()

        assert (call.answered_by, call.error, call.alarms) == ("a/m", None, [])
        assert (second.asked, call.spent, len(call.of(Decided))) == (0, [], 1)


async def test_the_second_answers_when_it_begins_first():
    first, second = Actor("a", used=Usage(input=7)), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        assert (first.asked, second.asked, flying(call)) == (1, 1, [1, 1])
        second.begin()
        await turns()
        assert (first.cancelled, flying(call)) == (1, [0, 1])
        second.end()
        await turns()

        assert (call.answered_by, call.error, call.over) == ("b/m", None, True)
        assert call.spent == [("a/m", Usage(input=7), "hedge")]
        assert call.heard[-1] == Finished(usage=Usage(input=3, output=2))
        assert outcomes(call) == {"won": 1}
        assert flying(call) == [0, 0]
        assert call.why == {"a/m": "", "b/m": "hedged after 5 s"}


async def test_the_first_answers_when_it_begins_first_after_all():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        first.begin()
        await turns()
        assert (second.cancelled, flying(call)) == (1, [1, 0])
        assert call.spent == [("b/m", ESTIMATED, "hedge")]
        first.end()
        await turns()

        assert (call.answered_by, call.error) == ("a/m", None)
        assert outcomes(call) == {"lost": 1}


async def test_who_loses_is_neither_served_nor_failed():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        second.end()
        await turns()

        slow, quick = call.world.condition("a/m"), call.world.condition("b/m")
        assert (slow.served, slow.failed, slow.breaker.share(call.world.now)) == (0, 0, 0.0)
        assert (quick.served, quick.failed) == (1, 0)


@pytest.mark.parametrize("failing", ["first", "second"])
async def test_when_one_fails_the_other_goes_on(failing):
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        loser, winner = (first, second) if failing == "first" else (second, first)
        loser.fail(UpstreamBroken("x"))
        await turns()
        assert not call.over
        winner.end()
        await turns()

        assert (call.answered_by, call.error) == (winner.target.name, None)
        assert call.tried == [(loser.target.name, winner.target.name)]
        assert call.spent == []
        assert outcomes(call) == {"won" if failing == "first" else "failed": 1}
        assert call.world.condition(loser.target.name).failed == 1


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
async def test_when_both_fail_the_others_follow(order):
    actors = {"a": Actor("a"), "b": Actor("b"), "c": Actor("c")}
    async with hedged_call(*actors.values()) as call:
        call.ring()
        await turns()
        for name in order:
            actors[name].fail(UpstreamUnreachable(name))
            await turns()
        assert actors["c"].asked == 1
        actors["c"].end()
        await turns()

        assert call.answered_by == "c/m"
        assert call.tried == [(f"{order[0]}/m", f"{order[1]}/m"), (f"{order[1]}/m", "c/m")]
        assert (actors["a"].asked, actors["b"].asked) == (1, 1)


async def test_when_all_fail_the_last_error_is_told():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        first.fail(UpstreamUnreachable("first"))
        await turns()
        second.fail(UpstreamBroken("second"))
        await turns()

        assert isinstance(call.error, UpstreamBroken)
        assert flying(call) == [0, 0]


async def test_a_first_that_fails_before_its_time_is_over_is_followed_as_ever():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        first.fail(UpstreamBroken("x"))
        await turns()
        assert (second.asked, call.alarms) == (1, [])
        second.end()
        await turns()

        assert call.tried == [("a/m", "b/m")]
        assert outcomes(call) == {}
        assert call.why["b/m"] == ""


async def test_what_no_target_can_mend_ends_both():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        first.fail(InvalidRequest("no"))
        await turns()

        assert isinstance(call.error, InvalidRequest)
        assert (second.cancelled, flying(call)) == (1, [0, 0])
        assert call.spent == [("b/m", ESTIMATED, "hedge")]


async def test_what_only_the_second_refuses_does_not_end_the_first():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        second.fail(InvalidRequest("no"))
        await turns()
        first.end()
        await turns()

        assert (call.answered_by, call.error, outcomes(call)) == ("a/m", None, {"failed": 1})


async def test_a_crash_of_the_second_does_not_cost_the_answer():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        second.fail(ValueError("a bug"))
        await turns()
        first.end()
        await turns()

        assert (call.answered_by, call.error) == ("a/m", None)


async def test_an_answer_of_the_second_that_breaks_off_is_the_callers():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        second.begin()
        await turns()
        second.fail(UpstreamBroken("in the middle"))
        await turns()

        assert isinstance(call.error, UpstreamBroken)
        assert call.spent == [("a/m", ESTIMATED, "hedge")]
        assert call.world.condition("b/m").failed == 1
        assert outcomes(call) == {"won": 1}


async def test_the_deadline_holds_for_both():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second, hedge=HedgeSettings(after=0.01), deadline=0.06) as call:
        call.ring()
        with anyio.fail_after(5):
            while not call.over:
                await anyio.sleep(0.005)

        assert isinstance(call.error, UpstreamTimeout)
        assert "routing.deadline" in str(call.error)
        assert (first.cancelled, second.cancelled, flying(call)) == (1, 1, [0, 0])


async def test_an_answer_of_the_second_that_has_begun_may_outlast_the_deadline():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second, hedge=HedgeSettings(after=0.01), deadline=0.06) as call:
        call.ring()
        await turns()
        second.begin()
        await anyio.sleep(0.1)
        second.end()
        await turns()

        assert (call.answered_by, call.error) == ("b/m", None)


class StopIt(BaseException):
    """As guardrails raise to end an answer: no Exception, so that nobody on the way takes it for a failure."""


@pytest.mark.parametrize("winner", ["first", "second"])
async def test_whoever_stops_the_answer_of_either_stops_the_call(winner):
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        call.refuses = StopIt()
        (first if winner == "first" else second).begin()
        await turns()

        assert isinstance(call.error, StopIt)
        assert flying(call) == [0, 0]
        assert not call.beside


@pytest.mark.parametrize("begun", [False, True])
async def test_who_leaves_ends_both(begun):
    first, second = Actor("a"), Actor("b", used=Usage(input=5, output=1))
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        if begun:
            second.begin()
            await turns()
        call.leave()
        await turns()

        assert isinstance(call.error.args[0], ClientLeft)
        assert (first.cancelled, second.cancelled, flying(call)) == (1, 1, [0, 0])
        expected = ("a/m", ESTIMATED) if begun else ("b/m", Usage(input=5, output=1))
        assert call.spent == [(*expected, "hedge")]
        assert not call.beside


async def test_the_winners_events_alone_are_heard():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        # Both begin in the same turn of the loop.
        first.end()
        second.end()
        await turns()

        assert len(call.of(Started)) == len(call.of(Finished)) == 1
        assert {f"{event.text}/m" for event in call.of(TextDelta)} == {call.answered_by}


def test_only_a_share_of_the_calls_is_hedged():
    world, asked = World(), 0
    seats = world.pool(Actor("a"), Actor("b")).seats
    hedge = Hedge(HedgeSettings(share=0.05))
    for _ in range(1000):
        if hedge.wait(call_of(**PROMPT), seats, world.now) is not None and hedge.second(seats, world.now):
            asked += 1

    assert 50 <= asked <= 60


async def test_where_nothing_can_run_beside_a_call_nobody_hedges():
    """What is in process and has no server around it."""
    world = World()
    heard = await hear(world.routed(Upstream("a/m"), Upstream("b/m"), hedge=HedgeSettings()), call_of(**PROMPT))

    assert heard[-1] == Finished()


async def test_a_target_that_is_spared_is_not_asked_beside():
    first, second, third = Actor("a"), Actor("b"), Actor("c")
    async with hedged_call(first, second, third) as call:
        call.world.condition("b/m").cool(call.world.now + 60)
        call.ring()
        await turns()

        assert (second.asked, third.asked) == (0, 1)


async def test_a_target_without_weight_waits_until_the_others_fail():
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second, strategy="weighted", weights=(1, 0)) as call:
        call.ring()
        await turns()

        assert second.asked == 0


async def test_a_quick_target_is_waited_for_less_and_a_slow_one_longer():
    world, first, second = World(), Actor("a"), Actor("b")
    call = call_of(**PROMPT)
    async with hedged_call(first, second, world=world, call=call) as made:
        first.end()
        await turns()
        assert made.over
    condition = world.condition("a/m")
    for number in range(100):
        condition.saw_first_time(call, 0.2 if number % 10 else 0.8, world.now)
    async with hedged_call(Actor("a"), Actor("b"), world=world, call=call) as made:
        [(patience, _)] = made.alarms
        assert 0.8 <= patience <= 0.88
    async with hedged_call(Actor("a"), Actor("b"), world=world, hedge=HedgeSettings(most=0.5), call=call) as made:
        assert made.alarms[0][0] == 0.5
    async with hedged_call(Actor("a"), Actor("b"), world=world, hedge=HedgeSettings(least=2.0), call=call) as made:
        assert made.alarms[0][0] == 2.0


async def test_a_target_that_lost_counts_as_slow():
    """Left out, the times of those that were waited for longest would make it look quick."""
    first, second = Actor("a"), Actor("b")
    async with hedged_call(first, second) as call:
        call.ring()
        await turns()
        second.end()
        await turns()

        assert call.world.condition("a/m").first == 5.0
        assert is_ours(call.error)
