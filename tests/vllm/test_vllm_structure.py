"""What is promised in form is kept in form by vLLM's own constraints, and an old way to ask is refused, never ignored."""

import json
import re

import jsonschema
import openai
import pytest

pytestmark = pytest.mark.vllm

ASK = [{"role": "user", "content": "Describe a fruit."}]
FRUIT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]{1,12}$"},
        "color": {"enum": ["red", "green", "yellow"]},
        "grams": {"type": "integer", "minimum": 1, "maximum": 999},
    },
    "required": ["name", "color", "grams"],
    "additionalProperties": False,
}
TOOL = {"name": "note_fruit", "description": "Note a fruit.", "parameters": FRUIT, "strict": True}


def test_a_json_schema_holds_streaming_and_not(gateway):
    client = gateway.openai()
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": FRUIT, "strict": True}}
    asked = {"model": "smol", "messages": ASK, "response_format": form, "max_tokens": 120}
    whole = client.chat.completions.create(**asked)
    chunks = client.chat.completions.create(**asked, stream=True)

    jsonschema.validate(json.loads(whole.choices[0].message.content), FRUIT)
    jsonschema.validate(json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks)), FRUIT)


def test_a_json_schema_holds_through_responses_and_messages(gateway):
    format_ = {"type": "json_schema", "name": "fruit", "schema": FRUIT, "strict": True}
    response = gateway.openai().responses.create(
        model="smol", input="Describe a fruit.", text={"format": format_}, max_output_tokens=120
    )
    message = gateway.anthropic().messages.create(
        model="smol",
        messages=ASK,
        max_tokens=120,
        output_config={"format": {"type": "json_schema", "schema": FRUIT}},
    )

    jsonschema.validate(json.loads(response.output_text), FRUIT)
    jsonschema.validate(json.loads(message.content[0].text), FRUIT)


@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        ({"choice": ["positive", "negative"]}, "positive|negative"),
        ({"regex": "[0-9]{3}-[0-9]{2}"}, "[0-9]{3}-[0-9]{2}"),
        ({"grammar": 'root ::= "yes" | "no"'}, "yes|no"),
        ({"json": {"enum": ["a", "b"]}}, '"a"|"b"'),
    ],
)
def test_structured_outputs_of_vllm_go_out_verbatim(gateway, constraint, pattern):
    answer = gateway.openai().chat.completions.create(
        model="smol", messages=ASK, max_tokens=20, extra_body={"structured_outputs": constraint}
    )

    assert re.fullmatch(pattern, answer.choices[0].message.content.strip())


def test_the_old_fields_are_refused_with_their_new_names(gateway):
    with pytest.raises(openai.BadRequestError, match="structured_outputs") as caught:
        gateway.openai().chat.completions.create(
            model="smol", messages=ASK, max_tokens=5, extra_body={"guided_choice": ["a"]}
        )

    assert caught.value.param == "guided_choice"


def test_arguments_of_a_required_strict_tool_are_valid(gateway):
    answer = gateway.openai().chat.completions.create(
        model="smol",
        messages=ASK,
        max_tokens=200,
        tools=[{"type": "function", "function": TOOL}],
        tool_choice={"type": "function", "function": {"name": "note_fruit"}},
    )

    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "note_fruit"
    jsonschema.validate(json.loads(call.function.arguments), FRUIT)


def test_a_required_tool_is_called_through_messages(gateway):
    tool = {"name": "note_fruit", "description": "Note a fruit.", "input_schema": FRUIT, "strict": True}
    answer = gateway.anthropic().messages.create(
        model="smol", messages=ASK, max_tokens=200, tools=[tool], tool_choice={"type": "tool", "name": "note_fruit"}
    )

    (block,) = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    jsonschema.validate(block.input, FRUIT)


def test_what_vllm_does_not_know_of_a_schema_is_checked_afterwards(gateway):
    """`uniqueItems` is left out of what is sent. `multipleOf` goes, and where vLLM has no grammar for it, the answer comes by another step."""
    schema = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 2, "uniqueItems": True},
            "grams": {"type": "integer", "minimum": 1, "maximum": 99, "multipleOf": 2},
        },
        "required": ["tags", "grams"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": schema, "strict": True}}
    ends = []
    for seed in range(6):
        try:
            raw = gateway.openai().chat.completions.with_raw_response.create(
                model="smol", messages=ASK, response_format=form, max_tokens=120, seed=seed, temperature=1.0
            )
        except openai.UnprocessableEntityError as error:
            ends.append(error.body["code"])
            continue
        choice = raw.parse().choices[0]
        assert raw.headers["x-switchgear-structured"].partition(";")[0] in ("vllm", "tool", "prompt")
        if choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), schema)

    assert set(ends) <= {"invalid_output"}


def test_strict_arguments_are_judged_in_a_stream(gateway):
    chunks = gateway.openai().chat.completions.create(
        model="smol",
        messages=ASK,
        max_tokens=200,
        stream=True,
        tools=[{"type": "function", "function": TOOL}],
        tool_choice={"type": "function", "function": {"name": "note_fruit"}},
    )

    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    jsonschema.validate(json.loads("".join(call.function.arguments or "" for call in calls)), FRUIT)
