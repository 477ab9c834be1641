"""What vLLM's structured_outputs ask for is enforced by a grammar and judged when it is finished, or refused by name."""

import pytest

from gateway.core.errors import InvalidOutput, InvalidRequest, UnsupportedParameter, UnsupportedSchema
from gateway.providers.embedded.generation import read_chat, read_text
from gateway.providers.embedded.promises import keep_arguments, read_promise
from gateway.providers.embedded.structured import admits, lark_grammar
from gateway.providers.embedded.tool_choice import read_tools
from gateway.schemas.worker import Judging

pytestmark = pytest.mark.embedded

LARK = """start: greeting " " name
greeting: "hello" | "bye"
name: /[A-Z][a-z]{1,8}/
"""
GBNF = """root ::= greeting " " name
greeting ::= "hello" | "bye"
name ::= [A-Z] [a-z]+
"""


@pytest.fixture
async def judging():
    judging = Judging()
    yield judging
    await judging.aclose()


def promised(**wanted):
    return read_promise({"structured_outputs": wanted})


KEPT = [
    ({"regex": r"[a-z]+@[a-z]+\.com/\d{2}"}, "a@b.com/12", "a@b.com/1"),
    ({"choice": ["positive", "negative", 'say "no"\n']}, 'say "no"\n', "positiv"),
    ({"grammar": LARK}, "hello Ada", "hello ada"),
    ({"grammar": GBNF}, "bye Grace", "bye"),
    ({"json": {"type": "integer", "minimum": 3}}, "5", "2"),
    ({"json": '{"type": "integer"}'}, "5", '"5"'),
    ({"json_object": True}, '{"a": 1}', "[1]"),
]


def test_what_is_not_taken_is_named_as_the_caller_wrote_it():
    with pytest.raises(UnsupportedParameter, match=r"^`structured_outputs\.whitespace_pattern` is not supported"):
        promised(regex="a", whitespace_pattern=" ")


@pytest.mark.parametrize(("wanted", "text", "_"), KEPT)
async def test_what_was_asked_for_is_derived_by_the_grammar_and_kept(judging, wanted, text, _):
    promise = promised(**wanted)

    await promise.keep(text, judging)

    assert admits(lark_grammar(promise.rules), text)


@pytest.mark.parametrize(("wanted", "_", "text"), KEPT)
async def test_what_was_not_asked_for_is_neither(judging, wanted, _, text):
    promise = promised(**wanted)

    with pytest.raises(InvalidOutput) as caught:
        await promise.keep(text, judging)

    assert caught.value.param == "structured_outputs"
    assert not admits(lark_grammar(promise.rules), text)


@pytest.mark.parametrize(
    ("wanted", "error", "param"),
    [
        ({}, InvalidRequest, "structured_outputs"),
        ({"regex": "a", "choice": ["a"]}, InvalidRequest, "structured_outputs"),
        ({"regex": "(?=a)b"}, UnsupportedSchema, "structured_outputs.regex"),
        ({"regex": "(a)\\1"}, UnsupportedSchema, "structured_outputs.regex"),
        ({"regex": "(((a{50}){50}){50}){50}"}, UnsupportedSchema, "structured_outputs.regex"),
        ({"regex": "["}, UnsupportedSchema, "structured_outputs.regex"),
        ({"regex": "a" * 2000}, InvalidRequest, "structured_outputs.regex"),
        ({"choice": []}, InvalidRequest, "structured_outputs.choice"),
        ({"choice": ["a", 5]}, InvalidRequest, "structured_outputs.choice"),
        ({"grammar": "start: nothing"}, UnsupportedSchema, "structured_outputs.grammar"),
        ({"grammar": "?? ::= ("}, UnsupportedSchema, "structured_outputs.grammar"),
        ({"grammar": " "}, InvalidRequest, "structured_outputs.grammar"),
        ({"json": "{"}, InvalidRequest, "structured_outputs.json"),
        ({"json": {"$ref": "http://127.0.0.1:9/"}}, UnsupportedSchema, "structured_outputs.json"),
        ({"regex": "a", "whitespace_pattern": " "}, UnsupportedParameter, "structured_outputs.whitespace_pattern"),
        ({"structural_tag": "{}"}, UnsupportedParameter, "structured_outputs.structural_tag"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(wanted, error, param):
    with pytest.raises(error) as caught:
        promised(**wanted)

    assert caught.value.param == param


def test_two_forms_of_the_same_wish_are_refused():
    with pytest.raises(InvalidRequest, match="both"):
        read_promise({"response_format": {"type": "json_object"}, "structured_outputs": {"choice": ["a"]}})


@pytest.mark.parametrize("read", [read_chat, read_text])
@pytest.mark.parametrize("name", ["guided_json", "guided_regex", "guided_choice", "guided_grammar"])
def test_the_older_names_are_refused_with_the_newer_one(read, name):
    body = {"messages": [{"role": "user", "content": "Hi"}]} if read is read_chat else {"prompt": "Hi"}

    with pytest.raises(UnsupportedParameter, match="structured_outputs") as caught:
        read({**body, name: "a"}, slots=1)

    assert caught.value.param == name


def test_completions_are_constrained_too():
    wanted = read_text({"prompt": "Hi", "structured_outputs": {"choice": ["yes", "no"]}}, slots=1, end=2)

    assert wanted.promise.choices == ("yes", "no")
    assert "end: <[2]>" in wanted.requests[0]["grammar"]


async def test_arguments_of_a_call_are_judged_by_the_tool_that_they_are_for(judging):
    parameters = {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}},
    }
    plan = read_tools({"tools": [{"type": "function", "function": {"name": "tag", "parameters": parameters}}]})

    await keep_arguments(plan, {0: ("tag", '{"tags": ["a", "b"]}')}, judging)

    with pytest.raises(InvalidOutput, match="non-unique"):
        await keep_arguments(plan, {0: ("tag", '{"tags": ["a", "a"]}')}, judging)
