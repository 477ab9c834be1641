"""A cascade asks the small target first, holds its answer back until it has passed, and goes on to a larger one where it does not."""

import math

import anyio
import msgspec
import pytest

from gateway.core.call import Call
from gateway.core.content import FunctionTool
from gateway.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    UnsupportedParameter,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.events import CutShort, Spent, Started, TextDelta, Tried
from gateway.core.items import Foreign
from gateway.core.usage import Usage
from tests.unit.routing.ensembles.ensemble_doubles import (
    Heard,
    Waiting,
    ask,
    calls,
    cascade,
    question,
    refuses,
    says,
    schema,
)
from tests.unit.routing.routing_doubles import Upstream, World

GOOD = says("42")
WEATHER = FunctionTool(
    name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)
NUMBER = schema({"n": {"type": "integer"}})


def refused(status):
    return UpstreamRefused("refused", upstream_status=status)


async def test_an_answer_that_passes_goes_out_and_no_other_target_is_asked():
    large = Upstream("b/large")
    heard = await ask(cascade(World(), Upstream("a/small", GOOD), large))

    assert (heard.text, heard.target) == ("42", "a/small")
    assert heard.verdicts == {"a/small": ("chosen", "its answer passed"), "b/large": heard.verdicts["b/large"]}
    assert not large.asked
    assert heard.spent == []


@pytest.mark.parametrize(
    ("check", "answer", "prompt"),
    [
        ("refusal", refuses(), {}),
        ("refusal", says("No.", reason="content_filter"), {}),
        ("refusal", says("No.", reason="refusal"), {}),
        ("empty", says("  \n"), {}),
        ("empty", says(None), {}),
        ("length", says("forty", reason="length"), {}),
        ("tool_call_invalid", calls("weather", '{"city": 7}'), {"tools": (WEATHER,)}),
        ("tool_call_invalid", calls("weather", '{"city": "Par'), {"tools": (WEATHER,)}),
        ("tool_call_invalid", calls("weather", "[]"), {"tools": (WEATHER,)}),
        ("tool_call_invalid", calls("clock", "{}"), {"tools": (WEATHER,)}),
        ("schema_invalid", says("forty-two"), {"output": NUMBER}),
        ("schema_invalid", says('{"n": "42"}'), {"output": NUMBER}),
        ("schema_invalid", says('{"n": 42'), {"output": NUMBER}),
        ("low_confidence", says("42", logprob=math.log(0.5)), {}),
    ],
)
async def test_an_answer_that_fails_a_check_does_not_go_out(check, answer, prompt):
    responder = cascade(World(), Upstream("a/small", answer), Upstream("b/large", GOOD), escalate_on=(check,))
    heard = await ask(responder, question(**prompt))

    assert (heard.text, heard.target) == ("42", "b/large")
    assert heard.tried == [("a/small", check, "b/large")]
    assert heard.spent == [("a/small", "cascade", 12)]
    verdict, why = heard.verdicts["a/small"]
    assert verdict == "escalated"
    assert why.startswith(f"{check}: ")
    assert heard.verdicts["b/large"][0] == "chosen"


@pytest.mark.parametrize(
    ("check", "answer", "prompt"),
    [
        ("refusal", GOOD, {}),
        ("empty", calls("weather", '{"city": "Paris"}'), {"tools": (WEATHER,)}),
        ("length", GOOD, {}),
        ("tool_call_invalid", calls("weather", '{"city": "Paris"}'), {"tools": (WEATHER,)}),
        ("tool_call_invalid", calls("now", ""), {"tools": (FunctionTool(name="now"),)}),
        ("schema_invalid", says('{"n": 42}'), {"output": NUMBER}),
        ("schema_invalid", calls("weather", '{"city": "Paris"}'), {"output": NUMBER, "tools": (WEATHER,)}),
        ("schema_invalid", says("no form was promised"), {}),
        ("low_confidence", says("42", logprob=math.log(0.9)), {}),
    ],
)
async def test_what_a_check_allows_goes_out(check, answer, prompt):
    large = Upstream("b/large")
    heard = await ask(cascade(World(), Upstream("a/small", answer), large, escalate_on=(check,)), question(**prompt))

    assert heard.target == "a/small"
    assert not large.asked


async def test_checks_that_were_not_asked_for_are_not_made():
    heard = await ask(cascade(World(), Upstream("a/small", refuses()), Upstream("b/large"), escalate_on=("length",)))

    assert heard.target == "a/small"


async def test_a_schema_that_cannot_be_used_is_said_and_stops_nothing():
    strange = schema({"n": {"type": "string", "pattern": "(unclosed"}})
    heard = await ask(
        cascade(World(), Upstream("a/small", says('{"n": "x"}')), Upstream("b/large")), question(output=strange)
    )

    assert heard.target == "a/small"
    assert heard.verdicts["a/small"][1] == "its answer passed; not checked: schema_invalid (the schema cannot be used)"


