"""A finished answer has the form that was asked for, or is an error that says what is wrong with it: whole answers and repairs."""

import msgspec
import pytest

from gateway.core.errors import InvalidOutput, UpstreamBroken, UpstreamRefused
from gateway.core.events import CutShort, Spent
from gateway.core.items import Message, Refusal
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from tests.unit.pipeline.shaping import (
    BAD,
    FORMAT,
    GOOD,
    SCHEMA,
    STRICT,
    Caller,
    Inner,
    answer,
    ask,
    call,
    called,
    said,
)

ASKED = {
    "chat": call(response_format=FORMAT),
    "responses": call(
        dialect=OPENAI_RESPONSES, text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}}
    ),
    "messages": call(dialect=ANTHROPIC_MESSAGES, output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    "messages, as it was": call(dialect=ANTHROPIC_MESSAGES, output_format={"type": "json_schema", "schema": SCHEMA}),
}


async def test_a_call_that_asks_for_no_form_passes_as_it_is():
    inner, asked = Inner(answer("anything")), call()
    caller = await ask(inner, asked)

    assert inner.asked == [asked]
    assert inner.asked[0] is asked
    assert caller.answer.started.structured == ""


@pytest.mark.parametrize("asked", list(ASKED.values()), ids=list(ASKED))
async def test_a_valid_answer_passes_and_says_how_it_was_made(asked):
    inner = Inner(answer(GOOD))
    caller = await ask(inner, asked)

    assert caller.text == GOOD
    assert caller.answer.started.structured == "native"
    assert (inner.asked[0].dialect, inner.asked[0].opened) == (asked.dialect, True)
    assert inner.asked[0].content.output == asked.content.output


@pytest.mark.parametrize(
    ("asked", "param"),
    list(zip(ASKED.values(), ["response_format", "text.format", "output_config.format", "output_format"], strict=True)),
    ids=list(ASKED),
)
async def test_an_invalid_answer_is_an_error_with_the_violations_and_the_text(asked, param):
    with pytest.raises(InvalidOutput) as caught:
        await ask(Inner(answer(BAD)), asked, repairs=0)

    error = caught.value
    assert (error.status, error.code, error.param, error.retryable) == (422, "invalid_output", param, False)
    assert any("people" in violation for violation in error.violations)
    assert (error.raw, error.structured) == (BAD, "native")


@pytest.mark.parametrize(
    "text",
    ["", "  ", "Paris", "null", "[]", '"x"', GOOD[:-1], f"{GOOD} {GOOD}", f"{GOOD}\n{{", '{"city": "P", "people": NaN}',
     '{"city": "P", "people": 1, "more": 1}', '{"city": "P", "city": "Q", "people": 1}', '{"city": "P", "people": -1}'],
)  # fmt: skip
async def test_whatever_is_not_of_the_form_is_an_error(text):
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(text)), call(response_format=FORMAT))


async def test_two_answers_in_one_are_an_error():
    for items in ([GOOD, GOOD], [said(GOOD, GOOD)], [said(GOOD[:9], GOOD[9:])]):
        with pytest.raises(InvalidOutput):
            await ask(Inner(answer(*items)), call(response_format=FORMAT), repairs=0)


@pytest.mark.parametrize("text", ["[]", "1", "null", "{", '{"a": 1} and more {', ""])
async def test_json_object_means_one_object(text):
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(text)), call(response_format={"type": "json_object"}))

    assert (await ask(Inner(answer('{"a": [1]}')), call(response_format={"type": "json_object"}))).text == '{"a": [1]}'


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal"])
async def test_an_answer_that_was_cut_short_is_told_as_such(reason):
    caller = await ask(Inner(answer(GOOD[:9], reason=reason)), call(response_format=FORMAT))

    assert (caller.text, caller.answer.finished.reason) == (GOOD[:9], reason)


async def test_a_pause_is_an_end_where_the_callers_api_has_no_pauses():
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer("so", reason="pause")), ASKED["chat"])

    assert (await ask(Inner(answer("so", reason="pause")), ASKED["messages"])).answer.finished.reason == "pause"


async def test_a_refusal_is_told_as_one():
    refused = Message(role="assistant", parts=(Refusal(text="I would rather not."),))
    caller = await ask(Inner(answer(refused)), call(response_format=FORMAT))

    assert caller.answer.items == (refused,)


async def test_a_text_beside_a_refusal_has_to_be_valid():
    both = Message(role="assistant", parts=(Refusal(text="No."), *said("But so.").parts))
    for reason in ("stop", "refusal"):
        with pytest.raises(InvalidOutput):
            await ask(Inner(answer(both, reason=reason)), call(response_format=FORMAT))


