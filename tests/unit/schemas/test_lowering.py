"""What a provider's strict mode cannot say is named or refused; what it was made to say is undone in the answer."""

import msgspec
import pytest

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.judge import compiled
from gateway.schemas.keywords import children
from gateway.schemas.lowering import anthropic, openai_strict, vllm

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
        "count": {"type": "integer", "minimum": 1, "default": 1},
        "note": {"type": ["string", "null"], "description": "free text"},
        "size": {"enum": ["s", "m"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 2, "uniqueItems": True},
    },
    "required": ["id", "lines"],
    "$defs": {
        "line": {
            "allOf": [
                {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
                {"properties": {"price": {"type": "number", "multipleOf": 0.5}}},
            ]
        }
    },
}
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}},
    "required": ["name"],
}


def parts(schema):
    yield schema
    for child in children(schema):
        yield from parts(child)


def test_openai_gets_closed_objects_with_every_member_required_and_names_what_it_lost():
    lowered = openai_strict.lower(ORDER)

    for part in parts(lowered.schema):
        assert not part.keys() & {"default", "$schema", "minLength", "allOf", "uniqueItems", "oneOf"}
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert set(part["required"]) == set(part["properties"])
    assert lowered.loosened == ("$.id: minLength", "$.lines: uniqueItems")
    assert lowered.schema["properties"]["lines"]["minItems"] == 2


def test_nulls_that_stand_for_absent_members_are_taken_out_and_others_stay():
    lowered = openai_strict.lower(ORDER)
    answer = {"id": "AB", "count": None, "note": None, "size": None, "lines": [{"sku": "a", "price": None}]}

    restored = lowered.restore(answer)

    assert restored == {"id": "AB", "note": None, "lines": [{"sku": "a"}]}
    assert lowered.restores


def test_recursion_goes_to_openai_and_comes_back_without_nulls_at_every_depth():
    lowered = openai_strict.lower(TREE)
    answer = {"name": "a", "next": {"name": "b", "next": None}}

    assert compiled(lowered.schema).judge(answer) == ()
    assert lowered.restore(answer) == {"name": "a", "next": {"name": "b"}}
    with pytest.raises(UnsupportedSchema, match="recursion"):
        anthropic.lower(TREE)


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "integer"}}, {"anyOf": [{"type": "string"}, {"type": "null"}]}]
)
def test_openai_takes_objects_only_so_that_another_answer_is_wrapped(schema):
    lowered = openai_strict.lower(schema)

    assert lowered.schema["type"] == "object"
    assert lowered.restore({"value": [1]}) == [1]
    assert lowered.restores


def test_an_answer_without_its_wrapping_is_judged_as_the_model_said_it():
    """Else the caller reads that null is no string, which nobody said."""
    schema = {"type": "string"}
    answer = openai_strict.lower(schema).restore({})

    assert [str(one) for one in compiled(schema).judge(answer)] == ['$: {} is not of type "string"']


def test_anthropic_keeps_members_optional_and_loses_bounds():
    lowered = anthropic.lower(ORDER)

    assert lowered.schema["required"] == ["id", "lines"]
    assert {"$.count: minimum", "$.id: minLength", "$.lines: minItems", "$<line>.price: multipleOf"} <= set(
        lowered.loosened
    )
    assert not lowered.restores


def test_vllm_gets_nearly_everything_and_never_what_it_refuses():
    lowered = vllm.lower(ORDER)

    assert "uniqueItems" not in msgspec.json.encode(lowered.schema).decode()
    assert lowered.schema["properties"]["id"] == ORDER["properties"]["id"]
    assert "$.lines: uniqueItems" in lowered.loosened
    assert any(name.endswith(": multipleOf") for name in lowered.loosened)


@pytest.mark.parametrize("lower", [openai_strict.lower, anthropic.lower])
@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "object"}, "without named members"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "without named members"),
        ({"type": "object", "properties": {"a": True}, "required": ["a"]}, "anything"),
        ({}, "anything"),
        ({"type": "array"}, "array of anything"),
        ({"enum": [{"a": 1}]}, "enum"),
        ({"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a"}}}, "dynamicRef"),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
                    {"properties": {"b": {"type": "string"}}},
                ]
            },
            "allOf",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(lower, schema, what):
    with pytest.raises(UnsupportedSchema, match=what):
        lower(schema)


@pytest.mark.parametrize(
    ("schema", "lost"),
    [
        ({"type": "string", "pattern": "^(?!x)"}, "$: pattern"),
        ({"type": "string", "format": "iri"}, "$: format"),
        ({"type": "integer", "not": {"const": 5}}, "$: not"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "$: oneOf"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "minProperties": 1}, "$: minProperties"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, "$: prefixItems"),
    ],
)
def test_what_only_loosens_is_left_out_and_named(schema, lost):
    assert lost in openai_strict.lower(schema).loosened
    assert lost in anthropic.lower(schema).loosened
