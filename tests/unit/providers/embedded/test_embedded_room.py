"""Counts beyond what an answer could ever hold are refused at once, by their names, or lowered where they are maxima."""

import time

import pytest

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.rehearsal import Rehearsal
from gateway.providers.embedded.room import fitting
from gateway.providers.embedded.structured import compile_schema, enforced, lark_grammar

pytestmark = pytest.mark.embedded

INTEGER = {"type": "integer"}
ROOM = 2_048


def counted(number, items=INTEGER):
    return {"type": "array", "items": items, "minItems": number}


def nested(number, levels):
    schema = INTEGER
    for _ in range(levels):
        schema = counted(number, schema)
    return schema


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        (counted(10**8), "minItems"),
        ({"$defs": {"a": INTEGER}, **counted(2 * 10**7, {"$ref": "#/$defs/a"})}, "minItems"),
        ({"$defs": {"a": {"type": "array"}}, "$ref": "#/$defs/a", "minItems": 10**8}, "minItems"),
        ({"minItems": 1e8}, "minItems"),
        (nested(1000, 2), "minItems"),
        (nested(3, 20), "minItems"),
        (counted(100, {"type": "string", "minLength": 1000}), "minItems"),
        ({"anyOf": [{"type": "null"}, counted(10**8)]}, "minItems"),
        ({"type": "object", "properties": {"a": counted(10**8)}}, "minItems"),
        ({"type": "array", "prefixItems": [counted(2000)] * 2, "minItems": 2}, "minItems"),
        ({"type": "array", "uniqueItems": True, "minItems": 10**8}, "minItems"),
        ({"type": "array", "contains": {"const": 1}, "minContains": 10**8}, "minItems"),
        ({"type": "string", "minLength": 10**9}, "minLength"),
        ({"type": "object", "minProperties": 10**8}, "minProperties"),
        ({"type": "object", "additionalProperties": INTEGER, "minProperties": 10**8}, "minProperties"),
        ({"type": "object", "properties": {n: counted(1500) for n in "ab"}, "required": ["a", "b"]}, "required"),
        ({"const": "x" * 100_000}, "enum"),
    ],
)
def test_what_no_answer_has_room_for_is_refused_at_once_by_its_name(schema, keyword):
    begun = time.process_time()
    with pytest.raises(UnsupportedSchema, match=f"'{keyword}' asks for at least .* room for 2,048") as raised:
        enforced(schema, room=ROOM)

    assert time.process_time() - begun < 1, raised.value.message


@pytest.mark.parametrize(
    "schema",
    [
        counted(1500),
        nested(2, 8),
        {"type": "string", "minLength": 20_000},
        {"anyOf": [counted(1500), {"type": "null"}]},
        {"$defs": {"n": counted(2, {"anyOf": [{"$ref": "#/$defs/n"}, INTEGER]})}, "$ref": "#/$defs/n"},
    ],
)
def test_what_fits_is_compiled(schema):
    assert Rehearsal().fault(compile_schema(schema, room=ROOM)) == ""


def test_a_maximum_beyond_the_room_is_lowered_to_it_and_no_other_is():
    schema = {
        "type": "array",
        "minItems": 3,
        "maxItems": 10**9,
        "items": {"type": "string", "minLength": 5, "maxLength": 10**12},
    }
    small = {"type": "array", "items": INTEGER, "maxItems": 7}

    assert fitting(schema, ROOM) == {**schema, "maxItems": ROOM, "items": {**schema["items"], "maxLength": 16 * ROOM}}
    assert fitting(small, ROOM) == small


def test_the_engine_says_itself_what_it_would_not_decode_by():
    rehearsal = Rehearsal()

    assert rehearsal.fault('%llguidance {}\nstart: "a" | "b"') == ""
    # Which the checking compiler takes without a word, being of another version.
    assert "grammar size" in rehearsal.fault(lark_grammar('answer: %json {"type": "array", "maxItems": 1000000}'))