@pytest.mark.parametrize(
    "text", [f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```\n", f"Here you are:\n\n{GOOD}", f"{GOOD}\n\nAnything else?"]
)
async def test_the_one_document_in_a_text_is_found(text):
    caller = await ask(Inner(answer(text)), call(response_format=FORMAT), repairs=0)

    assert caller.text == GOOD
    assert caller.answer.items[0].parts[0].text == GOOD


@pytest.mark.parametrize(
    "text", [f"Either {GOOD} or {GOOD}", f"See [1]: {GOOD}", f"```json\n{GOOD}\n```\nor\n```json\n{GOOD}\n```"]
)
async def test_where_it_is_not_sure_which_document_is_meant_there_is_none(text):
    with pytest.raises(InvalidOutput):
        await ask(Inner(answer(text)), call(response_format=FORMAT), repairs=0)


async def test_an_invalid_answer_is_asked_for_again_with_what_was_wrong():
    inner = Inner(answer(BAD), answer(GOOD))
    caller = await ask(inner, call(response_format=FORMAT))

    assert caller.text == GOOD
    assert caller.answer.started.structured == "native; repairs=1"
    first, second = (asked.content for asked in inner.asked)
    assert second.items[:-1] == first.items
    told = second.items[-1].parts[0].text
    assert msgspec.json.encode(BAD).decode() in told
    assert "people" in told
    assert second.output == first.output


async def test_every_try_is_accounted_for():
    caller = await ask(Inner(answer(BAD), answer("so"), answer(GOOD)), call(response_format=FORMAT), repairs=2)

    spent = [event for event in caller.events if isinstance(event, Spent)]
    assert spent == [Spent(target="up/m", usage=Usage(input=5, output=7), why="repair")] * 2
    assert caller.answer.finished.usage == Usage(input=5, output=7)


@pytest.mark.parametrize("repairs", [0, 1, 3])
async def test_repairs_are_bounded(repairs):
    inner = Inner(answer(BAD))
    with pytest.raises(InvalidOutput) as caught:
        await ask(inner, call(response_format=FORMAT), repairs=repairs)

    assert len(inner.asked) == repairs + 1
    assert caught.value.structured == ("native" if not repairs else f"native; repairs={repairs}")


async def test_what_a_model_and_an_error_are_told_of_a_long_answer_is_bounded():
    inner = Inner(answer("é" * 20_000))
    with pytest.raises(InvalidOutput) as caught:
        await ask(inner, call(response_format=FORMAT), repairs=1, raw_bytes=101)

    assert caught.value.raw == "é" * 50
    assert len(inner.asked[1].content.items[-1].parts[0].text) < 20_000


async def test_no_repair_begins_after_the_time_of_a_target():
    times = iter([0.0, 61.0])
    inner = Inner(answer(BAD), answer(GOOD))
    with pytest.raises(InvalidOutput):
        await ask(inner, call(response_format=FORMAT), now=lambda: next(times))

    assert len(inner.asked) == 1


async def test_a_target_that_fails_in_a_repair_has_failed():
    with pytest.raises(UpstreamBroken):
        await ask(Inner(answer(BAD), UpstreamBroken("gone")), call(response_format=FORMAT))


async def test_strict_arguments_are_judged_and_asked_for_again():
    inner = Inner(answer(called(BAD)), answer(called(GOOD)))
    caller = await ask(inner, call(tools=STRICT))

    assert caller.answer.items[0].arguments == GOOD
    with pytest.raises(InvalidOutput) as caught:
        await ask(Inner(answer(called(BAD))), call(tools=STRICT))
    assert caught.value.violations[0].startswith("arguments of look_up: ")
    assert (caught.value.param, caught.value.raw) == ("tools", f"look_up({BAD})")


async def test_a_text_is_free_where_only_tools_are_strict():
    assert (await ask(Inner(answer("Paris, I think")), call(tools=STRICT))).text == "Paris, I think"


async def test_a_tool_that_was_not_offered_is_an_error():
    for asked in (call(tools=STRICT), call(response_format=FORMAT)):
        with pytest.raises(InvalidOutput, match="not offered"):
            await ask(Inner(answer(called(GOOD, name="other"))), asked)


async def test_a_call_of_a_tool_that_was_offered_stands_for_the_answer():
    caller = await ask(Inner(answer("Let me see.", called(GOOD))), call(tools=STRICT, response_format=FORMAT))

    assert caller.answer.items[1].arguments == GOOD


async def test_each_of_several_answers_is_judged():
    def number(item, at):
        return msgspec.structs.replace(item, rest={"openai_chat": {"$choice": at}})

    good = answer(said(GOOD), number(said(GOOD), 1))
    assert len((await ask(Inner(good), call(response_format=FORMAT, n=2))).answer.items) == 2
    with pytest.raises(InvalidOutput, match="choice 1"):
        await ask(Inner(answer(said(GOOD), number(said(BAD), 1))), call(response_format=FORMAT, n=2))
    cut = answer(said(GOOD), number(said("{"), 1), detail={"openai_chat": {"reasons": {"0": "stop", "1": "length"}}})
    assert len((await ask(Inner(cut), call(response_format=FORMAT, n=2))).answer.items) == 2


async def test_a_target_without_schemas_is_made_to_call_a_tool():
    inner = Inner(answer("Sure.", called(GOOD, name="place")))
    caller = await ask(inner, call(response_format=FORMAT), lost=("json_schema",))

    assert (caller.text, caller.answer.finished.reason, len(caller.answer.items)) == (GOOD, "stop", 1)
    assert (caller.answer.started.structured, caller.answer.started.emulated) == ("tool", ("json_schema",))
    prompt = inner.asked[0].content
    assert (prompt.output, prompt.tools[0].name, prompt.tools[0].parameters) == (None, "place", SCHEMA)
    assert prompt.tool_choice.names == ("place",)


@pytest.mark.parametrize("fields", [{}, {"tools": STRICT}, {"reasoning_effort": "high"}])
async def test_where_no_tool_can_stand_for_the_answer_it_is_asked_for_in_words(fields):
    inner = Inner(answer(f"Here:\n```json\n{GOOD}\n```"))
    caller = await ask(inner, call(response_format=FORMAT, **fields), lost=("json_schema",), tools=bool(fields))

    assert (caller.text, caller.answer.started.structured) == (GOOD, "prompt")
    prompt = inner.asked[0].content
    assert prompt.output is None
    assert '"minimum":0' in prompt.items[0].parts[0].text


async def test_json_objects_are_asked_for_in_words():
    caller = await ask(Inner(answer("{}")), call(response_format={"type": "json_object"}), lost=("json_object",))

    assert (caller.answer.started.structured, caller.answer.started.emulated) == ("prompt", ("json_object",))


async def test_a_target_that_refuses_the_form_is_asked_on_the_next_step():
    refusal = UpstreamRefused("Invalid schema: uniqueItems is not supported", upstream_status=400)
    inner = Inner(refusal, answer(called(GOOD, name="place")))
    caller = await ask(inner, call(response_format=FORMAT), own="vllm")

    assert (caller.text, caller.answer.started.structured) == (GOOD, "tool")


@pytest.mark.parametrize(
    "error",
    [UpstreamRefused("temperature is too high", upstream_status=400), UpstreamRefused("schema?", upstream_status=500)],
)
async def test_any_other_refusal_is_the_callers(error):
    inner = Inner(error)
    with pytest.raises(UpstreamRefused):
        await ask(inner, call(response_format=FORMAT))

    assert len(inner.asked) == 1


async def test_nothing_is_emulated_where_that_is_not_permitted():
    inner = Inner(answer(GOOD))
    await ask(inner, call(response_format=FORMAT), lost=("json_schema",), about={"shapes": False})

    assert inner.asked[0].content.output is not None


async def test_a_target_that_judges_by_itself_is_asked_again_as_well():
    judged = InvalidOutput("It is not valid.", violations=("$: so",), raw="so")
    inner = Inner(judged, answer(GOOD))
    assert (await ask(inner, call(response_format=FORMAT))).answer.started.structured == "native; repairs=1"
    assert '"so"' in inner.asked[1].content.items[-1].parts[0].text

    with pytest.raises(InvalidOutput) as caught:
        await ask(Inner(judged), call(response_format=FORMAT), repairs=0)
    assert (caught.value.violations, caught.value.raw, caught.value.structured) == (("$: so",), "so", "native")


async def test_what_a_target_used_that_broke_off_is_told_whoever_asks_next():
    caller = Caller()

    async def breaking(asked, send):
        del asked
        await send(answer(GOOD).started)
        await send(CutShort(usage=Usage(input=3)))
        raise UpstreamBroken("gone")

    with pytest.raises(UpstreamBroken):
        await ask(breaking, call(response_format=FORMAT), caller=caller)
    assert caller.events == [CutShort(usage=Usage(input=3))]
