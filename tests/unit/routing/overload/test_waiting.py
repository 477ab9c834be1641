"""Calls wait for a place at a full target, and each leaves exactly once: served, shed, late, cancelled or gone."""

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.overload_settings import QueueSettings
from gateway.config.routing_settings import BreakerSettings, FallbackSettings
from gateway.core.caller import Caller
from gateway.core.errors import Overloaded, Unavailable, UpstreamBroken
from gateway.core.events import Decided, Degraded
from gateway.routing.overload.line import Lines
from tests.unit.routing.crowds import Crowd, come
from tests.unit.routing.routing_doubles import Upstream, call_of, hear
from tests.unit.routing.simulated_time import Simulated, Slow, settled


async def test_a_call_with_room_does_not_wait():
    world = Simulated()
    crowd = Crowd(world, Upstream("a/m"))
    heard = await hear(crowd.routed)

    assert not any(isinstance(event, Degraded) for event in heard)
    assert crowd.places == [0]
    assert "".join(crowd.lines.seconds.render()) == ""


async def test_no_more_calls_are_at_a_target_than_it_may_have_and_all_are_served_in_order():
    world = Simulated()
    slow = Slow(world, "a/m")
    crowd = Crowd(world, slow)
    names = [str(number) for number in range(10)]
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, *names)
        assert (slow.there, crowd.line.waiting) == (2, 8)
        await world.pass_time(10)

    assert slow.most == 2
    assert slow.served == names
    assert set(crowd.ended.values()) == {"ok"}
    assert crowd.places == [0]
    assert crowd.line.waiting == 0


async def test_who_waited_is_told_so():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "first", "second")
        await world.pass_time(5)

    decided = [event.decision for event in crowd.heard["second"] if isinstance(event, Decided)]
    assert [one.chosen for one in decided] == [None, "a/m"]
    assert decided[0].considered[0].verdict == "full"
    assert decided[0].considered[0].why == "full: it has 1 of 1 calls at once"
    assert Degraded("queue", "overloaded") in crowd.heard["second"]
    assert not any(isinstance(event, Degraded) for event in crowd.heard["first"])


async def test_full_targets_come_after_those_with_room():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), Slow(world, "b/m"), limits=(1, None))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "first", "second")
        await world.pass_time(5)

    [decided] = [event.decision for event in crowd.heard["second"] if isinstance(event, Decided)]
    assert [(one.target, one.verdict) for one in decided.considered] == [("b/m", "chosen"), ("a/m", "full")]


async def test_turns_by_weight_are_not_lost_by_full_targets():
    world = Simulated()
    a, b = Slow(world, "a/m"), Slow(world, "b/m")
    crowd = Crowd(world, a, b, limits=(1, 1), strategy="weighted", weights=(1, 1))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, *[str(number) for number in range(20)])
        await world.pass_time(30)

    assert (len(a.served), len(b.served)) == (10, 10)


async def test_a_waiting_call_takes_the_first_place_that_any_target_frees():
    world = Simulated()
    slow, quick = Slow(world, "a/m", 10), Slow(world, "b/m", 1)
    crowd = Crowd(world, slow, quick, limits=(1, 1))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3")
        await world.pass_time(1)
        assert quick.served == ["2", "3"]
        await world.pass_time(20)


async def test_models_share_the_places_of_a_target():
    world = Simulated()
    slow, lines = Slow(world, "a/m"), Lines()
    one, other = (Crowd(world, slow, limits=(2,), lines=lines) for _ in range(2))
    async with anyio.create_task_group() as tasks:
        await come(tasks, one, "1", "2", "3")
        await come(tasks, other, "4", "5")
        await world.pass_time(10)

    assert slow.most == 2
    assert len(slow.served) == 5


async def test_batches_wait_behind_everybody_and_still_go_on():
    world = Simulated()
    slow = Slow(world, "a/m")
    crowd = Crowd(world, slow, limits=(1,), queue=QueueSettings(longest=1000))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "running")
        await come(tasks, crowd, "line 1", "line 2", caller="batch", background=True)
        await come(tasks, crowd, *[f"call {number}" for number in range(20)])
        await world.pass_time(100)

    assert slow.served[1] == "call 0"
    assert 7 <= slow.served.index("batch") <= 9
    assert slow.served.count("batch") == 2


