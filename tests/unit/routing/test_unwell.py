"""A target that its provider knows not to be well is spared while another is there, with the reason, and asked when none is."""

import pytest

from gateway.core.errors import UpstreamBroken
from gateway.core.target import Target
from gateway.providers.provider import Health
from gateway.providers.watched import watched_by
from gateway.routing.opening import Known, open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear


class Provider:
    """A double of a provider that is watched."""

    watched = True

    def __init__(self):
        self.name = "a"
        self.state = Health()

    def health(self, model):
        return self.state


@pytest.fixture
def provider():
    return Provider()


def pool(world, provider, *names, **plan):
    answering = [(one.target, one) for one in map(Upstream, names)]
    targets = [target for target, _ in answering if target.provider == "a"]
    unwell = watched_by({"a": provider}, targets)
    return open_pool("m", answering, RoutingPlan(**plan), world.conditions, Known(unwell=unwell))


def verdicts(one, world):
    return {seen.target: (seen.verdict, seen.why) for seen in one.decide(call_of(), world.now)[1].considered}


@pytest.mark.parametrize("strategy", ["fallback", "weighted", "latency", "least_busy", "sticky", "prefix"])
@pytest.mark.parametrize("state", ["starting", "failed"])
def test_one_that_is_not_well_is_spared_with_its_reason(provider, state, strategy):
    world = World()
    one = pool(world, provider, "a/m", "b/m", strategy=strategy)
    provider.state = Health(state=state, detail="it loads its weights")

    for _ in range(4):
        assert verdicts(one, world) == {
            "b/m": ("chosen", ""), "a/m": ("spared", f"{state}: it loads its weights")
        }  # fmt: skip


@pytest.mark.parametrize("state", [Health(), Health(state="cold"), Health(state="failed", answers=True)])
def test_one_that_is_ready_or_cold_or_answers_oddly_is_asked(provider, state):
    world = World()
    one = pool(world, provider, "a/m", "b/m")
    provider.state = state

    assert verdicts(one, world)["a/m"] == ("chosen", "")


def test_it_is_asked_again_once_it_is_well(provider):
    world = World()
    one = pool(world, provider, "a/m", "b/m")
    provider.state = Health(state="failed")
    assert verdicts(one, world)["a/m"][0] == "spared"
    provider.state = Health()

    assert verdicts(one, world)["a/m"][0] == "chosen"


def test_where_nobody_else_is_there_it_is_asked_still_and_last(provider):
    world = World()
    one = pool(world, provider, "a/m", "b/m")
    provider.state = Health(state="failed")
    world.condition("b/m").cool(world.now + 5)
    assert [seen.target for seen in one.decide(call_of(), world.now)[1].considered] == ["b/m", "a/m"]
    world.condition("b/m").breaker.open(world.now)

    assert verdicts(one, world)["a/m"] == ("chosen", "")


def test_of_two_that_are_broken_the_one_that_is_well_is_kept_in(provider):
    world = World()
    one = pool(world, provider, "a/m", "b/m")
    provider.state = Health(state="failed")
    for name in ("a/m", "b/m"):
        world.condition(name).breaker.open(world.now)
        world.now += 1

    assert verdicts(one, world)["b/m"] == ("chosen", "")


async def test_a_lone_target_is_asked_however_it_is(provider):
    world = World()
    provider.state = Health(state="failed")
    plan = RoutingPlan()
    alone = pool(world, provider, "a/m")
    heard = await hear(open_routed(alone, plan, world.timing, {}))

    assert heard


async def test_a_spared_target_is_not_asked_when_the_others_fail_the_same_call(provider):
    """It would most likely fail too, and the caller waits."""
    world = World()
    provider.state = Health(state="failed")
    a, b = Upstream("a/m"), Upstream("b/m", UpstreamBroken("broken"))
    unwell = watched_by({"a": provider}, [Target(provider="a", model="m")])
    plan = RoutingPlan()
    one = open_pool("m", [(a.target, a), (b.target, b)], plan, world.conditions, Known(unwell=unwell))
    with pytest.raises(UpstreamBroken):
        await hear(open_routed(one, plan, world.timing, {}))

    assert not a.asked
