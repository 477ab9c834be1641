"""A form that is malformed, unknown or one of two is refused by name; completions are held to theirs."""

import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import InvalidOutput, InvalidRequest
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline.shaped_forms import refuse_unclear
from gateway.pipeline.shaped_wish import schemas_of
from tests.unit.pipeline.shaping import BAD, FORMAT, GOOD, SCHEMA, Inner, answer, ask, call


def body(dialect="openai_chat", **fields):
    return Call(
        id="call_1", operation="generate", dialect=dialect, model="m", stream=False, caller=ANONYMOUS, received=0.0, body=b"{}",
        fields={"model": "m", **fields}, content=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "jsonschema"}}, "response_format.type"),
        ({"response_format": {"json_schema": {}}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": "x"}}}, "response_format.json_schema"),
        ({"response_format": "json"}, "response_format"),
        ({"guided_json": SCHEMA}, "guided_json"),
        ({"guided_choice": ["a"]}, "guided_choice"),
        ({"structured_outputs": "json"}, "structured_outputs"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"jsn": SCHEMA}}, "structured_outputs"),
        ({"structured_outputs": {"json": SCHEMA, "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": []}}, "structured_outputs.json"),
        ({"structured_outputs": {"json_object": 1}}, "structured_outputs.json_object"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": [1]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"regex": 1}}, "structured_outputs.regex"),
        ({"structured_outputs": {"choice": ["a"]}, "response_format": FORMAT}, "structured_outputs"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(fields, param):
    for dialect in ("openai_chat", "openai_completions"):
        with pytest.raises(InvalidRequest) as raised:
            refuse_unclear(body(dialect, **fields))
        assert raised.value.param == param


def test_what_is_expected_is_said():
    with pytest.raises(InvalidRequest, match=r"`structured_outputs\.choice` must be a list of texts, at least one"):
        refuse_unclear(body(structured_outputs={"choice": []}))


def test_two_forms_are_refused_in_every_dialect():
    schema = {"type": "json_schema", "schema": SCHEMA}
    for dialect, fields in (
        ("openai_responses", {"text": {"format": schema}}),
        ("anthropic_messages", {"output_config": {"format": schema}}),
        ("anthropic_messages", {"output_format": schema}),
    ):
        with pytest.raises(InvalidRequest, match="leave one out"):
            refuse_unclear(body(dialect, structured_outputs={"regex": "a"}, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": None, "guided_json": None, "structured_outputs": None},
        {"response_format": {"type": "text"}, "structured_outputs": {"grammar": "root ::= 'a'"}},
        {"response_format": FORMAT},
        {"response_format": {"type": "structural_tag", "format": {}}},
        {"structured_outputs": {"json": '{"type": "object"}', "regex": None, "json_object": False}},
        {"structured_outputs": {"structural_tag": {"type": "x"}}},
    ],
)
def test_what_is_understood_passes(fields):
    for dialect in ("openai_chat", OPENAI_COMPLETIONS.name, OPENAI_RESPONSES.name, ANTHROPIC_MESSAGES.name):
        refuse_unclear(body(dialect, **fields))


def completion(**fields):
    asked = {"model": "m", "prompt": "hi", **fields}
    return Call(
        id="call_1", operation="generate", dialect=OPENAI_COMPLETIONS.name, model="m", stream=False, caller=ANONYMOUS, received=0.0,
        body=b"{}", fields=asked, content=OPENAI_COMPLETIONS.decode_call(asked),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param", "where"),
    [
        ({"response_format": FORMAT}, "response_format", "response_format.json_schema.schema"),
        ({"structured_outputs": {"json": SCHEMA}}, "structured_outputs", "structured_outputs.json"),
        ({"response_format": {"type": "json_object"}}, "response_format", None),
    ],
)
async def test_completions_are_held_to_their_form(fields, param, where):
    asked = completion(**fields)
    assert [path for path, _ in schemas_of(asked)] == ([where] if where else [])
    assert (await ask(Inner(answer(GOOD)), asked, own="vllm")).text == GOOD
    inner = Inner(answer("not " + BAD[:9]))
    with pytest.raises(InvalidOutput) as raised:
        await ask(inner, asked, own="vllm", repairs=2)
    assert (raised.value.param, len(inner.asked)) == (param, 1)


async def test_the_parameter_that_asked_is_told():
    asked = call(structured_outputs={"json": SCHEMA})
    with pytest.raises(InvalidOutput) as raised:
        await ask(Inner(answer(BAD)), asked, repairs=0)
    assert raised.value.param == "structured_outputs"