async def test_log_probabilities_are_asked_for_and_not_passed_on():
    small = Upstream("a/small", says("42", logprob=math.log(0.9)))
    heard = await ask(cascade(World(), small, Upstream("b/large"), escalate_on=("low_confidence",)))

    assert small.asked[0].content.logprobs is True
    assert small.asked[0].opened  # so that the answer comes as what can be looked at
    assert [delta.logprobs for delta in heard.of(TextDelta)] == [None]
    assert [part.logprobs for item in heard.answer.items for part in item.parts] == [None]


async def test_who_asked_for_log_probabilities_gets_them():
    small = Upstream("a/small", says("42", logprob=math.log(0.9)))
    heard = await ask(
        cascade(World(), small, Upstream("b/large"), escalate_on=("low_confidence",)), question(logprobs=True)
    )

    assert heard.of(TextDelta)[0].logprobs


async def test_the_last_target_is_asked_for_no_log_probabilities():
    large = Upstream("b/large", GOOD)
    await ask(cascade(World(), Upstream("a/small", refuses()), large, escalate_on=("refusal", "low_confidence")))

    assert large.asked[0].content.logprobs is None


async def test_a_target_that_tells_no_log_probabilities_passes_and_that_is_said():
    heard = await ask(cascade(World(), Upstream("a/small", GOOD), Upstream("b/large"), escalate_on=("low_confidence",)))

    assert heard.target == "a/small"
    assert "not checked: low_confidence (the target told no log probabilities)" in heard.verdicts["a/small"][1]


class RefusesMarks(Upstream):
    """A target that refuses calls that ask for log probabilities."""

    async def __call__(self, call, send):
        if call.content.logprobs:
            self.asked.append(call)
            raise UnsupportedParameter("no logprobs here")
        await super().__call__(call, send)


async def test_a_target_that_refuses_log_probabilities_is_asked_without_and_never_again_with():
    small = RefusesMarks("a/small", GOOD)
    responder = cascade(World(), small, Upstream("b/large"), escalate_on=("low_confidence",))
    first, second = await ask(responder), await ask(responder)

    assert [call.content.logprobs for call in small.asked] == [True, None, None]
    assert (first.target, second.target) == ("a/small", "a/small")


@pytest.mark.parametrize(
    "error", [UpstreamBroken("x"), UpstreamRefused("x", upstream_status=503), ContextLengthExceeded("x")]
)
async def test_an_error_escalates_too(error):
    heard = await ask(cascade(World(), Upstream("a/small", error), Upstream("b/large", GOOD)))

    assert heard.target == "b/large"
    assert heard.tried == [("a/small", error.code, "b/large")]
    assert heard.verdicts["a/small"] == ("failed", error.code)
    assert heard.spent == []


async def test_an_answer_that_breaks_off_escalates_and_is_accounted_for():
    broken = Upstream("a/small", [*GOOD[:2], CutShort(usage=Usage(input=9, output=1)), UpstreamBroken("x")])
    heard = await ask(cascade(World(), broken, Upstream("b/large", GOOD)))

    assert heard.target == "b/large"
    assert heard.spent == [("a/small", "cascade", 10)]
    assert heard.of(CutShort) == []


async def test_what_no_target_can_mend_is_told_at_once():
    large = Upstream("b/large")
    with pytest.raises(InvalidRequest):
        await ask(cascade(World(), Upstream("a/small", InvalidRequest("x")), large))

    assert not large.asked


async def test_an_answer_longer_than_may_be_held_escalates():
    heard = await ask(
        cascade(World(), Upstream("a/small", says("x" * 2000)), Upstream("b/large", GOOD), held_bytes=1024)
    )

    assert heard.target == "b/large"
    assert heard.spent


async def test_a_target_that_takes_too_long_is_cancelled_and_the_next_asked():
    slow = Waiting("a/small", GOOD[:2])
    with anyio.fail_after(5):
        heard = await ask(cascade(World(), slow, Upstream("b/large", GOOD), timeout=0.01))

    assert slow.cancelled
    assert heard.target == "b/large"
    assert heard.spent == [("a/small", "cascade", 8)]
    assert heard.verdicts["a/small"] == ("failed", "upstream_timeout")


async def test_the_deadline_of_all_tries_ends_it():
    world, large = World(), Upstream("b/large")
    heard = Heard()
    with anyio.fail_after(5), pytest.raises(UpstreamTimeout):
        await cascade(world, Waiting("a/small", GOOD[:2]), large, deadline=0.01)(question(), heard.send)

    assert not large.asked
    assert [cut.usage.total for cut in heard.of(CutShort)] == [8]
    assert heard.of(Started) == []


