"""A schema goes out as the target's strict mode takes it, what was loosened is checked afterwards, and the caller sees what was asked for."""

import json

import httpx2
import pytest

from tests.faults.misforming_upstream import APIS, Saying, asking, heard_document, heard_stream, misforming
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  openai: {{kind: openai, base_url: "{url}/v1", api_key: "env:KEY", apis: [chat]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:KEY"}}
  gpu: {{kind: vllm, base_url: "{url}/v1", load_interval: 0}}
  other: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
models:
  openai: {{targets: [openai_target], structured: {{repairs: 0}}}}
  messages: {{targets: [messages_target], structured: {{repairs: 0}}}}
  vllm: {{targets: [gpu_target], structured: {{repairs: 0}}}}
  other: {{targets: [other_target], structured: {{repairs: 0}}}}
"""
for provider in ("openai", "messages", "gpu", "other"):
    CONFIG = CONFIG.replace(f"{provider}_target", f"{{{{provider: {provider}, model: talker}}}}")
LAX = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "people": {"type": "integer", "minimum": 1},
    },
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture
async def world(tmp_path):
    async with (
        misforming() as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), environ={"KEY": "k"}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http,
    ):
        yield upstream, http


async def ask(world, model, text, *, api="chat", stream=False, tools=False, schema=LAX):
    upstream, http = world
    upstream.sayings = [Saying(calls=(("look_up", text),)) if tools else Saying(texts=(text,))]
    answer = await http.post(APIS[api], json=asking(api, model, stream=stream, schema=schema, tools=tools))
    if stream and answer.status_code == 200:
        return heard_stream(api, answer.content)
    return heard_document(api, answer.status_code, answer.content)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_members_that_may_be_absent_are_asked_for_as_null_and_left_out_again(world, api, stream):
    heard = await ask(world, "openai", '{"city": "Paris", "tags": null, "people": 5}', api=api, stream=stream)
    asked = world[0].asked[-1]["response_format"]["json_schema"]

    assert (asked["strict"], asked["schema"]["required"]) == (True, ["city", "tags", "people"])
    assert json.loads(heard.texts[0]) == {"city": "Paris", "people": 5}


async def test_a_stream_that_nobody_asked_to_be_strict_flows_by_the_schema_as_it_is(world):
    heard = await ask(world, "openai", '{"city": "Paris", "people": 5}', api="messages", stream=True)
    asked = world[0].asked[-1]["response_format"]["json_schema"]

    assert (asked.get("strict"), asked["schema"]) == (None, LAX)
    assert json.loads(heard.texts[0]) == {"city": "Paris", "people": 5}


@pytest.mark.parametrize("stream", [False, True])
async def test_arguments_of_strict_tools_are_restored_too(world, stream):
    heard = await ask(world, "openai", '{"city": "Paris", "tags": null, "people": null}', tools=True, stream=stream)

    assert world[0].asked[-1]["tools"][0]["function"]["parameters"]["required"] == ["city", "tags", "people"]
    assert json.loads(heard.calls[0]) == {"city": "Paris"}


@pytest.mark.parametrize(
    "text", ['{"city": "P", "tags": [], "people": 5}', '{"city": "Paris", "tags": ["a", "a"], "people": 5}']
)
@pytest.mark.parametrize("model", ["openai", "messages", "vllm", "other"])
async def test_what_was_loosened_is_checked(world, model, text):
    heard = await ask(world, model, text)

    assert heard.error["code"] == "invalid_output"
    assert heard.error["raw"] == text


async def test_an_answer_that_is_no_object_comes_out_of_its_wrapping(world):
    heard = await ask(world, "openai", '{"value": [1, 2]}', schema={"type": "array", "items": {"type": "integer"}})

    assert heard.texts == ("[1,2]",)


async def test_each_target_is_asked_in_its_own_strictness(world):
    upstream, _ = world
    for model in ("messages", "vllm", "other"):
        await ask(world, model, '{"city": "Paris"}')
    messages, vllm, other = upstream.asked

    assert "minLength" not in json.dumps(messages["output_config"]["format"]["schema"])
    assert "minimum" not in messages["output_config"]["format"]["schema"]["properties"]["people"]
    assert "uniqueItems" not in json.dumps(vllm["response_format"])
    assert vllm["response_format"]["json_schema"]["schema"]["properties"]["people"]["minimum"] == 1
    assert other["response_format"]["json_schema"]["schema"] == LAX


async def test_what_a_strict_mode_cannot_say_is_asked_for_in_another_way(world):
    tree = {
        "$defs": {"n": {"type": "object", "properties": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}},
        "$ref": "#/$defs/n",
    }
    for model in ("messages", "openai"):
        heard = await ask(world, model, '{"n": [{"n": []}]}', schema={**tree, "type": "object"})
        assert json.loads((heard.texts or heard.calls)[0]) == {"n": [{"n": []}]}

    messages, openai = world[0].asked
    assert "output_config" not in messages
    assert openai["response_format"]["type"] == "json_schema"
