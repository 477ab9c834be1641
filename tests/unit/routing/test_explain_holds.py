"""What explain says is what then happens: the next call goes to the target that it names, and on along its list when that fails.

For every strategy, and for targets in any condition: breakers open, half open or closed, cooling, busy, slow, limited, not well.
"""

from typing import get_args

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.routing_settings import RetrySettings, Strategy
from gateway.core.errors import SwitchgearError, Unavailable, UpstreamRefused
from gateway.routing.fitness import Abilities
from gateway.routing.opening import Known, open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear

NAMES = ("a/m", "b/m", "c/m", "d/m")
seconds = st.floats(0, 60)


class Load(msgspec.Struct):
    """What a server says."""

    running: int
    waiting: int
    kv_cache_usage: float


class State(msgspec.Struct, frozen=True):
    """The condition that a target is in."""

    weight: float
    openings: int
    opened_ago: float
    probing: bool
    cooling: float
    in_flight: int
    first: float | None
    per_token: float
    seen_ago: float
    used: float
    unwell: str
    blind: bool
    cost: float | None
    load: Load | None


states = st.builds(
    State,
    weight=st.sampled_from([0.0, 1.0, 1.0, 2.5, 7.0]),
    openings=st.sampled_from([0, 0, 0, 1, 4]),
    opened_ago=seconds,
    probing=st.booleans(),
    cooling=st.one_of(st.just(0.0), st.just(0.0), seconds),
    in_flight=st.integers(0, 20),
    first=st.one_of(st.none(), st.floats(0.001, 9)),
    per_token=st.floats(0, 0.2),
    seen_ago=seconds,
    used=st.floats(0, 1),
    unwell=st.sampled_from(["", "", "", "failed: it is away"]),
    blind=st.booleans(),
    cost=st.one_of(st.none(), st.floats(0, 1)),
    load=st.one_of(st.none(), st.builds(Load, st.integers(0, 9), st.integers(0, 9), st.floats(0, 1))),
)
calls = st.lists(
    st.fixed_dictionaries({
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": st.text("ab", max_size=4)}), min_size=1, max_size=3
        ),
        "user": st.sampled_from([None, "ada", "bert", "carl"]),
        "tools": st.sampled_from([[], [{"type": "function"}]]),
    }),
    min_size=1, max_size=6,
)  # fmt: skip


def build(strategy, found, behaviours):
    """A world in which the targets are as drawn, what asks them, and the targets."""
    world = World(0.5)
    targets = [Upstream(name, behaviour) for name, behaviour in zip(NAMES, behaviours, strict=False)]
    by_name = dict(zip(NAMES, found, strict=False))
    weights = tuple(state.weight for state in found)
    plan = RoutingPlan(strategy=strategy, weights=weights, retry=RetrySettings(attempts=1), deadline=1e6)
    known = Known(
        cost_of=lambda call, seat: by_name[seat.name].cost,
        load_of=lambda seat: by_name[seat.name].load,
        abilities={
            name: Abilities(lacks=frozenset({"tools"} if state.blind else ())) for name, state in by_name.items()
        },
        unwell={name: lambda state=state: state.unwell for name, state in by_name.items()},
    )
    pool = open_pool("m", [(one.target, one) for one in targets], plan, world.conditions, known)
    for seat in pool.seats:
        _put(seat.condition, by_name[seat.name], world.now)
    return world, open_routed(pool, plan, world.timing, {}), {one.target.name: one for one in targets}


def _put(condition, state, now):
    for _ in range(state.openings):
        condition.breaker.open(now - state.opened_ago)
    if state.openings and state.probing:
        condition.breaker.begin()
    condition.cooling_until = now + state.cooling if state.cooling else 0.0
    condition.in_flight = state.in_flight
    if state.first is not None:
        condition.saw_rate(state.per_token, now - state.seen_ago)
        condition.saw_first(state.first, now - state.seen_ago)
    condition.saw_limits(((state.used, now + 30),))


def asked_of(targets, call):
    """Which targets have seen this call."""
    return [name for name, one in targets.items() if any(seen is call for seen in one.asked)]


@pytest.mark.parametrize("strategy", get_args(Strategy))
@settings(max_examples=60, deadline=None)
@given(found=st.lists(states, min_size=1, max_size=4), made=calls)
def test_the_next_call_goes_where_explain_says(strategy, found, made):
    """Asked again and again in between, explain changes nothing."""
    anyio.run(_go_where_it_says, strategy, found, made)


async def _go_where_it_says(strategy, found, made):
    world, routed, targets = build(strategy, found, [None] * len(found))
    for number, fields in enumerate(made):
        call = call_of(f"call_{number}", **{name: value for name, value in fields.items() if value})
        said = [routed.pool.decide(call, world.now, peek=True)[1] for _ in range(3)]
        assert said[0] == said[1] == said[2]
        try:
            await hear(routed, call)
        except Unavailable:
            assert said[0].chosen is None
            continue
        assert asked_of(targets, call) == [said[0].chosen]
        world.now += 0.7


@pytest.mark.parametrize("strategy", get_args(Strategy))
@settings(max_examples=40, deadline=None)
@given(found=st.lists(states, min_size=2, max_size=4), made=calls)
def test_a_call_that_fails_goes_on_along_the_list_that_explain_gave(strategy, found, made):
    """All of them fail, so all of the list is asked, in its order; what it leaves out is not."""
    anyio.run(_go_along_the_list, strategy, found, made[0])


async def _go_along_the_list(strategy, found, fields):
    order = []
    world, routed, targets = build(strategy, found, [UpstreamRefused("No.", upstream_status=404)] * len(found))
    for name, one in targets.items():
        one._before = lambda name=name: order.append(name)
    call = call_of(**{name: value for name, value in fields.items() if value})
    said = routed.pool.decide(call, world.now, peek=True)[1]
    with pytest.raises(SwitchgearError):
        await hear(routed, call)

    assert order == [one.target for one in said.considered if one.verdict in ("chosen", "next")]
    assert sorted(one.target for one in said.considered) == sorted(targets)
