"""A schema that keeps a compiler busy for ever is refused in time, and ordinary ones are compiled as before."""

import time

import msgspec
import pytest

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.compiling import Compiling

CLOSED = {"type": "object", "additionalProperties": False}


def forked(levels):
    """References with a keyword beside them: each level is written out twice as often as the one above it."""

    def part(at):
        inner = {"$ref": f"#/$defs/d{at + 1}", "type": "object"}
        return {**CLOSED, "properties": {"a": inner, "b": inner}}

    end = {**CLOSED, "properties": {"z": {"type": "string"}}}
    definitions = {f"d{at}": part(at) for at in range(1, levels)}
    return {**part(0), "$defs": {**definitions, f"d{levels}": end}}


def body(schema):
    return {"model": "m", "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}


@pytest.fixture
async def compiling():
    compiling = Compiling(deadline=0.7)
    yield compiling
    await compiling.aclose()


async def test_a_schema_that_unfolds_for_ever_is_refused_in_time_and_not_tried_again(compiling):
    await compiling.check(body(forked(2)))
    for _ in range(2):
        begun = time.perf_counter()
        with pytest.raises(UnsupportedSchema, match="cannot be compiled to a grammar within") as raised:
            await compiling.check(body(forked(24)))
        assert time.perf_counter() - begun < 15
        assert raised.value.param == "response_format"
    assert compiling.sent == 2
    await compiling.check(body(forked(3)))


async def test_what_is_hidden_in_text_or_in_tools_is_tried_too(compiling):
    for fields in (
        {"structured_outputs": {"json": msgspec.json.encode(forked(24)).decode()}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": forked(24)}}]},
    ):
        with pytest.raises(UnsupportedSchema):
            await compiling.check({"model": "m", **fields})


async def test_an_ordinary_schema_starts_no_process_and_what_is_malformed_is_left_to_who_reads_it(compiling):
    ordinary = {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["a"],
    }
    await compiling.check(body(ordinary))
    assert compiling.sent == 0
    await compiling.check({"structured_outputs": {"regex": "("}})
    assert compiling.sent == 1
