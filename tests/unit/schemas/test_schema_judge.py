"""An answer is valid or its violations are named; whatever the text is, judging never raises, and fetches nothing."""

import json

import jsonschema
import pytest

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.judge import Judges, compiled

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "a/b": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_a_valid_document_has_no_violations():
    assert compiled(PERSON).violations('{"name": "Ada", "a/b": [1, 2]}') == ()


def test_a_violation_names_its_place_twice_and_its_keyword():
    (found,) = compiled(PERSON).violations('{"name": "Ada", "a/b": [1, "x"]}')

    assert (found.pointer, found.path, found.keyword) == ("/a~1b/1", "$.a/b[1]", "type")
    assert "integer" in str(found)


def test_there_are_no_more_violations_than_asked_for_and_none_is_long():
    judge = compiled({"type": "array", "items": {"type": "integer"}})

    found = judge.violations(json.dumps(["x" * 5000] * 50), limit=3)

    assert len(found) == 3
    assert max(len(violation.message) for violation in found) <= 300


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"name": "cut off',
        '{"name": "a", "name": "b"}',
        '{"name": "a", "\\u006eame": "b"}',
        "NaN",
        '{"name": Infinity}',
        '"\\ud800"',
        '"\ud800"',
        "1e999",
        "[" * 200 + "]" * 200,
        "[" * 100_000,
        '{"name": "a"} and more',
        "9" * 5000,
    ],
)
def test_what_two_readers_could_read_differently_is_a_violation(text):
    (found,) = compiled({}).violations(text)

    assert (found.keyword, found.path) == ("json", "$")


@pytest.mark.parametrize(
    ("form", "wrong"),
    [("date", "2024-02-31"), ("email", "nobody"), ("ipv4", "300.1.1.1"), ("uuid", "1"), ("date-time", "yesterday")],
)
def test_formats_are_asserted(form, wrong):
    (found,) = compiled({"type": "string", "format": form}).violations(json.dumps(wrong))

    assert found.keyword == "format"


def test_a_pattern_with_look_around_is_judged_within_bounds():
    judge = compiled({"pattern": "^(?!admin)[a-z]+$"})
    bomb = compiled({"pattern": "^(?=((a|a)+)+b)(a|a)+$"})

    assert judge.violations('"root"') == ()
    assert judge.violations('"admin"')[0].keyword == "pattern"
    assert bomb.violations(json.dumps("a" * 40 + "!")) != ()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"pattern": "("},
        {"pattern": "((a{100}){100}){100}"},
        {"$schema": "http://example.invalid/meta"},
        {"minLength": -1},
        {"properties": {"a": 5}},
    ],
)
def test_what_is_no_schema_is_refused_before_anything_is_judged(schema):
    with pytest.raises(UnsupportedSchema, match=r"not (usable|known)"):
        compiled(schema)


def test_other_drafts_are_honoured():
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}

    assert compiled(old).violations('["x"]')
    assert compiled({"prefixItems": [{"type": "integer"}]}).violations('["x"]')


@pytest.mark.parametrize("number", [n / 100 for n in range(0, 4000, 7)])
def test_a_multiple_is_one_for_the_receivers_validator_too(number):
    schema = {"multipleOf": 0.01}
    theirs = jsonschema.Draft202012Validator(schema).is_valid(number)

    assert (compiled(schema).judge(number) == ()) == theirs


def test_a_schema_is_compiled_once_whatever_the_order_of_its_keys():
    judges = Judges()

    assert judges.compiled({"type": "string", "maxLength": 5}) is judges.compiled({"maxLength": 5, "type": "string"})


def test_the_memory_of_schemas_is_bounded_in_number_and_bytes():
    few = Judges(most=3)
    small = Judges(most_bytes=400)
    for number in range(10):
        few.compiled({"const": number})
        small.compiled({"const": "x" * 100 + str(number)})

    assert len(few) == 3
    assert len(small) == 3
