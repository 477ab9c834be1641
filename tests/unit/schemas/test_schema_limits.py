"""A hostile schema is refused by a limit that is named, in little time; an ordinary one passes. Nothing is fetched."""

import time

import pytest

from gateway.core.errors import UnsupportedSchema
from gateway.schemas import limits
from gateway.schemas.limits import check


def doubled(keyword, times):
    parts = {"a0": {"type": "string"}}
    for number in range(1, times):
        parts[f"a{number}"] = {keyword: [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    return {"$defs": parts, "$ref": f"#/$defs/a{times - 1}"}


def nested(depth):
    schema = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def doubled_deeper(times):
    parts = {"a0": {"type": "string"}}
    for number in range(1, times):
        parts[f"a{number}"] = {"anyOf": [{"items": {"$ref": f"#/$defs/a{number - 1}"}} for _ in range(2)]}
    return {"$defs": parts, "$ref": f"#/$defs/a{times - 1}"}


HOSTILE = {
    "bytes": ({"const": "x" * limits.MAX_BYTES}, "bytes"),
    "depth": (nested(limits.MAX_DEPTH + 5), "nested"),
    "very deep": (nested(20_000), "nested"),
    "parts": ({"$defs": {str(n): {"type": "string"} for n in range(limits.MAX_PARTS + 1)}}, "parts"),
    "branches": ({"anyOf": [{"const": n} for n in range(limits.MAX_BRANCHES + 1)]}, "branches"),
    "properties": ({"properties": {str(n): {} for n in range(limits.MAX_PROPERTIES + 1)}}, "members"),
    "enum": ({"enum": list(range(limits.MAX_ENUM + 1))}, "values"),
    "pattern": ({"pattern": "a" * (limits.MAX_PATTERN + 1)}, "characters"),
    "patterns": (
        {"allOf": [{"patternProperties": {f"{n}{m}": {} for m in range(60)}} for n in range(10)]},
        "patterns",
    ),
    "allOf doubling": (doubled("allOf", 30), "multiply"),
    "anyOf doubling": (doubled("anyOf", 30), "multiply"),
    "doubling in depth": (doubled_deeper(30), "multiply"),
    "itself": ({"$ref": "#"}, "circle"),
    "each other": (
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        "circle",
    ),
    "remote": ({"$ref": "http://127.0.0.1:9/x.json"}, "nothing is fetched"),
    "file": ({"items": {"$ref": "file:///etc/passwd"}}, "nothing is fetched"),
    "relative": ({"$id": "http://example.com/a", "$ref": "b"}, "nothing is fetched"),
    "dynamic remote": ({"$dynamicRef": "http://127.0.0.1:9/x#a"}, "nothing is fetched"),
    "nowhere": ({"$ref": "#/$defs/none"}, "nowhere"),
    "no schema": ({"a": [1], "$ref": "#/a"}, "no schema"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_refused_and_the_limit_named(name):
    schema, limit = HOSTILE[name]
    began = time.process_time()

    with pytest.raises(UnsupportedSchema, match=limit):
        check(schema)

    assert time.process_time() - began < 1  # of the processor: a machine with other things to do is slower


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "http://example.com/root", "$defs": {"a": {"$id": "other", "type": "string"}}, "$ref": "other"},
        {"$defs": {"a": {"$anchor": "here", "type": "string"}}, "$ref": "#here"},
        {"$defs": {"a": {"$dynamicAnchor": "node"}}, "items": {"$dynamicRef": "#node"}},
        {
            "components": {"schemas": {"a/b": {"items": {"$ref": "#/components/schemas/a~1b"}}}},
            "$ref": "#/components/schemas/a~1b",
        },
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/$defs/a%20b", "$defs": {"a b": True}},
        {"const": {"$ref": "http://example.com/"}, "properties": {"$ref": {"type": "string"}}},
    ],
)
def test_references_inside_the_schema_are_followed(schema):
    assert check(schema).light


def test_a_list_that_refers_to_itself_costs_a_step_a_level_and_a_forked_one_doubles():
    plain = check({"properties": {"next": {"$ref": "#"}}}).outline
    forked = check({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}).outline

    assert plain.effort(20) <= 50
    assert forked.effort(20) > 2**20
    assert forked.effort(10_000) == forked.effort(100)


def test_a_schema_with_much_to_compile_is_not_light():
    assert not check({"pattern": "(a{100}){50}"}).light
    assert not check({"properties": {str(n): {"type": "string"} for n in range(500)}}).light


def test_references_that_lead_on_for_long_are_refused():
    def chained(steps):
        definitions = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(steps)}
        return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{steps}": {"type": "string"}}}

    check(chained(200))
    with pytest.raises(UnsupportedSchema, match="lead on"):
        check(chained(3_000))


@pytest.mark.parametrize("draft", ["https://example.com/meta", "http://json-schema.org/draft-03/schema#", "", 7])
def test_a_draft_that_is_not_known_is_refused(draft):
    with pytest.raises(UnsupportedSchema, match="draft"):
        check({"$schema": draft, "type": "string"})
