"""However a schema's references and branches multiply, lowering and restoring take a bounded effort, and are done once."""

import pytest

from gateway.core.content import FunctionTool, Prompt
from gateway.core.errors import UnsupportedSchema
from gateway.pipeline.shaped_sent import sent
from gateway.schemas import limits
from gateway.schemas.lowering import anthropic, openai_strict, subset
from gateway.schemas.lowering.kept import Kept
from gateway.schemas.lowering.lowered import Lowered, _Restoring
from gateway.schemas.merging import merged


def chained(levels, link, end):
    definitions = {f"d{at}": link({"$ref": f"#/$defs/d{at + 1}"}) for at in range(levels)}
    return {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {**definitions, f"d{levels}": end},
    }


def tuples(levels, width):
    def link(ref):
        return {"type": "array", "prefixItems": [{**ref, "type": "array"}] * width}

    return chained(levels, link, {"type": "array", "items": {"type": "string"}})


@pytest.mark.parametrize(
    ("lower", "schema"),
    [(anthropic.lower, tuples(14, 2)), (openai_strict.lower, tuples(6, 5)), (anthropic.lower, tuples(6, 5))],
)
def test_references_that_multiply_are_refused(monkeypatch, lower, schema):
    limits.check(schema)
    seen = []
    monkeypatch.setattr(subset, "merged", lambda parts: seen.append(parts) or merged(parts))
    with pytest.raises(UnsupportedSchema, match="multiply"):
        lower(schema)
    assert len(seen) < 2_000


def test_long_texts_do_not_multiply():
    text = "x" * 100_000

    def link(ref):
        return {"type": "array", "prefixItems": [{**ref, "type": "array"}] * 2}

    with pytest.raises(UnsupportedSchema, match="multiply"):
        anthropic.lower(chained(9, link, {"type": "array", "items": {"type": "string", "description": text}}))


def test_a_long_way_of_references_is_refused():
    def link(ref):
        return {"type": "object", "properties": {"a": ref}}

    for lower in (anthropic.lower, openai_strict.lower):
        with pytest.raises(UnsupportedSchema):
            lower(chained(3_000, link, {"type": "string"}))


def test_an_ordinary_large_schema_is_lowered():
    closed = {"type": "object", "additionalProperties": False}
    parts = {f"p{n}": {"type": "string", "description": "what it is, in a sentence of words"} for n in range(100)}
    definitions = {f"d{n}": {**closed, "properties": parts, "required": [*parts]} for n in range(15)}
    schema = {
        **closed,
        "properties": {f"m{n}": {"$ref": f"#/$defs/d{n % 15}", "description": "one"} for n in range(200)},
        "required": ["m0"],
        "$defs": definitions,
    }
    assert len(anthropic.lower(schema).schema["$defs"]) == 15


def test_equal_elements_are_told_once():
    lowered = openai_strict.lower(
        {
            "type": "object",
            "properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}] * 400}},
            "required": ["a"],
        }
    )
    assert lowered.schema["properties"]["a"] == {
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }


def test_enums_that_are_merged_tell_one_from_true():
    assert merged([{"enum": [1, True, "a", {"b": 1}]}, {"enum": [1.0, "a", {"b": 1}, 2]}]) == {
        "enum": [1, "a", {"b": 1}]
    }


def test_the_places_of_a_document_are_gathered_once():
    branches = [
        {"type": "object", "properties": {"a": {"type": "string"}, f"k{n}": {"type": "string"}}, "required": ["a"]}
        for n in range(60)
    ]
    schema = {"type": "array", "items": {"anyOf": branches}}
    restoring = _Restoring(schema)
    gathered = []
    plain = restoring._all
    restoring._all = lambda schemas, seen: gathered.append(schemas) or plain(schemas, seen)
    assert restoring.whole([{"a": "x", "k1": None}] * 1_000) == [{"a": "x"}] * 1_000
    assert len(gathered) < 10


def test_what_was_lowered_is_kept_refusals_too():
    asked = []

    def lower(schema):
        asked.append(schema)
        if "not" in schema:
            raise UnsupportedSchema("No.")
        return Lowered(schema=schema, original=schema)

    kept = Kept(lower, most=2)
    for _ in range(2):
        assert kept({"type": "string"}).schema == {"type": "string"}
        with pytest.raises(UnsupportedSchema, match="No"):
            kept({"not": {}})
    assert len(asked) == 2
    # The order of members is part of what a model is told.
    kept({"properties": {"a": {}, "b": {}}})
    kept({"properties": {"b": {}, "a": {}}})
    assert (len(asked), len(kept)) == (4, 2)


def test_the_tools_of_a_call_share_a_budget(monkeypatch):
    tools = tuple(
        FunctionTool(name=f"t{n}", parameters={**tuples(6, 5), "title": f"n{n}"}, strict=True) for n in range(40)
    )
    walked = []
    plain = subset._lowered
    monkeypatch.setattr(subset, "_lowered", lambda *given: walked.append(given) or plain(*given))
    made = sent(Prompt(items=(), tools=tools), "openai", stream=False)
    assert not any(tool.strict for tool in made.prompt.tools)
    assert len(walked) <= 4
