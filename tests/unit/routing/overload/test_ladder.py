"""What is done when a model cannot answer as asked: the steps of `degrade`, in order, until one answers."""

import anyio
import pytest

from gateway.config.overload_settings import QueueSettings, StepSettings
from gateway.config.routing_settings import BreakerSettings
from gateway.core.answer import AnswerBuilder
from gateway.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamBroken,
    UpstreamRefused,
)
from gateway.core.events import CutShort, Decided, Degraded, Finished, Tried
from gateway.core.usage import Usage
from gateway.routing.overload.ladder import STATIC_TARGET
from tests.unit.routing.crowds import Crowd, come
from tests.unit.routing.routing_doubles import WORD, Upstream, call_of, hear
from tests.unit.routing.simulated_time import Simulated, Slow

SMALLER = StepSettings(model="small")
QUEUE = StepSettings(queue="wait")
STATIC = StepSettings(static="Come back later.")


def ladder(world, *targets, steps, small=(), **plan):
    pools = {"small": world.pool(*small, model="small")} if small else {}
    return Crowd(world, *targets, degrade=steps, pools=pools, **plan)


def told(heard):
    return [(event.step, event.error) for event in heard if isinstance(event, Degraded)]


def answered_by(heard):
    return next(event.target for event in heard if hasattr(event, "waited"))


def text(heard):
    builder = AnswerBuilder()
    for event in heard:
        builder.add(event)
    return builder.answer().items[0].parts[0].text


async def test_where_all_targets_failed_another_model_answers():
    world, small = Simulated(), Upstream("b/small")
    crowd = ladder(world, Upstream("a/m", UpstreamBroken("x")), steps=(SMALLER, STATIC), small=[small], limits=(None,))
    heard = await hear(crowd.routed)

    assert answered_by(heard) == "b/small"
    assert told(heard) == [("smaller", "upstream_broken")]
    assert [(event.target, event.following) for event in heard if isinstance(event, Tried)] == [("a/m", "b/small")]


async def test_a_model_that_answers_is_not_degraded():
    world, small = Simulated(), Upstream("b/small")
    crowd = ladder(world, Upstream("a/m"), steps=(SMALLER,), small=[small], limits=(None,))
    heard = await hear(crowd.routed)

    assert told(heard) == []
    assert small.asked == []


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("x"), ContextLengthExceeded("x"), UpstreamRefused("x", upstream_status=400),
     UpstreamRefused("x", upstream_status=400, code="content_filter")],
)  # fmt: skip
async def test_what_the_caller_did_is_not_covered_up(error):
    """A prompt that is too long, or refused by a content policy, is no failure of the model."""
    crowd = ladder(Simulated(), Upstream("a/m", error), steps=(STATIC,), limits=(None,))
    with pytest.raises(type(error)):
        await hear(crowd.routed)


async def test_what_has_begun_is_not_begun_again():
    begun = [WORD, CutShort(usage=Usage(output=1)), UpstreamBroken("x")]
    crowd = ladder(Simulated(), Upstream("a/m", begun), steps=(STATIC,), limits=(None,))
    with pytest.raises(UpstreamBroken):
        await hear(crowd.routed)


async def test_where_all_targets_are_spared_the_ladder_is_taken():
    world = Simulated()
    crowd = ladder(
        world,
        Upstream("a/m", UpstreamBroken("x")),
        steps=(STATIC,),
        limits=(None,),
        breaker=BreakerSettings(failures=1),
    )
    first, second = [await hear(crowd.routed, call_of(name)) for name in ("1", "2")]

    assert told(first) == [("static", "upstream_broken")]
    assert told(second) == [("static", "unavailable")]
    assert text(second) == "Come back later."


async def test_a_static_answer_is_whole_and_has_used_nothing():
    crowd = ladder(Simulated(), Upstream("a/m", UpstreamBroken("x")), steps=(STATIC,), limits=(None,))
    heard = await hear(crowd.routed)

    assert answered_by(heard) == STATIC_TARGET
    assert text(heard) == "Come back later."
    assert heard[-1] == Finished(reason="stop", usage=Usage())


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"response_format": {"type": "json_object"}},
        {"text": {"format": {"type": "json_schema", "schema": {}}}},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ],
)
async def test_a_text_is_no_answer_to_who_wants_json_or_a_tool(fields):
    crowd = ladder(Simulated(), Upstream("a/m", UpstreamBroken("x")), steps=(STATIC,), limits=(None,))
    with pytest.raises(UpstreamBroken):
        await hear(crowd.routed, call_of(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "text"}},
        {"text": {"format": {"type": "text"}, "verbosity": "low"}},
        {"tool_choice": "auto"},
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": "none"},
        {"text": None, "tool_choice": 7, "response_format": "?"},
    ],
)
async def test_a_text_is_an_answer_to_all_others(fields):
    crowd = ladder(Simulated(), Upstream("a/m", UpstreamBroken("x")), steps=(STATIC,), limits=(None,))

    assert told(await hear(crowd.routed, call_of(**fields))) == [("static", "upstream_broken")]