async def test_no_target_is_asked_after_the_deadline():
    world = World()

    def late() -> None:
        world.now += 700

    large = Upstream("b/large")
    with pytest.raises(UpstreamTimeout):
        await ask(cascade(world, Upstream("a/small", refuses(), before=late), large))

    assert not large.asked


async def test_three_steps_are_taken_in_order():
    heard = await ask(
        cascade(World(), Upstream("a/s", refuses()), Upstream("b/m", says("", reason="length")), Upstream("c/l", GOOD))
    )

    assert [(target, code) for target, code, _ in heard.tried] == [("a/s", "refusal"), ("b/m", "empty")]
    assert heard.target == "c/l"
    assert [target for target, _, _ in heard.spent] == ["a/s", "b/m"]


async def test_the_last_answer_goes_out_as_it_comes_whatever_it_says():
    seen: list[int] = []
    heard = Heard()
    large = Upstream("b/large", refuses())

    async def send(event):
        await heard.send(event)
        seen.append(len(heard.events))

    await cascade(World(), Upstream("a/small", refuses()), large)(question(), send)

    assert heard.target == "b/large"
    assert large.asked[0].dialect == "openai_chat"  # as it came, so that it may go out verbatim


async def test_the_last_target_is_tried_again_as_without_a_cascade():
    world = World()
    large = Upstream("b/large", UpstreamBroken("x"), GOOD)
    heard = await ask(cascade(world, Upstream("a/small", refuses()), large))

    assert heard.target == "b/large"
    assert len(large.asked) == 2
    assert len(world.slept) == 1
    assert heard.verdicts["a/small"][0] == "escalated"


async def test_a_small_target_that_is_spared_is_not_asked():
    world = World()
    world.condition("a/small").cool(world.now + 60)
    small = Upstream("a/small")
    heard = await ask(cascade(world, small, Upstream("b/large", GOOD)))

    assert not small.asked
    assert heard.target == "b/large"
    assert heard.verdicts["a/small"][0] == "spared"


async def test_a_small_target_that_fails_again_and_again_is_spared():
    world, small = World(), Upstream("a/small", refused(503))
    responder = cascade(world, small, Upstream("b/large", GOOD))
    for _ in range(7):
        assert (await ask(responder)).target == "b/large"

    assert len(small.asked) == 5


async def test_a_target_whose_answers_do_not_pass_is_well():
    world, small = World(), Upstream("a/small", refuses())
    responder = cascade(world, small, Upstream("b/large", GOOD))
    for _ in range(7):
        await ask(responder)

    assert len(small.asked) == 7
    assert world.condition("a/small").in_flight == 0


async def test_a_client_that_leaves_ends_the_target_and_what_it_used_is_told():
    slow, heard = Waiting("a/small", GOOD[:2]), Heard()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cascade(World(), slow, Upstream("b/large")), question(), heard.send)
        with anyio.fail_after(5):
            await slow.reached.wait()
        tasks.cancel_scope.cancel()

    assert slow.cancelled
    assert [cut.usage.total for cut in heard.of(CutShort)] == [8]


@pytest.mark.parametrize(
    "asked",
    [
        question(tools=(Foreign(dialect="openai_responses", raw={"type": "web_search"}),)),
        question(rest={"anthropic_messages": {"mcp_servers": [{"url": "https://mcp.example"}]}}),
        question(rest={"openai_responses": {"store": True}}),
        question(rest={"openai_responses": {"background": True}}),
    ],
)
async def test_a_call_that_leaves_something_behind_goes_to_one_target_alone(asked: Call):
    large = Upstream("b/large")
    heard = await ask(cascade(World(), Upstream("a/small", refuses()), large), asked)

    assert heard.target == "a/small"
    assert heard.verdicts["a/small"][1].startswith("asked alone: ")
    assert not large.asked


async def test_other_operations_are_routed_in_order():
    asked = msgspec.structs.replace(question(), operation="embed", content=None)
    heard = await ask(cascade(World(), Upstream("a/small", UpstreamBroken("x")), Upstream("b/large", GOOD)), asked)

    assert heard.target == "b/large"
    assert heard.of(Tried)
    assert heard.of(Spent) == []


async def test_what_only_the_small_target_cannot_express_is_asked_of_the_large_one():
    heard = await ask(cascade(World(), Upstream("a/small", UnsupportedParameter("seed")), Upstream("b/large", GOOD)))

    assert heard.target == "b/large"
    assert heard.verdicts["a/small"] == ("failed", "unsupported_parameter")


async def test_waiting_for_the_small_target_is_not_our_own_time():
    world = World()

    def slow() -> None:
        world.now += 3

    heard = await ask(cascade(world, Upstream("a/small", refuses(), before=slow), Upstream("b/large", GOOD)))

    assert heard.of(Started)[0].waited == 3
