"""What one part of routing says or holds, the others keep to: versions, places, queues, ensembles, hedges and continuation together."""

import anyio
import pytest

from gateway.accounting.limits.estimates import Outputs, estimate
from gateway.accounting.prices import open_prices
from gateway.config import load
from gateway.config.overload_settings import StepSettings
from gateway.config.routing_settings import BreakerSettings, FallbackSettings
from gateway.core.call import opened
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import Overloaded, UpstreamRefused
from gateway.core.events import Continued, Decided, Degraded, Tried
from gateway.modelling import modelled
from gateway.pipeline.build import build_routes
from gateway.pipeline.route import Surroundings
from gateway.providers.catalog import open_provider
from gateway.routing.continuing.thread import Onward, Thread
from gateway.routing.ensembles.ensemble import Told, foretold
from gateway.routing.ensembles.held import HeldAnswer
from gateway.routing.ensembles.opening import open_ensemble
from gateway.routing.opening import open_pool, open_routed
from gateway.routing.overload.ladder import STATIC_TARGET
from gateway.routing.plan import RoutingPlan
from gateway.routing.rollouts.versions import of_version
from tests.unit.routing.continuing.test_continuing import BROKEN, begun, continuing, of, prompt_of, text_of, whole
from tests.unit.routing.ensembles.ensemble_doubles import Heard, ask, cascade, question, says, vote
from tests.unit.routing.hedging.hedging_doubles import Actor, hedged_call, turns
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear, started
from tests.unit.routing.simulated_time import Simulated, settled

SMALL, LARGE = "s/m", "l/m"


def upstreams(*answers):
    return [Upstream(name, says(answer)) for name, answer in zip((SMALL, LARGE, "x/m"), answers, strict=False)]


def taken(world, target, places=1):
    """A target with so many places, all of which others have."""
    world.condition(target)
    gate = world.conditions.gate_of(target, places)
    gate.taken = places
    return gate


def with_places(make, world, *targets, limits, **settings):
    """A cascade or vote whose targets have so many places."""
    build = world.routed
    world.routed = lambda *given, **plan: build(*given, concurrency=limits, **plan)
    return make(world, *targets, **settings)


class TestAVersionStaysTold:
    """A call whose record names no version is no evidence for it: a rollout would count the quick and easy calls alone."""

    def decision(self, world, *targets, **plan):
        return of_version(world.pool(*targets, **plan), "v2").decide(call_of(), world.now)[1]

    async def test_by_ensembles_before_and_after(self):
        decision = self.decision(World(), *upstreams("a", "b"), strategy="cascade")

        async def send(event):
            pass

        told = Told(decision, send)
        await told.tell({SMALL: ("escalated", "empty")})
        assert told.decision.version == "v2"
        assert foretold(decision, call_of()).version == "v2"

    async def test_by_hedges(self):
        world, first, second = World(), Actor("a"), Actor("b")
        build = world.pool
        world.pool = lambda *given, **plan: of_version(build(*given, **plan), "v2")
        async with hedged_call(first, second, world=world) as call:
            await turns()
            call.ring()
            await turns()
            second.end()
            await turns()
        assert call.answered_by == "b/m"
        assert [event.decision.version for event in call.of(Decided)] == ["v2", "v2"]

    async def test_by_who_goes_on(self):
        heard = []

        async def send(event):
            heard.append(event)

        thread = Thread(send)
        await thread(Decided(self.decision(World(), *upstreams("a", "b"))))
        await thread(started(SMALL))
        await Onward(thread, "", 0)(started(LARGE))
        [continued] = of(heard, Continued)
        assert continued.decision.version == "v2"


class TestACascadeAndPlaces:
    async def test_a_full_small_target_is_skipped_and_the_larger_one_answers_as_it_comes(self):
        world = World()
        small, large = upstreams("small", "large")
        answer = with_places(cascade, world, small, large, limits=(1, None))
        taken(world, SMALL)

        heard = await ask(answer)

        assert (heard.target, heard.spent, small.asked) == (LARGE, [], [])

    async def test_a_full_larger_target_is_no_reason_to_look_at_nothing(self):
        world = Simulated()
        small, large = Upstream(SMALL, says(" ")), Upstream(LARGE, says("large"))
        answer = with_places(cascade, world, small, large, limits=(None, 1), escalate_on=("empty",))
        gate = taken(world, LARGE)

        async with anyio.create_task_group() as tasks:
            got = []

            async def one():
                got.append(await ask(answer))

            tasks.start_soon(one)
            await settled()
            assert not got, "what did not pass went out while the larger target was full"
            gate.leave()
            await settled()

        [heard] = got
        assert heard.target == LARGE
        assert len(small.asked) == 1
        assert [event.step for event in heard.of(Degraded)] == ["queue"]

    async def test_a_small_answer_that_passes_waits_for_nobody(self):
        world = World()
        small, large = upstreams("small", "large")
        answer = with_places(cascade, world, small, large, limits=(None, 1))
        taken(world, LARGE)

        assert (await ask(answer)).target == SMALL

    @pytest.mark.parametrize(("full", "told"), [(SMALL, "asked alone"), (LARGE, "asked first")])
    def test_that_is_what_explain_says(self, full, told):
        world = World()
        pool = world.pool(*upstreams("a", "b"), strategy="cascade", concurrency=(1, 1))
        taken(world, full)

        first, second = pool.decide(question(), world.now, peek=True)[1].considered
        assert (first.verdict, first.why.startswith(told)) == ("chosen", True)
        assert (second.target, second.verdict) == (full, "full")


