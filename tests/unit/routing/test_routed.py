"""Targets are asked until one answers: others at once, the same again after a wait, never after the commit point."""

import anyio
import pytest

from gateway.config.routing_settings import BreakerSettings, FallbackSettings, RetrySettings
from gateway.core.errors import (
    ContentBlocked,
    ContextLengthExceeded,
    InvalidRequest,
    RateLimited,
    Unavailable,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.core.events import CutShort, Decided, Finished, Tried
from gateway.core.usage import Usage
from tests.unit.routing.routing_doubles import WORD, Upstream, World, hear, started

GENEROUS = RetrySettings(budget=1)


def refused(status: int, **fields):
    return UpstreamRefused(f"refused with {status}", upstream_status=status, **fields)


def tried(heard):
    return [(event.target, event.error, event.following) for event in heard if isinstance(event, Tried)]


def answered_by(heard):
    return next(event.target for event in heard if hasattr(event, "waited"))


async def test_the_first_target_answers_alone():
    world, spare = World(), Upstream("b/m")
    heard = await hear(world.routed(Upstream("a/m"), spare))

    assert isinstance(heard[0], Decided)
    assert heard[0].decision.chosen == "a/m"
    assert heard[1:] == [started("a/m"), WORD, Finished()]
    assert not spare.asked


@pytest.mark.parametrize(
    "error",
    [
        UpstreamBroken("x"), UpstreamUnreachable("x"), refused(500), refused(503), refused(408), refused(429), refused(401),
        refused(404), RateLimited("x"), Unavailable("x"), ContentBlocked("x"),
    ],
)  # fmt: skip
async def test_another_target_is_asked_at_once_when_it_may_help(error):
    world = World()
    heard = await hear(world.routed(Upstream("a/m", error), Upstream("b/m")))

    assert tried(heard) == [("a/m", error.code, "b/m")]
    assert answered_by(heard) == "b/m"
    assert world.slept == []


@pytest.mark.parametrize(
    "error", [InvalidRequest("x"), refused(400), refused(413), ValueError("x"), ContextLengthExceeded("x")]
)
async def test_what_no_other_target_can_mend_is_not_tried_again(error):
    spare = Upstream("b/m")
    with pytest.raises(type(error)):
        await hear(World().routed(Upstream("a/m", error), spare))

    assert not spare.asked


async def test_what_was_cut_short_before_content_is_not_told():
    cut = Upstream("a/m", [CutShort(usage=Usage(input=1)), UpstreamBroken("x")])
    heard = await hear(World().routed(cut, Upstream("b/m")))

    assert not any(isinstance(event, CutShort) for event in heard)
    assert heard.count(started("a/m")) == 0


async def test_after_content_the_error_is_the_callers():
    spare = Upstream("b/m")
    with pytest.raises(UpstreamBroken):
        await hear(World().routed(Upstream("a/m", [WORD, UpstreamBroken("x")]), spare))

    assert not spare.asked


async def test_the_last_error_is_told():
    broken = Upstream("a/m", UpstreamBroken("first")), Upstream("b/m", UpstreamUnreachable("second"))
    with pytest.raises(UpstreamUnreachable, match="second"):
        await hear(World().routed(*broken, retry=RetrySettings(attempts=1)))


async def test_a_target_that_failed_is_asked_again_after_a_growing_wait():
    world = World(chance=0.5)
    broken = Upstream("a/m", UpstreamBroken("x"), refused(500), UpstreamUnreachable("x"), None)
    heard = await hear(world.routed(broken, retry=RetrySettings(attempts=4, base=1, longest=3, budget=1)))

    assert answered_by(heard) == "a/m"
    assert world.slept == [0.5, 1.0, 1.5]


async def test_others_are_asked_before_the_same_one_again():
    world = World()
    first, second = Upstream("a/m", UpstreamBroken("x"), None), Upstream("b/m", UpstreamBroken("x"))
    heard = await hear(world.routed(first, second, retry=GENEROUS))

    assert [target for target, _, _ in tried(heard)] == ["a/m", "b/m"]
    assert answered_by(heard) == "a/m"
    assert len(world.slept) == 1


async def test_no_call_is_tried_more_often_than_was_said():
    world, broken = World(), Upstream("a/m", UpstreamBroken("x"))
    with pytest.raises(UpstreamBroken):
        await hear(world.routed(broken, retry=RetrySettings(attempts=3, budget=1)))

    assert len(broken.asked) == 3


async def test_credentials_that_are_refused_are_not_tried_again():
    world, broken = World(), Upstream("a/m", refused(401))
    with pytest.raises(UpstreamRefused):
        await hear(world.routed(broken, retry=GENEROUS))

    assert len(broken.asked) == 1


async def test_retry_after_is_waited_for_where_it_is_short():
    world = World(chance=0)
    busy = Upstream("a/m", refused(429, retry_after=1.5), None)
    await hear(world.routed(busy, retry=GENEROUS))

    assert world.slept == [1.5]


async def test_a_long_retry_after_is_passed_on_and_not_waited_for():
    world, busy = World(), Upstream("a/m", refused(429, retry_after=60.0))
    with pytest.raises(UpstreamRefused) as caught:
        await hear(world.routed(busy, retry=GENEROUS))

    assert caught.value.retry_after == 60
    assert world.slept == []


async def test_a_target_that_asked_to_be_left_alone_is_left_alone():
    world = World()
    busy, spare = Upstream("a/m", refused(429, retry_after=30.0), None), Upstream("b/m")
    routed = world.routed(busy, spare)
    await hear(routed)
    heard = await hear(routed)
    assert answered_by(heard) == "b/m"
    assert [one.verdict for one in heard[0].decision.considered] == ["chosen", "spared"]
    assert len(busy.asked) == 1

    world.now += 30
    assert answered_by(await hear(routed)) == "a/m"


async def test_when_all_ask_to_be_left_alone_the_first_to_be_back_is_asked():
    """One caller's large call may be what they meant: it shall not shut everybody out."""
    world = World()
    busy, busier = (
        Upstream("a/m", refused(429, retry_after=90.0), None),
        Upstream("b/m", refused(429, retry_after=60.0), None),
    )
    routed = world.routed(busy, busier)
    with pytest.raises(UpstreamRefused):
        await hear(routed)
    assert answered_by(await hear(routed)) == "b/m"

    lone = World().routed(Upstream("a/m", refused(429, retry_after=90.0), None))
    with pytest.raises(UpstreamRefused):
        await hear(lone)
    assert answered_by(await hear(lone)) == "a/m"


async def test_no_upstream_takes_itself_out_for_a_day():
    world, busy = World(), Upstream("a/m", refused(429, retry_after=86_400.0), None)
    routed = world.routed(busy, Upstream("b/m"))
    await hear(routed)
    world.now += 119
    assert answered_by(await hear(routed)) == "b/m"
    world.now += 1

    assert answered_by(await hear(routed)) == "a/m"


async def test_retries_never_double_an_outage():
    world, broken = World(), Upstream("a/m", UpstreamBroken("x"))
    routed = world.routed(
        broken, retry=RetrySettings(attempts=5, budget=0.1), breaker=BreakerSettings(failures=10_000, least=1_000_000)
    )
    for _ in range(1000):
        with pytest.raises(UpstreamBroken):
            await hear(routed)

    assert 1000 < len(broken.asked) <= 1000 + 10 + 100


async def test_all_tries_together_keep_the_deadline():
    world = World()
    slow = Upstream("a/m", UpstreamBroken("x"), before=lambda: setattr(world, "now", world.now + 4))
    with pytest.raises(UpstreamBroken):
        await hear(world.routed(slow, deadline=10, retry=RetrySettings(attempts=20, budget=1)))

    assert len(slow.asked) == 3


async def test_a_target_that_does_not_begin_before_the_deadline_is_ended():
    quiet = Upstream("a/m", None)
    routed = World().routed(quiet, deadline=0.05)
    routed.pool.seats[0].responder = lambda call, send: anyio.sleep_forever()
    with anyio.fail_after(10), pytest.raises(UpstreamTimeout, match=r"longer than 0.05 s \(routing.deadline\)"):
        await hear(routed)


async def test_an_answer_that_has_begun_may_outlast_the_deadline():
    async def slow(call, send):
        await send(started("a/m"))
        await send(WORD)
        await anyio.sleep(0.1)
        await send(Finished())

    routed = World().routed(Upstream("a/m"), deadline=0.05)
    routed.pool.seats[0].responder = slow

    assert (await hear(routed))[-1] == Finished()


async def test_a_broken_target_is_spared_and_comes_back():
    world = World()
    broken, spare = Upstream("a/m", *[UpstreamBroken("x")] * 5, None), Upstream("b/m")
    routed = world.routed(broken, spare)
    for _ in range(8):
        assert answered_by(await hear(routed)) == "b/m"
    assert len(broken.asked) == 5

    world.now += 6.1
    assert answered_by(await hear(routed)) == "a/m"
    assert world.condition("a/m").breaker.state(world.now) == "closed"


async def test_a_lone_target_that_is_spared_is_told_at_once():
    world, broken = World(), Upstream("a/m", UpstreamBroken("x"))
    routed = world.routed(broken, retry=RetrySettings(attempts=1))
    for _ in range(5):
        with pytest.raises(UpstreamBroken):
            await hear(routed)
    with pytest.raises(Unavailable, match="failed too often") as caught:
        await hear(routed)

    assert caught.value.retry_after == pytest.approx(6)
    assert len(broken.asked) == 5


async def test_a_refusal_of_the_request_is_no_fault_of_the_target():
    world, strict = World(), Upstream("a/m", refused(400))
    routed = world.routed(strict)
    for _ in range(30):
        with pytest.raises(UpstreamRefused):
            await hear(routed)

    assert len(strict.asked) == 30


async def test_a_call_that_is_given_up_says_nothing_about_the_target():
    world = World()

    async def never(call, send):
        await anyio.sleep_forever()

    quiet = Upstream("a/m")
    routed = world.routed(quiet)
    routed.pool.seats[0].responder = never
    with anyio.move_on_after(0.01):
        await hear(routed)

    condition = world.condition("a/m")
    assert (condition.in_flight, condition.failed, condition.served) == (0, 0, 0)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ContextLengthExceeded("x"), "context"),
        (refused(400, code="context_length_exceeded"), "context"),
        (refused(400, code="content_filter"), "content"),
        (refused(502), "general"),
    ],
)
async def test_other_models_help_out_by_cause(error, name):
    world, large = World(), Upstream("c/large")
    pools = {"large": world.pool(large, model="large")}
    failing, spare = Upstream("a/m", error), Upstream("b/m", error)
    routed = world.routed(failing, spare, pools=pools, fallbacks=FallbackSettings(**{name: ("large",)}))
    heard = await hear(routed)

    assert answered_by(heard) == "c/large"
    decisions = [event.decision for event in heard if isinstance(event, Decided)]
    assert [one.target for one in decisions[-1].considered][-1] == "c/large"
    # A prompt that is too long for the model is too long for its other target; a target that is down says nothing of the other.
    assert len(spare.asked) == (name == "general")


async def test_models_that_help_out_are_asked_one_after_the_other():
    world = World()
    pools = {
        name: world.pool(Upstream(f"{name}/m", failure), model=name)
        for name, failure in (("b", refused(500)), ("c", None))
    }
    routed = world.routed(Upstream("a/m", refused(500)), pools=pools, fallbacks=FallbackSettings(general=("b", "c")))

    assert [target for target, _, _ in tried(await hear(routed))] == ["a/m", "b/m"]


async def test_ten_thousand_calls_through_a_target_that_fails_half_the_time_lose_none():
    world = World(chance=0.3)
    flaky = Upstream("a/m")
    behaviours = [None if number % 2 else UpstreamBroken("x") for number in range(20_000)]
    flaky._behaviours = behaviours
    routed = world.routed(flaky, Upstream("b/m"), strategy="weighted")
    for number in range(10_000):
        world.now += 0.01
        heard = await hear(routed)
        assert isinstance(heard[-1], Finished), number
