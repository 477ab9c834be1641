"""Ten thousand calls through a target that fails half the time lose none that a healthy one could have served. Time is simulated."""

import random
from itertools import cycle

import anyio
import pytest
from anyio.lowlevel import checkpoint

from gateway.config.routing_settings import BreakerSettings, RetrySettings
from gateway.core.errors import SwitchgearError, UpstreamBroken, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.core.events import Finished, Started, TextDelta, Verbatim
from gateway.core.target import Target
from tests.unit.routing.routing_doubles import World, call_of, started

CALLS = 10_000
AT_ONCE = 25
SECONDS_BETWEEN = 0.004
NEVER = BreakerSettings(failures=10_000, least=1_000_000)
"""A breaker that never opens: the target that fails is asked as often as the other."""


def refused(status, retry_after=None):
    return lambda: UpstreamRefused("It said so.", upstream_status=status, retry_after=retry_after)


CLASSES = {
    "unreachable": lambda: UpstreamUnreachable("Refused."),
    "timeout": lambda: UpstreamTimeout("No first byte."),
    "broken": lambda: UpstreamBroken("Cut off."),
    **{str(status): refused(status) for status in (401, 402, 403, 404, 408, 425, 429, 500, 502, 503, 504, 529)},
    "429 for a second": refused(429, 1.0),
    "429 for an hour": refused(429, 3600.0),
    "503 for a while": refused(503, 7.0),
}


class Flaky:
    """A target that fails a share of its calls before their first content, by each class in turn, and says so late or at once."""

    def __init__(self, world, name, share, classes, chance):
        provider, _, model = name.partition("/")
        self.target = Target(provider=provider, model=model)
        self.asked = 0
        self._world = world
        self._share = share
        self._errors = cycle(classes)
        self._chance = chance

    async def __call__(self, call, send):
        self.asked += 1
        self._world.now += 0.001
        await checkpoint()  # others are asked meanwhile
        if self._chance() < self._share:
            error = next(self._errors)()
            if isinstance(error, UpstreamBroken):
                await send(started(self.target.name))  # broken behind its head
            raise error
        await send(started(self.target.name))
        await send(TextDelta(index=0, text="hi") if call.stream else Verbatim(b"{}"))
        await checkpoint()
        await send(Finished())


async def run(world, routed, *, stream, calls=CALLS):
    """Make the calls, some at once; the errors of those that were lost, and how many answers were whole."""
    lost, answered = [], [0]
    left = iter(range(calls))

    async def work():
        for number in left:
            heard = []

            async def send(event, heard=heard):
                heard.append(type(event))

            world.now += SECONDS_BETWEEN
            call = call_of(f"call_{number}")
            try:
                await routed(call if stream else _whole(call), send)
            except SwitchgearError as error:
                lost.append(error)
                continue
            assert [kind for kind in heard if kind in (Started, Finished)] == [Started, Finished]
            answered[0] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(work)
    return lost, answered[0]


def _whole(call):
    return type(call)(**{name: getattr(call, name) for name in call.__struct_fields__} | {"stream": False})


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("strategy", ["weighted", "fallback"])
@pytest.mark.parametrize(("breaker", "asked"), [(BreakerSettings(), 20), (NEVER, 3000)], ids=["breaker", "no breaker"])
async def test_of_ten_thousand_calls_none_is_lost_that_a_healthy_target_could_serve(strategy, breaker, asked, stream):
    world, chance = World(0.5), random.Random(7)
    classes = [make for name, make in CLASSES.items() if " for " not in name or breaker is not NEVER]
    bad = Flaky(world, "bad/m", 0.5, classes, chance.random)
    good = Flaky(world, "good/m", 0.0, classes, chance.random)
    routed = world.routed(bad, good, strategy=strategy, breaker=breaker, deadline=30)
    lost, answered = await run(world, routed, stream=stream)

    assert (lost, answered) == ([], CALLS)
    assert bad.asked > asked  # it was given its chances
    assert not any(seat.in_flight for seat in world.conditions)


@pytest.mark.parametrize("failure", CLASSES)
async def test_none_is_lost_by_any_one_class(failure):
    world, chance = World(0.5), random.Random(11)
    bad = Flaky(world, "bad/m", 0.5, [CLASSES[failure]], chance.random)
    good = Flaky(world, "good/m", 0.0, CLASSES.values(), chance.random)
    lost, answered = await run(world, world.routed(bad, good, strategy="weighted"), stream=True, calls=1000)

    assert (lost, answered) == ([], 1000)
    assert bad.asked


async def served(most_ejected):
    """The share that is served by four targets of which each fails half of its calls, and which errors the others got."""
    world, chance = World(0.5), random.Random(3)
    four = [Flaky(world, f"t{number}/m", 0.5, [CLASSES["503"]], chance.random) for number in range(4)]
    plan = {"breaker": BreakerSettings(most_ejected=most_ejected), "retry": RetrySettings(attempts=1)}
    lost, answered = await run(world, world.routed(*four, strategy="weighted", **plan), stream=True)
    return answered / CALLS, {error.code for error in lost}


async def test_where_all_fail_half_the_time_as_many_are_served_as_the_cap_on_breakers_leaves_targets_for():
    """Half of four stay in: each call asks two at least, and both fail a quarter of all. So 75 % is the bound, less chance."""
    capped, codes = await served(0.5)
    uncapped, turned_away = await served(1.0)

    assert capped > 0.74
    assert "unavailable" not in codes  # nobody is turned away unasked
    assert "unavailable" in turned_away
    assert uncapped < capped
