"""Schemas from clients become grammars that admit only valid documents, or a clear refusal."""

import json

import pytest
from llguidance import LLMatcher, LLTokenizer

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.structured import compile_schema, enforced
from gateway.schemas.judge import compiled

pytestmark = pytest.mark.embedded

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["children"],
        },
    },
}
OPTIONAL_OBJECT = {
    "type": "object",
    "properties": {"at": {"anyOf": [{"type": "object", "properties": {"x": {"type": "number"}}}, {"type": "null"}]}},
}
COMBINED = {
    "allOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
    ],
}


def admits(schema, text):
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, compile_schema(schema))
    tokens = tokenizer.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        (PERSON, {"name": "Ada", "age": 36}),
        ({"type": "object"}, {"a": [1, {"b": None}], "c": "text"}),
        ({}, [True, 1.5, "x"]),
        (TREE, {"children": [{"children": []}, {"children": [{"children": []}]}]}),
        (OPTIONAL_OBJECT, {"at": {"x": 1.25}}),
        (OPTIONAL_OBJECT, {"at": None}),
        (COMBINED, {"a": "x", "b": "y"}),
        ({"enum": ["a", 5, None]}, 5),
        ({"type": "string", "format": "date"}, "2024-02-29"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 40}, ["x"] * 40),
        ({"type": "string", "minLength": 2000}, "x" * 2000),
        ({"type": "number", "minimum": 1e15}, 2e15),
    ],
)
def test_an_ordinary_document_is_admitted_and_valid(schema, document):
    text = json.dumps(document)
    if isinstance(document, float) and document > 1e12:
        text = str(int(document))

    assert admits(schema, text)
    assert compiled(schema).violations(text) == ()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PERSON, '{"name": "Ada", "age": -1}'),
        (PERSON, '{"name": "Ada"}'),
        (PERSON, '{"name": "Ada", "age": 36, "more": 1}'),
        (PERSON, '{\n\n\n"name": "Ada", "age": 36}'),
        ({"type": "string"}, json.dumps("x" * 1001)),
        ({"type": "number"}, "0.12345678901"),
        ({"type": "integer"}, "9" * 30),
        ({"type": "array", "items": {"type": "null"}}, json.dumps([None] * 33)),
        ({"type": "object"}, json.dumps({"k" * 40: 1})),
        ({}, "[[[[]]]]"),
    ],
)
def test_what_a_tiny_model_would_run_away_in_is_not_admitted(schema, text):
    assert not admits(schema, text)


def test_recursion_ends_at_a_depth():
    text = '{"children": []}'
    for _ in range(10):
        text = f'{{"children": [{text}]}}'

    assert not admits(TREE, text)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"not": {}}, "allows nothing"),
        ({"type": "object", "patternProperties": {"(?=a)b": {}}}, "look-around"),
        ({"$ref": "https://example.com/schema.json"}, "inside the schema"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "inside the schema"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "Unsatisfiable"),
        ({"type": "nonsense"}, "nonsense"),
        ({"enum": ["x" * 300_000]}, "bytes"),
    ],
)
def test_what_cannot_be_enforced_is_refused_with_the_reason(schema, said):
    with pytest.raises(UnsupportedSchema, match=said):
        compile_schema(schema)


def test_a_client_cannot_make_the_compiler_lenient():
    with pytest.raises(UnsupportedSchema):
        compile_schema({"not": {}, "x-guidance": {"lenient": True}})


def test_a_property_may_be_called_like_a_keyword():
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}, "x-guidance": {"type": "null"}}}

    assert admits(schema, '{"$ref": "a", "x-guidance": null}')


def test_depth_and_number_of_parts_have_limits():
    deep = {"type": "string"}
    for _ in range(40):
        deep = {"type": "array", "items": deep}
    wide = {"type": "object", "properties": {f"p{number}": {} for number in range(2100)}}

    with pytest.raises(UnsupportedSchema, match="levels"):
        compile_schema(deep)
    with pytest.raises(UnsupportedSchema, match="parts"):
        compile_schema(wide)


def test_listed_values_are_never_written_twice_where_they_have_to_differ():
    schema = {
        "type": "array",
        "items": {"enum": ["a", "b", "c", "d", "e"]},
        "uniqueItems": True,
        "minItems": 2,
        "maxItems": 3,
    }

    assert enforced(schema)[1] == ()
    assert admits(schema, '["a", "b"]')
    assert not admits(schema, '["a", "a"]')
    assert not admits(schema, '["a", "d"]')


def test_what_no_grammar_can_say_is_named_for_the_judge():
    strings = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}

    assert enforced(strings)[1] == ("uniqueItems",)
    assert enforced({"oneOf": [{"type": "integer"}, {"type": "number"}]})[1] == ("oneOf",)
    assert enforced({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "type": "object"})[1] == ()


