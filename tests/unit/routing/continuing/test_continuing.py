"""A text that breaks off is gone on with by another target, as one answer; what cannot be gone on with is the caller's error."""

from collections.abc import Sequence
from itertools import pairwise

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.prefill import prefill_of
from gateway.config.provider_settings import AnthropicSettings, OpenAISettings, VllmSettings
from gateway.core.answer import AnswerBuilder
from gateway.core.call import opened
from gateway.core.content import FunctionTool, OutputFormat, Prompt, ReasoningOptions
from gateway.core.errors import InvalidRequest, UpstreamBroken, UpstreamRefused
from gateway.core.events import (
    ArgumentsDelta,
    Continued,
    CutShort,
    Decided,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Spent,
    Started,
    TextDelta,
)
from gateway.core.items import Message, Reasoning, Text, ToolCall
from gateway.core.usage import Usage
from gateway.routing.continuing.continuing import Continuing
from gateway.routing.continuing.thread import MOST_BYTES
from gateway.routing.fitness import Abilities
from tests.unit.routing.hedging.hedging_doubles import ONCE
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear

USER = Message(role="user", parts=(Text(text="Say it."),))
BROKEN = UpstreamBroken("in the middle")
CUT = CutShort(usage=Usage(input=5, output=2))
USED = Usage(input=9, output=4)
TURN, VLLM, NONE = Abilities(prefill="turn"), Abilities(prefill="vllm"), Abilities()


def prompt_of(**fields):
    return msgspec.structs.replace(call_of(messages=[]), content=Prompt(items=(USER,), **fields))


def begun(name, *texts):
    return [ItemStarted(index=0, item=Message(role="assistant", parts=(), id=name))] + [
        TextDelta(index=0, text=text) for text in texts
    ]


def whole(name, *texts, before=""):
    item = Message(role="assistant", parts=(Text(text="".join(texts)),), id=name)
    return [*begun(name, *texts), ItemFinished(index=0, item=item), Finished(usage=USED)]


def continuing(world, *targets, times=1, abilities: Sequence[Abilities] = (), **plan):
    routed = world.routed(*targets, retry=ONCE, **plan)
    for seat, ability in zip(routed.pool.seats, abilities or [TURN] * len(targets), strict=True):
        seat.abilities = ability
    return Continuing(routed, times, 600, opened)


def text_of(heard):
    return "".join(event.text for event in heard if isinstance(event, TextDelta))


def of(heard, kind):
    return [event for event in heard if isinstance(event, kind)]


def answer_of(heard):
    builder = AnswerBuilder()
    for event in heard:
        builder.add(event)
    return builder.answer()


async def fails(responder, call, error=UpstreamBroken):
    heard = []

    async def send(event):
        heard.append(event)

    with pytest.raises(error) as caught:
        await responder(call, send)
    return heard, caught.value


async def test_another_target_goes_on_and_it_is_one_answer():
    world = World()
    first = Upstream("a/m", [*begun("msg_a", "one", " two"), CUT, BROKEN])
    second = Upstream("b/m", whole("msg_b", " three", " four"))
    heard = await hear(continuing(world, first, second), prompt_of(max_output_tokens=100))

    assert text_of(heard) == "one two three four"
    assert [one.target for one in of(heard, Started)] == ["a/m"]
    assert {event.item.id for event in [*of(heard, ItemStarted), *of(heard, ItemFinished)]} == {"msg_a"}
    assert of(heard, Finished) == [Finished(usage=USED)]
    [item] = answer_of(heard).items
    assert item.parts == (Text(text="one two three four"),)
    assert of(heard, CutShort) == []
    assert of(heard, Spent) == [Spent(target="a/m", usage=CUT.usage, why="continuation")]
    [continued] = of(heard, Continued)
    assert continued.target == "b/m"
    assert {one.target: one.why for one in continued.decision.considered}["b/m"] == "went on where a/m broke off"
    [asked] = second.asked
    assert asked.content.items == (USER, Message(role="assistant", parts=(Text(text="one two"),)))
    assert asked.content.max_output_tokens == 99
    assert world.condition("b/m").continuations == {"finished": 1}
    assert [world.condition(name).failed for name in ("a/m", "b/m")] == [1, 0]
    assert [world.condition(name).in_flight for name in ("a/m", "b/m")] == [0, 0]


