"""Whatever happens in whichever order, a hedged call ends once, with one answer or one error, and nothing of it stays behind."""

import anyio
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest, UpstreamBroken
from gateway.core.events import Finished, Started, TextDelta
from gateway.core.usage import Usage
from tests.unit.routing.hedging.hedging_doubles import Actor, hedged_call, is_ours, turns

DEEDS = {
    "ring": lambda call, first, second: call.ring(),
    "leave": lambda call, first, second: call.leave(),
    "first begins": lambda call, first, second: first.begin(),
    "first ends": lambda call, first, second: first.end(),
    "first fails": lambda call, first, second: first.fail(UpstreamBroken("first")),
    "first refuses": lambda call, first, second: first.fail(InvalidRequest("first")),
    "first crashes": lambda call, first, second: first.fail(ValueError("first")),
    "second begins": lambda call, first, second: second.begin(),
    "second ends": lambda call, first, second: second.end(),
    "second fails": lambda call, first, second: second.fail(UpstreamBroken("second")),
    "second refuses": lambda call, first, second: second.fail(InvalidRequest("second")),
    "second crashes": lambda call, first, second: second.fail(ValueError("second")),
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(0, 4)), min_size=1, max_size=8)


async def play(steps, *, rung):
    first, second = Actor("a", used=Usage(input=7)), Actor("b", used=Usage(input=9))
    async with hedged_call(first, second) as call:
        if rung:
            call.ring()
            await turns(2)
        for name, pause in steps:
            DEEDS[name](call, first, second)
            await turns(pause)
        await turns()
        call.leave()
        await turns()
    return first, second, call


def judge(first, second, call):
    conditions = [call.world.condition(name) for name in ("a/m", "b/m")]
    assert call.over
    assert not call.beside
    assert call.cancellations == 0  # what ended one of the two is not left to surprise who answers next
    assert [one.in_flight for one in conditions] == [0, 0]
    assert [one.breaker._probing for one in conditions] == [0, 0]
    assert is_ours(call.error) or isinstance(call.error, ValueError)
    # One answer, of one target, from its start to its end.
    started, words, finished = call.of(Started), call.of(TextDelta), call.of(Finished)
    assert len(started) <= 1
    assert len(finished) <= 1
    assert {f"{word.text}/m" for word in words} <= {one.target for one in started}
    assert bool(words) == bool(started)
    if finished:
        assert call.error is None or not isinstance(call.error, Exception)
    elif call.error is None:
        raise AssertionError("a call ended without an answer and without an error")
    # Everybody is asked at most once, and told of if cancelled, unless the answer was theirs.
    assert first.asked == 1
    assert second.asked <= 1
    cancelled = {actor.target.name for actor in (first, second) if actor.cancelled}
    owners = {call.answered_by or "a/m"}
    spent = [target for target, _, _ in call.spent]
    assert len(spent) == len(set(spent))
    if second.asked and call.alarms == [] and call.world.condition("b/m").hedges:
        assert set(spent) == {name for name in cancelled - owners if name == "b/m" or call.answered_by == "b/m"}
        assert sum(conditions[1].hedges.values()) == 1
    assert all(usage.input in (7, 9) for _, usage, _ in call.spent)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_a_race_leaves_nothing_behind(steps):
    anyio.run(lambda: _judged(steps, rung=True))


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_neither_does_one_whose_alarm_may_never_ring(steps):
    anyio.run(lambda: _judged(steps, rung=False))


async def _judged(steps, *, rung):
    with anyio.fail_after(10), structlog.testing.capture_logs():
        judge(*await play(steps, rung=rung))


def test_every_pair_of_deeds_in_the_same_turn_of_the_loop():
    """Not left to chance: who begins, fails or leaves at the same moment as the other."""
    for one in DEEDS:
        for other in DEEDS:
            for pause in (0, 1, 2):
                anyio.run(lambda steps=((one, pause), (other, 0)): _judged(steps, rung=True))