@pytest.mark.parametrize(
    ("schema", "text", "other"),
    [
        ({"$defs": {"a": {"$anchor": "x", "type": "integer"}}, "$ref": "#x"}, "5", '"5"'),
        ({"$id": "http://e.x/", "$defs": {"a": {"$id": "b", "type": "integer"}}, "$ref": "b"}, "5", '"5"'),
        ({"enum": [1, 20], "minimum": 5}, "20", "1"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "null"}},
                "dependentRequired": {"a": ["b"]},
                "required": ["a"],
            },
            '{"a": null, "b": 1}',
            '{"a": null}',
        ),
        ({"type": "array", "contains": {"type": "integer"}, "maxItems": 2}, "[1]", "[]"),
        ({"type": "object", "propertyNames": {"enum": ["a"]}, "maxProperties": 1}, '{"a": 1}', '{"b": 1}'),
        ({"type": "string", "format": "iri"}, '"https://a.b/c"', '"nothing"'),
        (
            {
                "allOf": [{"$ref": "#/$defs/p"}],
                "$defs": {"p": {"properties": {"x": {"type": "null"}}, "type": "object"}},
                "unevaluatedProperties": False,
            },
            '{"x": null}',
            '{"y": 1}',
        ),
        (
            {
                "properties": {"n": {"$ref": "#"}, "v": {"type": "integer"}},
                "type": "object",
                "additionalProperties": False,
            },
            '{"n": {"v": 1}}',
            '{"n": {"w": 1}}',
        ),
    ],
)
def test_what_the_compiler_lacks_is_said_in_what_it_has(schema, text, other):
    assert compiled(schema).violations(text) == ()
    assert compiled(schema).violations(other)
    assert admits(schema, text)
    assert not admits(schema, other)


@pytest.mark.parametrize(
    ("pattern", "text", "other"),
    [
        ("^(?=.*[0-9])[a-z0-9]{4,8}$", "abcd", "abc"),
        ("^(?!ab(c|d)[)])[a-z]+(?<=x)$", "ab", "1"),
        (r"^\(\?=[(?=)]$", "(?==", "x"),
        (r"^(?:(?=a)|b)c$", "bc", "a"),
        (r"^([ab])\1$", "anything", None),
        (r"^(?<q>[ab])\k<q>$", "anything", None),
    ],
)
def test_what_a_pattern_looks_around_or_back_for_is_left_to_the_judge_and_the_rest_is_not(pattern, text, other):
    schema = {"type": "string", "pattern": pattern}

    assert enforced(schema)[1] == (() if pattern.startswith(r"^\(") else ("pattern",))
    assert admits(schema, json.dumps(text))
    assert other is None or not admits(schema, json.dumps(other))


NAMED = {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1}


@pytest.mark.parametrize(
    ("schema", "text", "other"),
    [
        ({**NAMED, "propertyNames": {"pattern": "^[A-Z]{3}$"}}, '{"ABC": 1}', '{"ABC": "word"}'),
        ({**NAMED, "propertyNames": {"pattern": "^[A-Z]{3}$"}, "maxProperties": 2}, '{"ABC": 1, "DEF": 2}', '{"abc": 1}'),
        ({**NAMED, "propertyNames": {"maxLength": 3}}, '{"abc": 1}', '{"abcd": 1}'),
        ({**NAMED, "propertyNames": {"maxLength": 3}}, '{"abc": 1}', '{"abc": true}'),
        ({**NAMED, "propertyNames": {"minLength": 1}}, '{"abc": 1}', '{"": 1}'),
        ({**NAMED, "propertyNames": {"minLength": 4, "maxLength": 4}}, '{"abcd": 1}', '{"abc": 1}'),
        ({**NAMED, "propertyNames": {"minLength": 50}}, json.dumps({"a" * 50: 1}), '{"abc": 1}'),
        ({**NAMED, "propertyNames": {"maxLength": 0}}, '{"": 1}', '{"a": 1}'),
        ({**NAMED, "propertyNames": {"enum": ["a", "b"]}}, '{"a": 1}', '{"a": "word"}'),
        ({**NAMED, "propertyNames": {"pattern": "^[a-z]+$"}, "required": ["x"]}, '{"x": 1}', '{"x": "word"}'),
        ({"propertyNames": {"pattern": "^[a-z]+$"}, "type": "object"}, '{"x": null}', '{"X": null}'),
    ],
)  # fmt: skip
def test_members_by_names_that_are_allowed_have_values_that_are(schema, text, other):
    assert "propertyNames" not in enforced(schema)[1]
    assert compiled(schema).violations(text) == ()
    assert compiled(schema).violations(other)
    assert admits(schema, text)
    assert not admits(schema, other)


@pytest.mark.parametrize(
    "schema",
    [
        {**NAMED, "propertyNames": {"format": "uuid"}},
        {**NAMED, "propertyNames": {"pattern": "^a", "maxLength": 3}},
        {**NAMED, "propertyNames": {"pattern": "^a"}, "properties": {"ab": {"type": "integer"}}, "minProperties": 2},
        {**NAMED, "propertyNames": {"maxLength": 3}, "patternProperties": {"^a": {"type": "integer"}}},
    ],
)
def test_names_that_no_grammar_can_say_are_left_to_the_judge_and_values_are_not(schema):
    assert "propertyNames" in enforced(schema)[1]
    assert admits(schema, '{"ab": 1, "ac": 1}')
    assert not admits(schema, '{"ab": "word"}')