@pytest.mark.parametrize(
    ("caller", "whose"),
    [
        (Caller(id="key_1"), "key=key_1"),
        (Caller(id="x", team="t1"), "team=t1"),
        (Caller(id="x", user="u=1"), "user=u=1"),
        (Caller(id="x", tenant="acme"), "tenant=acme"),
        (Caller(id="x", tags=(("tier", "gold"),)), "tag:tier=gold"),
    ],
)
async def test_configured_callers_go_first(caller, whose):
    world = Simulated()
    slow = Slow(world, "a/m")
    crowd = Crowd(world, slow, limits=(1,), queue=QueueSettings(priorities={whose: "high"}))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "running", "normal")
        tasks.start_soon(hear, crowd.routed, call_of("vip", caller=caller))
        await world.pass_time(10)

    assert slow.served[1] == caller.id


async def test_a_call_that_waits_too_long_leaves_with_503_and_when_to_come_again():
    world = Simulated()
    slow = Slow(world, "a/m", 100)
    crowd = Crowd(world, slow, limits=(1,), queue=QueueSettings(longest=20))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "running", "late")
        await world.pass_time(19)
        assert "late" not in crowd.ended
        await world.pass_time(1.5)
        assert isinstance(crowd.ended["late"], Overloaded)
        assert crowd.ended["late"].retry_after >= 20
        assert crowd.line.waiting == 0
        await world.pass_time(100)

    assert len(slow.served) == 1
    assert 'outcome="late"' in "".join(crowd.lines.seconds.render())


async def test_the_deadline_of_all_tries_ends_a_wait_too():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m", 100), limits=(1,), deadline=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.call, "running")
        await come(tasks, crowd, "late")
        await world.pass_time(6)
        assert isinstance(crowd.ended["late"], Overloaded)
        tasks.cancel_scope.cancel()


async def test_who_gives_up_leaves_the_queue_at_once():
    world = Simulated()
    slow = Slow(world, "a/m")
    crowd = Crowd(world, slow, limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3")
        crowd.scopes["2"].cancel()
        await settled()
        assert crowd.line.waiting == 1
        await world.pass_time(10)

    assert crowd.order == ["1", "3"]
    assert crowd.places == [0]
    assert 'outcome="left"' in "".join(crowd.lines.seconds.render())


async def test_who_gives_up_in_the_moment_of_getting_a_place_passes_it_on():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), limits=(1,))
    gate = crowd.pool.seats[0].gate
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3")
        crowd.scopes["1"].cancel()
        await anyio.lowlevel.checkpoint()
        crowd.scopes["2"].cancel()
        await world.pass_time(10)

    assert crowd.order == ["3"]
    assert gate.taken == 0


async def test_a_breaker_that_opens_sends_away_who_waits():
    world = Simulated()
    broken = Slow(world, "a/m", error=UpstreamBroken("x"))
    crowd = Crowd(world, broken, limits=(1,), breaker=BreakerSettings(failures=2, open=50, longest=100))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, *[str(number) for number in range(6)])
        await world.pass_time(3)

    assert len(broken.served) == 2
    assert [type(crowd.ended[str(number)]) for number in range(6)] == [UpstreamBroken] * 2 + [Unavailable] * 4
    assert crowd.places == [0]


async def test_a_place_at_a_target_that_is_spared_by_then_is_not_taken_and_not_kept():
    world = Simulated()
    slow, tired = Slow(world, "a/m", 100), Slow(world, "b/m")
    crowd = Crowd(world, slow, tired, limits=(1, 1))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3", "4")
        world.condition("b/m").cool(world.now + 10)
        await world.pass_time(5)
        assert (tired.served, crowd.places, crowd.line.waiting) == (["2"], [1, 0], 2)
        await world.pass_time(8)
        assert tired.served == ["2", "3", "4"]
        await world.pass_time(100)

    assert crowd.places == [0, 0]


