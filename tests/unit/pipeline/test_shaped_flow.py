"""Of a streamed answer goes out what can still become valid; what cannot is asked for again before anything is out, and an error after that."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidOutput
from gateway.core.events import ArgumentsDelta, CutShort, Finished, ItemFinished, ReasoningDelta, Started, TextDelta
from gateway.core.items import Reasoning, ToolCall
from tests.unit.pipeline.shaping import BAD, FORMAT, GOOD, STRICT, Caller, Inner, answer, ask, call, called, said

ASKED = call(response_format=FORMAT, stream=True)


async def test_pieces_go_out_as_they_come():
    caller = await ask(Inner(answer(GOOD), size=3), ASKED)

    assert caller.text == GOOD
    assert len([event for event in caller.events if isinstance(event, TextDelta)]) == -(-len(GOOD) // 3)
    assert [type(event) for event in caller.events if isinstance(event, (Started, Finished))] == [Started, Finished]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_what_cannot_become_valid_is_asked_for_again_while_nothing_is_out(size):
    inner = Inner(answer("Paris has many."), answer(GOOD), size=size)
    caller = await ask(inner, ASKED)

    assert (caller.text, caller.answer.started.structured) == (GOOD, "native; repairs=1")
    assert len([event for event in caller.events if isinstance(event, Started)]) == 1


@pytest.mark.parametrize("bad", [BAD, GOOD[:-1], f"{GOOD}{{", '{"city": 1', '{"country": "F', f"{GOOD} so ["])
async def test_what_turns_out_invalid_after_it_began_ends_with_an_error(bad):
    caller = Caller()
    with pytest.raises(InvalidOutput) as caught:
        await ask(Inner(answer(bad), answer(GOOD), size=2), ASKED, caller=caller)

    assert caller.text
    assert not any(isinstance(event, (Finished, ItemFinished)) for event in caller.events)
    assert any(isinstance(event, CutShort) for event in caller.events)
    assert caught.value.raw.startswith("{")


async def test_an_answer_that_was_cut_short_ends_as_such():
    caller = await ask(Inner(answer(GOOD[:20], reason="length")), ASKED)

    assert (caller.text, caller.answer.finished.reason) == (GOOD[:20], "length")


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
@pytest.mark.parametrize("text", [f"```json\n{GOOD}\n```", f"Here:\n{GOOD}"])
async def test_what_stands_in_a_fence_is_found_at_the_end(text, size):
    caller = await ask(Inner(answer(text), size=size), ASKED, lost=("json_schema",), tools=False)

    assert (caller.text, caller.answer.items[0].parts[0].text) == (GOOD, GOOD)


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
@pytest.mark.parametrize(
    "step", [{}, {"own": "vllm"}, {"lost": ("json_schema",)}, {"lost": ("json_schema",), "tools": False}]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_model_writes_behind_its_document_is_left_out(size, step, stream):
    """In a stream as in a whole answer, on every step: where the document ends is known in both."""
    inner = Inner(answer(f"{GOOD}\n\nAnything else?"), size=size)
    caller = await ask(inner, call(response_format=FORMAT, stream=stream), repairs=0, **step)

    assert caller.text == GOOD
    assert caller.answer.items[0].parts[0].text == GOOD


@pytest.mark.parametrize("stream", [True, False])
async def test_what_stands_behind_the_arguments_that_are_the_answer_is_left_out(stream):
    inner = Inner(answer(called(f"{GOOD} I hope it helps.", name="place")))
    caller = await ask(inner, call(response_format=FORMAT, stream=stream), repairs=0, lost=("json_schema",))

    assert caller.text == GOOD


async def test_a_second_document_is_an_error():
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(f"{GOOD}\n{GOOD}")), ASKED, lost=("json_schema",), tools=False, repairs=0)


async def test_thinking_is_shown_at_once_where_the_form_is_sure_and_held_where_it_is_not():
    thought = Reasoning(text="Hm.")
    for step, shown in (({}, 2), ({"lost": ("json_schema",), "tools": False}, 1)):
        inner, caller = Inner(answer(thought, "Paris"), answer(thought, GOOD)), Caller()
        try:
            await ask(inner, ASKED, caller=caller, **step)
        except InvalidOutput:
            assert shown == 2
        assert any(isinstance(event, ReasoningDelta) for event in caller.events)
        assert len(inner.asked) == (1 if shown == 2 else 2)


async def test_the_arguments_of_a_tool_in_the_answers_stead_flow_as_its_text():
    caller = await ask(Inner(answer("Sure", called(GOOD, name="place")), size=5), ASKED, lost=("json_schema",))

    assert caller.text == GOOD
    assert len([event for event in caller.events if isinstance(event, TextDelta)]) > 3
    assert caller.answer.finished.reason == "stop"
    assert [type(item) for item in caller.answer.items] == [type(said("x"))]


async def test_strict_arguments_flow_while_they_can_still_be_valid():
    asked = call(tools=STRICT, stream=True)
    caller = await ask(Inner(answer("So:", called(GOOD)), size=3), asked)
    assert "".join(event.text for event in caller.events if isinstance(event, ArgumentsDelta)) == GOOD

    caller = Caller()
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(called(BAD)), size=3), asked, caller=caller)
    assert not any(isinstance(event, ItemFinished) for event in caller.events)


async def test_a_call_that_breaks_its_schema_is_never_told_as_complete_though_others_follow():
    bad, good = called('{"city": "P", "people": -1}'), called(GOOD)
    caller = Caller()
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(bad, good)), call(tools=STRICT, stream=True), caller=caller)

    assert not any(isinstance(event, ItemFinished) for event in caller.events)


async def test_a_call_to_a_tool_that_was_not_offered_is_asked_for_again():
    inner = Inner(answer(called("{}", name="other")), answer(called(GOOD)))
    caller = await ask(inner, call(tools=STRICT, stream=True))

    assert [item.arguments for item in caller.answer.items if isinstance(item, ToolCall)] == [GOOD]


async def test_a_text_before_a_call_is_passed_on():
    inner = Inner(answer("Let me see.", called(GOOD)))
    caller = await ask(inner, call(tools=STRICT, response_format=FORMAT, stream=True))

    assert caller.text == "Let me see."
    assert caller.answer.items[1].arguments == GOOD


@given(st.text(alphabet='{}[]",:ab1 \n`', max_size=30), st.integers(1, 9), st.sampled_from(["native", "prompt"]))
async def test_a_stream_says_what_a_document_would(text, size, step):
    """Whatever a target says: the pieces are the whole, and a finished answer is valid in both."""
    about = {"repairs": 0} if step == "native" else {"repairs": 0, "lost": ("json_object",)}
    got = []
    for stream in (True, False):
        caller = Caller()
        try:
            await ask(
                Inner(answer(text), size=size),
                call(response_format={"type": "json_object"}, stream=stream),
                caller=caller,
                **about,
            )
        except InvalidOutput:
            assert not any(isinstance(event, Finished) for event in caller.events)
            got.append(None)
        else:
            whole = "".join(part.text for item in caller.answer.items for part in item.parts)
            assert caller.text == whole
            assert isinstance(msgspec.json.decode(whole), dict)
            got.append(msgspec.json.decode(whole))
    # A stream that has begun cannot be mended; where it ends well, it says the same.
    assert got[0] in (None, got[1])