async def test_steps_are_taken_in_order_when_the_targets_are_full():
    world = Simulated()
    small = Slow(world, "b/small", 10)
    crowd = ladder(
        world,
        Slow(world, "a/m", 10),
        steps=(SMALLER, QUEUE, STATIC),
        small=[small],
        limits=(1,),
        queue=QueueSettings(longest=5),
    )
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2")
        await world.pass_time(30)

    assert told(crowd.heard["1"]) == []
    assert told(crowd.heard["2"]) == [("smaller", "overloaded")]


async def test_a_smaller_model_that_is_full_is_not_waited_for():
    world = Simulated()
    small = Slow(world, "b/small", 10)
    small_crowd = Crowd(world, small, limits=(1,))
    crowd = Crowd(
        world, Slow(world, "a/m", 10), degrade=(SMALLER, QUEUE, STATIC), pools={"small": small_crowd.pool}, limits=(1,),
        queue=QueueSettings(most=1, longest=5),
    )  # fmt: skip
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2", "3", "4")
        await world.pass_time(30)

    steps = {name: told(heard)[-1:] for name, heard in crowd.heard.items()}
    assert steps["1"] == []
    assert steps["2"] == [("smaller", "overloaded")]
    assert steps["3"] == [("static", "overloaded")]  # it waited for 5 s in vain
    assert steps["4"] == [("static", "overloaded")]  # the queue was full
    assert crowd.order[0] == "4"
    assert len(small.served) == 1


async def test_without_a_step_that_waits_nobody_waits():
    world = Simulated()
    crowd = ladder(world, Slow(world, "a/m"), steps=(), limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2")
        assert isinstance(crowd.ended["2"], Overloaded)
        assert crowd.line.waiting == 0
        await world.pass_time(3)


async def test_when_no_step_helps_the_model_that_was_asked_says_why():
    small = Upstream("b/small", Unavailable("x"))
    crowd = ladder(
        Simulated(), Upstream("a/m", UpstreamBroken("mine")), steps=(SMALLER,), small=[small], limits=(None,)
    )
    with pytest.raises(UpstreamBroken, match="mine"):
        await hear(crowd.routed)

    assert len(small.asked) == 1


async def test_when_a_step_fails_the_next_one_is_taken():
    small = Upstream("b/small", Unavailable("x")), Upstream("c/small", UpstreamBroken("x"))
    crowd = ladder(
        Simulated(), Upstream("a/m", UpstreamBroken("x")), steps=(SMALLER, STATIC), small=small, limits=(None,)
    )
    heard = await hear(crowd.routed)

    assert told(heard)[-1] == ("static", "upstream_broken")
    assert [event.target for event in heard if isinstance(event, Tried)] == ["a/m", "b/small", "c/small"]
    decided = [event.decision for event in heard if isinstance(event, Decided)][-1]
    assert [one.target for one in decided.considered] == ["a/m", "b/small", "c/small"]


async def test_a_call_that_fails_after_its_wait_goes_on_down():
    world = Simulated()
    crowd = ladder(world, Slow(world, "a/m", error=UpstreamBroken("x")), steps=(QUEUE, STATIC), limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1", "2")
        await world.pass_time(5)

    assert told(crowd.heard["2"]) == [("queue", "overloaded"), ("static", "upstream_broken")]
    assert crowd.places == [0]


async def test_embeddings_have_no_static_answer():
    crowd = ladder(Simulated(), Upstream("a/m", UpstreamBroken("x")), steps=(STATIC,), limits=(None,))
    call = call_of()
    fields = {name: getattr(call, name) for name in call.__struct_fields__}
    with pytest.raises(UpstreamBroken):
        await hear(crowd.routed, type(call)(**fields | {"operation": "embed"}))


async def test_a_batch_waits_for_the_model_that_it_asked():
    """A line that was answered by another model, or with a text that was ready, would stand among the results for good."""
    world, small = Simulated(), Upstream("b/small")
    slow = Slow(world, "a/m")
    crowd = ladder(world, slow, steps=(SMALLER, STATIC), small=[small], limits=(1,))
    async with anyio.create_task_group() as tasks:
        await come(tasks, crowd, "1")
        await come(tasks, crowd, "line", background=True)
        await world.pass_time(5)
        slow.error = UpstreamBroken("x")
        await come(tasks, crowd, "other line", background=True)
        await world.pass_time(5)

    assert told(crowd.heard["line"]) == [("queue", "overloaded")]
    assert isinstance(crowd.ended["other line"], UpstreamBroken)
    assert small.asked == []