async def test_a_vote_that_full_targets_make_hopeless_asks_nobody():
    world = World()
    voters = upstreams("a", "a", "a")
    answer = with_places(vote, world, *voters, limits=(1, 1, 1))
    for name in (SMALL, LARGE):
        taken(world, name)

    with pytest.raises(Overloaded):
        await ask(answer)
    assert [one.asked for one in voters] == [[], [], []]


@pytest.mark.parametrize("why", ["all failed", "none has room"])
async def test_where_a_vote_comes_to_nothing_other_models_help_and_then_the_ladder_does(why):
    world = World()
    failing = [Upstream(name, UpstreamRefused("no", upstream_status=500)) for name in (SMALL, LARGE)]
    spare = world.pool(Upstream("spare/m", says("spare"), UpstreamRefused("no", upstream_status=500)), model="spare")
    plan = RoutingPlan(
        strategy="vote", fallbacks=FallbackSettings(general=("spare",)), degrade=(StepSettings(static="Later."),), concurrency=(1, 1)
    )  # fmt: skip
    pool = open_pool("m", [(one.target, one) for one in failing], plan, world.conditions)
    answer = open_ensemble(
        open_routed(pool, plan, world.timing, {"spare": spare}), plan, world.timing, lambda judge: None
    )
    if why == "none has room":
        taken(world, SMALL)
        taken(world, LARGE)

    helped, degraded = await ask(answer), await ask(answer)

    assert (helped.target, helped.text) == ("spare/m", "spare")
    assert (degraded.target, degraded.text) == (STATIC_TARGET, "Later.")
    assert [len(one.asked) for one in failing] == ([2, 2] if why == "all failed" else [0, 0])


async def test_nobody_is_said_to_have_won_a_vote_that_failed_and_each_is_paid_for_by_its_name():
    world = World()
    failing = Upstream(LARGE, UpstreamRefused("no", upstream_status=500))
    heard = Heard()

    with pytest.raises(UpstreamRefused):
        await vote(world, Upstream(SMALL, says("a")), failing)(question(), heard.send)
    assert [target for target, _, _ in heard.spent] == [SMALL]


class TestContinuationAndPlaces:
    async def test_an_answer_that_waited_in_the_queue_is_gone_on_with_too(self):
        heard = []

        async def send(event):
            heard.append(event)

        thread = Thread(send)
        for event in (Degraded("queue", "overloaded"), started(SMALL), *begun("m", "Hello")):
            await thread(event)
        assert thread.can_go_on

    async def test_a_full_target_is_not_asked_to_go_on(self):
        world = World()
        first, full, free = (
            Upstream("a", [*begun("a", "Hel"), BROKEN]), Upstream("b", whole("b", "lo")), Upstream("c", whole("c", "lo"))
        )  # fmt: skip
        answer = continuing(world, first, full, free, concurrency=(1, 1, 1))
        taken(world, "b/m")

        heard = await hear(answer, prompt_of())

        assert text_of(heard) == "Hello"
        assert (len(full.asked), len(free.asked)) == (0, 1)
        assert [seat.gate.taken for seat in answer._routed.pool.seats] == [0, 1, 0]


async def test_a_judge_that_waited_for_a_place_and_got_none_has_used_nothing():
    async def nowhere(event):
        pass

    held = HeldAnswer(question(), 1000, nowhere)
    for event in (Degraded("queue", "overloaded"), Tried(target=SMALL, error="overloaded", following=LARGE)):
        await held(event)
    assert not held.begun


def test_what_was_built_and_refused_changes_no_breaker():
    world = World()
    strict, lenient = BreakerSettings(failures=2), BreakerSettings(failures=9)
    for breaker in (strict, lenient):  # a reload builds the next generation before it is sure of it
        pool = world.pool(*upstreams("a"), breaker=breaker)
    condition = pool.seats[0].condition

    assert condition.breaker.settings == strict
    world.conditions.keep({SMALL})
    assert condition.breaker.settings == lenient


def test_a_call_that_goes_out_by_its_items_is_as_large_as_it_was():
    call = call_of(messages=[], max_completion_tokens=7)

    assert (
        estimate(opened(call), lambda call: 3, Outputs()) == estimate(call, lambda call: 3, Outputs()) == (3, 7, True)
    )


CONFIG = """
providers:
  script: {kind: scripted, document: script.yaml}
models:
  m:
    on_unsupported: emulate
    versions:
      v1: {targets: [{provider: script, model: one, abilities: {without: [stop]}}]}
      v2: {targets: [{provider: script, model: one}]}
"""


def test_what_a_target_lacks_in_one_version_is_seen_although_another_shares_it(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {one: {answers: [{say: hello}]}}")
    (tmp_path / "switchgear.yaml").write_text(CONFIG)
    settings = load(tmp_path / "switchgear.yaml", {})
    providers = {name: open_provider(name, wanted) for name, wanted in settings.providers.items()}
    surroundings = Surroundings(take_record=lambda record: None, cost=lambda target, usage: None, clock=SYSTEM_CLOCK)

    route = build_routes(modelled(settings, open_prices(settings)), providers, surroundings)["m"]

    assert route.opened
