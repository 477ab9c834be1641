"""The embedded model under schemas, for real: in every dialect, streamed and whole, what has finished is valid, or there is a clear error."""

import json

import httpx2
import jsonschema
import pytest

from tests.faults.misforming_upstream import APIS, asking, heard_document, heard_stream
from tests.journeys.running_gateway import running

pytestmark = pytest.mark.embedded

CONFIG = """
providers: {local: {kind: embedded, context: 1024, parallel: 1, threads: 1}}
models: {small: local/smollm2-135m-instruct}
"""
SCHEMAS = (
    {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "n": {"type": "integer", "minimum": 3, "maximum": 99}}, "required": ["a", "n"]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    {"type": "string", "pattern": "^[a-c]{2,4}$"},
    {"type": "integer", "multipleOf": 7, "minimum": 7, "maximum": 70},
    {"anyOf": [{"const": 1}, {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"], "additionalProperties": False}]},
    {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}, "required": ["when"], "additionalProperties": False},
    {"type": "object", "not": {"required": ["x"]}, "properties": {"y": {"type": "boolean"}}, "required": ["y"], "additionalProperties": False},
)  # fmt: skip
CLEAR = {"invalid_output", "unsupported_schema"}


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory):
    async with running(tmp_path_factory.mktemp("embedded"), CONFIG) as gateway:
        yield gateway


async def ask(gateway, number, schema, **more):
    api, stream = tuple(APIS)[number % 3], number % 2 == 0
    limit = {"responses": "max_output_tokens"}.get(api, "max_tokens")
    body = {**asking(api, "small", stream=stream, schema=schema), limit: 60, "temperature": 1.0, **more}
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=60) as http:
        answer = await http.post(APIS[api], json=body)
    whole = stream and answer.status_code == 200
    return answer, heard_stream(api, answer.content) if whole else heard_document(
        api, answer.status_code, answer.content
    )


async def test_what_has_finished_is_valid(gateway):
    valid = 0
    for number, schema in enumerate(SCHEMAS):
        answer, heard = await ask(gateway, number, schema)
        if heard.error is not None:
            assert heard.error["code"] in CLEAR, heard.error
        elif heard.finished:
            jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
                json.loads(heard.texts[0])
            )
            assert answer.headers["x-switchgear-structured"].startswith("grammar")
            valid += 1

    assert valid >= 4


@pytest.mark.parametrize("number", [3, 0])
async def test_what_a_stop_sequence_has_cut_is_no_success(gateway, number):
    _, heard = await ask(gateway, number, SCHEMAS[0], stop=['"n"'])

    assert heard.error["code"] == "invalid_output"
    assert heard.error["violations"]
    assert heard.error["raw"].startswith("{"), heard.error


async def test_a_name_that_comes_twice_is_asked_for_again_and_then_a_clear_error(gateway):
    """No grammar knows which names it has admitted before: here it admits nothing but the one name, twice."""
    schema = {
        "type": "object",
        "propertyNames": {"pattern": "^a$"},
        "additionalProperties": {"const": 1},
        "minProperties": 2,
    }

    answer, heard = await ask(gateway, 3, {**schema, "maxProperties": 2})

    assert answer.status_code == 422
    assert heard.error["code"] == "invalid_output"
    assert heard.error["raw"] == '{"a": 1, "a": 1}'
    assert answer.headers["x-switchgear-structured"] == "grammar; repairs=1"


async def test_a_pattern_that_looks_around_is_judged_instead_of_refused(gateway):
    _, heard = await ask(gateway, 3, {"type": "string", "pattern": "^(?!b)[ab]{2}$"}, temperature=0)

    assert heard.finished or heard.error["code"] == "invalid_output"
    assert heard.error is None or set(heard.error["raw"]) <= set('"ab')