async def test_vllm_is_told_by_its_own_fields():
    first = Upstream("a/m", [*begun("msg_a", "one"), BROKEN])
    second = Upstream("b/m", whole("msg_b", " two"))
    call = prompt_of(rest={"openai_chat": {"min_p": 0.1}})
    await hear(continuing(World(), first, second, abilities=[NONE, VLLM]), call)

    [asked] = second.asked
    assert asked.content.rest == {
        "openai_chat": {"min_p": 0.1, "continue_final_message": True, "add_generation_prompt": False}
    }


async def test_the_same_target_goes_on_where_no_other_can():
    first = Upstream("a/m", [*begun("msg_a", "one"), BROKEN], whole("msg_b", " two"))
    other = Upstream("b/m")
    heard = await hear(continuing(World(), first, other, abilities=[TURN, NONE]), prompt_of())

    assert text_of(heard) == "one two"
    assert (len(first.asked), len(other.asked)) == (2, 0)


@pytest.mark.parametrize(
    ("said", "added", "text"),
    [
        ("one ", (" ", "two"), "one two"),
        ("one ", ("two",), "one two"),
        ("one\n\n", ("\n", "\ntwo"), "one\n\ntwo"),
        ("one\n\n", ("\n- two",), "one\n\n- two"),
        ("one \n", ("two",), "one \ntwo"),
        ("one", (" two",), "one two"),
        ("one ", (" two", " three"), "one two three"),
        (" ", ("one",), " one"),
    ],
)
async def test_white_space_at_the_break_is_neither_lost_nor_doubled(said, added, text):
    first = Upstream("a/m", [*begun("msg_a", said), BROKEN])
    second = Upstream("b/m", whole("msg_b", *added))
    heard = await hear(continuing(World(), first, second), prompt_of())

    assert text_of(heard) == text
    assert answer_of(heard).items[0].parts[0].text == text
    last = second.asked[0].content.items[-1]
    assert last == USER or last.parts[0].text == said.rstrip() != ""


@given(
    st.text("ab \n", min_size=1, max_size=12),
    st.integers(1, 12),
    st.lists(st.integers(0, 12), max_size=4),
    st.booleans(),
)
def test_wherever_a_text_breaks_and_however_it_comes_it_is_whole(text, broken_at, cuts, twice):
    """Who goes on is given the text without the white space at its end, and says all that follows."""
    said = text[:broken_at]
    added = text[len(said.rstrip()) :]
    places = sorted({0, len(added), *[cut for cut in cuts if cut < len(added)]})
    pieces = [added[start:end] for start, end in pairwise(places)]
    first = Upstream("a/m", [*begun("m", *said), BROKEN])
    behaviour = whole("n", *pieces)
    if twice and len(pieces) > 1:
        second = Upstream("b/m", [*begun("n", pieces[0]), BROKEN])
        so_far = (
            said + added[len(said) - len(said.rstrip()) :][: max(0, len(pieces[0]) - (len(said) - len(said.rstrip())))]
        )
        third = Upstream("c/m", whole("o", text[len(so_far.rstrip()) :]))
        targets = first, second, third
    else:
        targets = first, Upstream("b/m", behaviour)
    heard = anyio.run(hear, continuing(World(), *targets, times=2), prompt_of())

    assert text_of(heard) == text
    assert answer_of(heard).items[0].parts == (Text(text=text),)


