"""A text that arrives in pieces is stopped as soon as no continuation can make it valid, and never before."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.schemas.judge import compiled
from gateway.schemas.parsing import Prefix

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
PERSON = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["person", "pet"]},
        "age": {"type": "integer"},
        "friends": {"type": "array", "items": {"$ref": "#"}},
    },
    "additionalProperties": False,
}


def fed(text, *, schema=None, step=1):
    prefix = Prefix(schema)
    for at in range(0, len(text), step):
        if not prefix.feed(text[at : at + step]):
            return at + step
    return None if prefix.complete else -1


@given(value=JSON, ascii_only=st.booleans(), step=st.integers(1, 9))
def test_every_document_may_arrive_in_any_pieces(value, ascii_only, step):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1 if step % 2 else None)

    assert fed(text, step=step) is None


@given(text=st.text(alphabet='{}[]:,"\\u12de08 tfnalse', max_size=24), step=st.integers(1, 5))
def test_no_text_passes_that_the_judge_calls_no_document(text, step):
    valid = compiled({}).violations(text) == ()

    assert (fed(text, step=step) is None) == valid


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        ("{a", 2),
        ('{"a":1,"a"', 10),
        ('{"a" 1', 6),
        ("[1,]", 4),
        ("01", 2),
        ("1.e", 3),
        ("nul1", 4),
        ('"\\x', 3),
        ('"\\ud83da', 8),
        ('"\n', 2),
        ("{} x", 4),
        ("[" * 101, 101),
        ("Sure! Here", 1),
    ],
)
def test_a_text_is_stopped_at_the_first_character_that_cannot_be(text, stopped):
    assert fed(text) == stopped


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        ("[", 1),
        ('{"name"', 7),
        ('{"kind": "c', 11),
        ('{"kind": "per", ', 14),
        ('{"age": "', 9),
        ('{"friends": [{"age": t', 22),
    ],
)
def test_a_schema_stops_a_text_at_the_first_character_that_cannot_satisfy_it(text, stopped):
    assert fed(text, schema=PERSON) == stopped


def test_what_the_schema_allows_passes_with_escapes_in_names_and_values():
    text = '{"k\\u0069nd": "p\\u0065t", "friends": [{"friends": []}], "age": 3}'

    assert compiled(PERSON).violations(text) == ()
    assert fed(text, schema=PERSON) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/a",
            "type": "string",
            "definitions": {"a": {}},
        },
        {"type": ["integer", "null"]},
        {"patternProperties": {"^x": {}}, "additionalProperties": False, "type": ["object", "integer"]},
    ],
)
def test_what_a_schema_does_not_plainly_forbid_passes(schema):
    assert fed("5", schema=schema) is None
