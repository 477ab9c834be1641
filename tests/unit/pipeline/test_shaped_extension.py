"""vLLM's `structured_outputs` at a target that does not know it: the form is asked for as the target can be, and judged; never passed on."""

import pytest

from gateway.core.errors import InvalidOutput, UnsupportedParameter
from gateway.core.events import Started
from tests.unit.pipeline.shaping import BAD, GOOD, SCHEMA, Inner, answer, ask, call
from tests.unit.pipeline.test_shaped_forms import completion


def words_of(asked):
    """All that a target is told, as one text."""
    return " ".join(part.text for item in asked.content.items for part in item.parts)


@pytest.mark.parametrize(
    ("extension", "kind", "schema"),
    [({"json": SCHEMA}, "json_schema", SCHEMA), ({"json_object": True}, "json_object", None)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_json_is_asked_for_as_every_other_target_knows_it(extension, kind, schema, stream):
    inner = Inner(answer(GOOD))
    caller = await ask(inner, call(structured_outputs=extension, stream=stream))

    (asked,) = inner.asked
    assert (asked.content.output.kind, asked.content.output.schema) == (kind, schema)
    assert "structured_outputs" not in str(asked.content.rest)
    assert (caller.text, caller.answer.started.structured) == (GOOD, "native")


async def test_json_goes_up_the_ladder_like_any_other_form():
    asked = call(structured_outputs={"json": SCHEMA})
    assert (
        await ask(Inner(answer(GOOD)), asked, lost=("json_schema",), tools=False)
    ).answer.started.structured == "prompt"

    with pytest.raises(InvalidOutput) as raised:
        await ask(Inner(answer(BAD)), asked)
    assert raised.value.param == "structured_outputs"


@pytest.mark.parametrize(
    ("extension", "told"), [({"choice": ["yes", "no"]}, '["yes","no"]'), ({"regex": "yes|no"}, "yes|no")]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_other_texts_are_asked_for_in_words_and_asked_for_again(extension, told, stream):
    inner = Inner(answer("Well, yes."), answer("yes\n"))
    caller = await ask(inner, call(structured_outputs=extension, stream=stream))

    started = caller.answer.started
    assert (caller.text, started.structured, started.emulated) == ("yes", "prompt; repairs=1", ("structured_outputs",))
    assert told in words_of(inner.asked[0])
    assert "structured_outputs" not in str(inner.asked[0].content.rest)
    with pytest.raises(InvalidOutput) as raised:
        await ask(Inner(answer("perhaps")), call(structured_outputs=extension, stream=stream))
    assert raised.value.param == "structured_outputs"


@pytest.mark.parametrize(
    ("asked", "about", "param"),
    [
        (call(structured_outputs={"grammar": "root ::= 'a'"}), {}, "structured_outputs.grammar"),
        (call(structured_outputs={"structural_tag": "x"}), {}, "structured_outputs.structural_tag"),
        (call(structured_outputs={"choice": ["a"]}), {"shapes": False}, "structured_outputs.choice"),
        (completion(structured_outputs={"regex": "a"}), {}, "structured_outputs.regex"),
    ],
)
async def test_what_the_target_cannot_be_held_to_is_refused_by_name(asked, about, param):
    inner = Inner(answer("a"))
    with pytest.raises(UnsupportedParameter) as raised:
        await ask(inner, asked, about=about)

    assert (raised.value.param, inner.asked) == (param, [])
    assert param in raised.value.message or "structured_outputs" in raised.value.message


@pytest.mark.parametrize("own", ["vllm", "grammar"])
@pytest.mark.parametrize("extension", [{"grammar": "root ::= 'a'"}, {"choice": ["a"]}, {"json": SCHEMA}])
async def test_who_decodes_by_a_grammar_is_asked_as_the_caller_asks(own, extension):
    inner = Inner(answer(GOOD if "json" in extension else "a"))
    caller = await ask(inner, call(structured_outputs=extension), own=own)

    assert inner.asked[0].content.rest["openai_chat"]["structured_outputs"] == extension
    assert [event.structured for event in caller.events if isinstance(event, Started)] == [own]