async def test_tool_calls_that_follow_have_their_own_numbers_and_thinking_is_left_out():
    tool = ToolCall(call_id="c", name="f", arguments="{}", id="fc")
    second = Upstream(
        "b/m",
        [
            ItemStarted(index=0, item=Reasoning()), ReasoningDelta(index=0, text="hm"), ItemFinished(index=0, item=Reasoning(text="hm")),
            ItemStarted(index=1, item=Message(role="assistant", parts=(), id="msg_b")), TextDelta(index=1, text=" two"),
            ItemFinished(index=1, item=Message(role="assistant", parts=(Text(text=" two"),), id="msg_b")),
            ItemStarted(index=2, item=msgspec.structs.replace(tool, arguments="")), ArgumentsDelta(index=2, text="{}"),
            ItemFinished(index=2, item=tool), Finished(reason="tool_calls"),
        ],
    )  # fmt: skip
    first = Upstream("a/m", [*begun("msg_a", "one"), BROKEN])
    heard = await hear(continuing(World(), first, second), prompt_of(tools=(FunctionTool(name="f"),)))

    message, call = answer_of(heard).items
    assert (message.id, message.parts) == ("msg_a", (Text(text="one two"),))
    assert call == tool
    assert [event.index for event in of(heard, ItemStarted)] == [0, 1]


async def test_an_answer_that_goes_on_with_a_tool_call_alone_closes_the_text():
    tool = ToolCall(call_id="c", name="f", arguments="{}", id="fc")
    second = Upstream(
        "b/m", [ItemStarted(index=0, item=tool), ItemFinished(index=0, item=tool), Finished(reason="tool_calls")]
    )
    heard = await hear(continuing(World(), Upstream("a/m", [*begun("msg_a", "one"), BROKEN]), second), prompt_of())

    assert [type(event).__name__ for event in heard[-5:]] == [
        "Continued", "ItemFinished", "ItemStarted", "ItemFinished", "Finished",
    ]  # fmt: skip
    assert [item.id for item in answer_of(heard).items] == ["msg_a", "fc"]


async def test_it_may_break_off_twice():
    first = Upstream("a/m", [*begun("msg_a", "one"), CUT, BROKEN], whole("msg_c", " three"))
    second = Upstream("b/m", [*begun("msg_b", " two"), BROKEN])
    heard = await hear(continuing(World(), first, second, Upstream("c/m", whole("x", " three")), times=2), prompt_of())

    assert text_of(heard) == "one two three"
    assert [one.target for one in of(heard, Continued)] == ["b/m", "c/m"]
    assert [one.target for one in of(heard, Spent)] == ["a/m", "b/m"]
    assert of(heard, Spent)[1].usage.estimated


async def test_who_breaks_off_too_often_is_told():
    world = World()
    first = Upstream("a/m", [*begun("msg_a", "one"), CUT, BROKEN])
    second = Upstream("b/m", [*begun("msg_b", " two"), CutShort(usage=USED), UpstreamBroken("again")])
    heard, error = await fails(continuing(world, first, second, Upstream("c/m")), prompt_of())

    assert str(error) == "again"
    assert heard[-1] == CutShort(usage=USED)  # the answer's own; what the first used stands beside it
    assert len(of(heard, Spent)) == 1
    assert world.condition("b/m").continuations == {"broken": 1}


@pytest.mark.parametrize("refusal", [UpstreamBroken("down"), InvalidRequest("no prefill")])
async def test_who_does_not_begin_leaves_the_error_as_it_was(refusal):
    world = World()
    first = Upstream("a/m", [*begun("msg_a", "one"), CUT, BROKEN])
    heard, error = await fails(continuing(world, first, Upstream("b/m", refusal), times=1), prompt_of())

    assert error is BROKEN
    assert heard[-1] == CUT
    assert of(heard, Continued) == of(heard, Spent) == []
    assert world.condition("b/m").continuations == {"failed": 1}


async def test_the_next_is_asked_when_one_does_not_begin():
    first = Upstream("a/m", [*begun("msg_a", "one"), CUT, BROKEN])
    targets = first, Upstream("b/m", InvalidRequest("no prefill")), Upstream("c/m", whole("x", " two"))
    heard = await hear(continuing(World(), *targets, times=2), prompt_of())

    assert text_of(heard) == "one two"
    assert [one.target for one in of(heard, Spent)] == ["a/m"]