async def test_looking_at_full_targets_takes_nobodys_turn():
    world = Simulated()
    crowd = Crowd(world, Slow(world, "a/m"), Slow(world, "b/m"), limits=(1, 1), strategy="weighted", weights=(1, 1))
    gates = [seat.gate for seat in crowd.pool.seats]
    for gate in gates:
        gate.enter("other")
    crowd.pool.decide(call_of("1"), world.now)
    for gate in gates:
        gate.leave()

    assert crowd.pool.decide(call_of("2"), world.now)[1].chosen == "a/m"


async def test_who_waits_takes_a_target_that_comes_back():
    world = Simulated()
    slow, back = Slow(world, "a/m", 100), Slow(world, "b/m")
    crowd = Crowd(world, slow, back, limits=(1, 1))
    world.condition("b/m").cool(world.now + 10)
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2")
        await world.pass_time(9)
        assert back.served == []
        await world.pass_time(3)
        assert back.served == ["2"]
        await world.pass_time(100)


async def test_after_a_failure_a_full_target_is_waited_for():
    world = Simulated()
    broken, full = Upstream("a/m", UpstreamBroken("x")), Slow(world, "b/m")
    crowd = Crowd(world, broken, full, limits=(None, 1))
    async with anyio.create_task_group() as tasks:
        crowd.pool.seats[1].gate.enter("other")
        await come(tasks, crowd, "1")
        await world.pass_time(0.5)
        assert crowd.line.waiting == 1
        crowd.pool.seats[1].gate.leave()
        await world.pass_time(5)

    assert crowd.ended["1"] == "ok"
    assert len(broken.asked) == 1
    assert crowd.pool.seats[1].gate.taken == 0


async def test_models_that_help_out_are_asked_before_anybody_waits():
    world = Simulated()
    spare = Upstream("b/m")
    helper = world.pool(spare, model="spare")
    crowd = Crowd(
        world, Slow(world, "a/m"), limits=(1,), pools={"spare": helper}, fallbacks=FallbackSettings(general=("spare",))
    )
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2")
        assert len(spare.asked) == 1
        await world.pass_time(5)


async def test_a_limit_that_is_taken_away_lets_everybody_in():
    world = Simulated()
    slow = Slow(world, "a/m")
    crowd = Crowd(world, slow, limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3")
        world.conditions.limit({})
        await settled()
        assert slow.there == 3
        world.conditions.limit({"a/m": 2})
        await come(tasks, crowd, "4")
        assert slow.there == 3
        await world.pass_time(5)

    assert len(slow.served) == 4


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["come", "cancel", "pass", "limit"]), st.integers(0, 5), st.sampled_from(["a", "b", "batch"])
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DEEDS)
def test_whatever_happens_every_call_ends_and_no_place_is_lost(deeds):
    anyio.run(_history, deeds)


async def _history(deeds):
    world = Simulated()
    one, other = Slow(world, "a/m", 2), Slow(world, "b/m", 3, error=UpstreamBroken("x"))
    crowd = Crowd(
        world, one, other, limits=(2, 1), queue=QueueSettings(most=4, longest=7), breaker=BreakerSettings(failures=3)
    )
    highest, count = 2, 0
    async with anyio.create_task_group() as tasks:
        for deed, number, caller in deeds:
            if deed == "come":
                await come(tasks, crowd, f"call {count}", caller=caller, background=caller == "batch")
                count += 1
            elif deed == "cancel" and crowd.scopes:
                list(crowd.scopes.values())[number % len(crowd.scopes)].cancel()
            elif deed == "pass":
                await world.pass_time(number)
            else:
                highest = max(highest, number + 1)
                world.conditions.limit({"a/m": number + 1, "b/m": 1})
            assert one.most <= highest
            assert other.most <= 1
            assert crowd.line.waiting <= 4
        await world.pass_time(700)
        assert one.there == other.there == 0

    assert crowd.places == [0, 0]
    assert crowd.line.waiting == 0
    assert [seat.condition.in_flight for seat in crowd.pool.seats] == [0, 0]