THOUGHT = [ItemStarted(index=0, item=Reasoning()), ReasoningDelta(index=0, text="hm")]
CALLED = [
    ItemStarted(index=0, item=ToolCall(call_id="c", name="f", arguments="")), ArgumentsDelta(index=0, text='{"a'),
]  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        THOUGHT,
        CALLED,
        [*begun("m", "one"), ItemStarted(index=1, item=Message(role="assistant", parts=()))],
        [*begun("m", "one"), RefusalDelta(index=0, text="no")],
        [*begun("m", "one"), TextDelta(index=0, part=1, text="two")],
        [*begun("m"), TextDelta(index=0, text="one", logprobs=({},))],
        whole("m", "one")[:-1],
        [*begun("m", "x" * MOST_BYTES, "y", "z")],
    ],
    ids=["thinking", "tool call", "two items", "refusal", "two parts", "logprobs", "finished item", "too long"],
)
async def test_what_is_no_single_text_is_not_gone_on_with(said):
    other = Upstream("b/m")
    heard, error = await fails(continuing(World(), Upstream("a/m", [*said, CUT, BROKEN]), other), prompt_of())

    assert error is BROKEN
    assert heard[-1] == CUT
    assert other.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        {"output": OutputFormat(kind="json_schema", schema={})},
        {"output": OutputFormat(kind="json_object")},
        {"logprobs": True},
        {"reasoning": ReasoningOptions(effort="low")},
        {"items": (USER, Message(role="assistant", parts=(Text(text="Sure: "),)))},
    ],
)
async def test_calls_whose_answer_a_beginning_would_break_are_left_alone(fields):
    other = Upstream("b/m")
    call = prompt_of()
    call = msgspec.structs.replace(call, content=msgspec.structs.replace(call.content, **fields))
    first = Upstream("a/m", [*begun("m", "one"), BROKEN])
    await fails(continuing(World(), first, other), call)

    assert other.asked == []
    assert first.asked[0].dialect == call.dialect  # it may go out as it came


@pytest.mark.parametrize("error", [InvalidRequest("x"), UpstreamRefused("x", upstream_status=401)])
async def test_only_a_fault_of_the_target_is_mended(error):
    other = Upstream("b/m")
    await fails(continuing(World(), Upstream("a/m", [*begun("m", "one"), error]), other), prompt_of(), type(error))

    assert other.asked == []


async def test_targets_that_cannot_are_not_asked():
    other = Upstream("b/m")
    await fails(
        continuing(World(), Upstream("a/m", [*begun("m", "one"), BROKEN]), other, abilities=[NONE, NONE]), prompt_of()
    )

    assert other.asked == []


async def test_nobody_is_asked_after_the_deadline():
    world = World()
    late = Upstream("a/m", [*begun("m", "one"), BROKEN], before=lambda: setattr(world, "now", world.now + 601))
    other = Upstream("b/m")
    await fails(continuing(world, late, other), prompt_of())

    assert other.asked == []


async def test_an_answer_that_ends_well_is_as_it_was():
    answer = whole("msg_a", "one", " two")
    heard = await hear(continuing(World(), Upstream("a/m", answer)), prompt_of())

    assert [event for event in heard if not isinstance(event, (Started, Decided))] == answer


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-3-5-sonnet-20241022", True), ("claude-3-haiku-20240307", True), ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1-20250805", True), ("claude-haiku-4-5", True), ("claude-sonnet-4-5@20250929", True),
        ("claude-opus-4-6", False), ("claude-sonnet-4-6", False), ("claude-sonnet-5", False), ("claude-fable-5-1", False),
        ("something-else", False),
    ],
)  # fmt: skip
def test_claude_takes_a_beginning_up_to_its_version_4_5(model, takes):
    provider = AnthropicSettings()

    assert prefill_of(provider, model, written=None) == ("turn" if takes else None)
    assert prefill_of(provider, model, written=not takes) == (None if takes else "turn")


def test_vllm_takes_a_beginning_and_others_when_it_is_said():
    vllm, hosted = VllmSettings(base_url="http://10.0.0.1/v1"), OpenAISettings(kind="openai")

    assert prefill_of(vllm, "m", written=None) == prefill_of(vllm, "m", written=True) == "vllm"
    assert prefill_of(vllm, "m", written=False) is None
    assert prefill_of(hosted, "m", written=None) is None
    assert prefill_of(hosted, "m", written=True) == "turn"
