"""Official clients that ask for structured output get objects, or an error that says why not, whoever answers."""

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from gateway.core.usage import Usage
from tests.faults.misforming_upstream import GOOD, SCHEMA, Saying, asking, misforming
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  both: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, responses]}}
  gpu: {{kind: vllm, base_url: "{url}/v1", load_interval: 0}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:KEY"}}
models:
  chat: chat/talker
  gpu: gpu/talker
  both: both/talker
  messages: messages/talker
  tool: {{targets: [{{provider: chat, model: talker, abilities: {{json_schema: false}}}}]}}
  free: {{targets: [{{provider: chat, model: talker}}], structured: {{mode: "off"}}}}
  patient: {{targets: [{{provider: chat, model: talker}}], structured: {{repairs: 3, raw_bytes: 20}}}}
  refusing: {{targets: [{{provider: chat, model: talker, abilities: {{json_schema: false}}}}], structured: {{emulate: false}}}}
  two: {{targets: [{{provider: chat, model: talker}}, {{provider: messages, model: talker}}], structured: {{repairs: 0}}}}
  sorted: {{targets: [{{provider: chat, model: talker, abilities: {{json_schema: false}}}}, {{provider: messages, model: talker}}]}}
  ready: {{targets: [{{provider: chat, model: talker}}], structured: {{repairs: 0}}, routing: {{degrade: [{{static: Come back later.}}]}}}}
"""
BAD = '{"city": "Paris", "people": "many"}'
PLACE = '{"city": "Paris", "people": 2100000}'


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture
async def world(tmp_path):
    async with (
        misforming() as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), environ={"KEY": "k"}) as gateway,
    ):
        yield upstream, gateway


@pytest.fixture
async def client(world):
    async with openai.AsyncOpenAI(api_key="none", base_url=f"{world[1].url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(world):
    async with anthropic.AsyncAnthropic(api_key="none", base_url=world[1].url, max_retries=0) as client:
        yield client


def user(text="Where?"):
    return [{"role": "user", "content": text}]


def says(world, *texts):
    world[0].sayings = [Saying(texts=(text,)) for text in texts]


@pytest.mark.parametrize("model", ["chat", "both", "messages", "tool"])
async def test_openai_parses_chat_completions(world, client, model):
    says(world, PLACE)
    answer = await client.chat.completions.parse(model=model, messages=user(), response_format=Place)
    async with client.chat.completions.stream(model=model, messages=user(), response_format=Place) as stream:
        async for _ in stream:
            pass
        streamed = await stream.get_final_completion()

    assert answer.choices[0].message.parsed == streamed.choices[0].message.parsed == Place(city="Paris", people=2100000)


@pytest.mark.parametrize("model", ["chat", "both", "messages", "tool"])
async def test_openai_parses_responses(world, client, model):
    says(world, PLACE)
    answer = await client.responses.parse(model=model, input="Where?", text_format=Place)
    async with client.responses.stream(model=model, input="Where?", text_format=Place) as stream:
        async for _ in stream:
            pass
        streamed = await stream.get_final_response()

    assert answer.output_parsed == streamed.output_parsed == Place(city="Paris", people=2100000)


@pytest.mark.parametrize("model", ["chat", "both", "messages", "tool"])
async def test_anthropic_parses_messages(world, claude, model):
    says(world, PLACE)
    answer = await claude.messages.parse(model=model, max_tokens=100, messages=user(), output_format=Place)
    async with claude.messages.stream(model=model, max_tokens=100, messages=user(), output_format=Place) as stream:
        streamed = await stream.get_final_message()

    assert answer.parsed_output == streamed.parsed_output == Place(city="Paris", people=2100000)


@pytest.mark.parametrize("model", ["chat", "messages"])
async def test_openai_parses_strict_tools(world, client, model):
    world[0].sayings = [Saying(calls=(("Place", PLACE),))]
    answer = await client.chat.completions.parse(
        model=model, messages=user(), tools=[openai.pydantic_function_tool(Place)]
    )

    (call,) = answer.choices[0].message.tool_calls
    assert call.function.parsed_arguments == Place(city="Paris", people=2100000)


async def test_an_invalid_answer_is_a_clear_error_for_every_client(world, client, claude):
    says(world, BAD)
    with pytest.raises(openai.UnprocessableEntityError) as chat:
        await client.chat.completions.parse(model="chat", messages=user(), response_format=Place)
    with pytest.raises(openai.UnprocessableEntityError) as responses:
        await client.responses.parse(model="chat", input="Where?", text_format=Place)
    with pytest.raises(anthropic.UnprocessableEntityError) as messages:
        await claude.messages.parse(model="chat", max_tokens=100, messages=user(), output_format=Place)

    for body in (chat.value.body, responses.value.body, messages.value.body["error"]):
        assert (body["code"], body["raw"]) == ("invalid_output", BAD)
        assert "$.people" in body["violations"][0]
    assert [error.value.body["param"] for error in (chat, responses)] == ["response_format", "text.format"]
    assert chat.value.response.headers["x-switchgear-structured"] == "native; repairs=1"


async def test_a_stream_that_turns_out_invalid_ends_with_an_error_for_every_client(world, client, claude):
    says(world, BAD)
    with pytest.raises(openai.APIError) as chat:
        async with client.chat.completions.stream(model="chat", messages=user(), response_format=Place) as stream:
            await stream.until_done()
    body = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}}
    stream = await client.responses.create(model="chat", input="Where?", text=body, stream=True)
    failed = [event async for event in stream]
    with pytest.raises(anthropic.APIStatusError) as messages:
        async with claude.messages.stream(model="chat", max_tokens=100, messages=user(), output_format=Place) as stream:
            await stream.until_done()

    assert chat.value.body["code"] == messages.value.body["error"]["code"] == "invalid_output"
    assert chat.value.body["raw"].startswith('{"city"')
    assert failed[-1].type == "response.failed"
    assert failed[-1].response.error.code == "invalid_output"
    assert failed[-1].response.error.violations


async def test_a_call_that_asks_for_no_form_goes_out_and_comes_back_as_it_is(world, client):
    says(world, "Paris.")
    for model in ("chat", "free"):
        raw = await client.chat.completions.with_raw_response.create(
            model=model, messages=user(), extra_body={"odd": [1, 2]}, tools=[], response_format={"type": "text"}
        )

        assert "x-switchgear-structured" not in raw.headers
        assert raw.http_response.json()["id"] == "chatcmpl-1"
        assert world[0].asked[-1] == {
            "model": "talker", "messages": user(), "odd": [1, 2], "tools": [], "response_format": {"type": "text"},
        }  # fmt: skip


async def test_where_forms_are_not_enforced_a_call_for_one_is_any_other(world, client):
    says(world, BAD)
    raw = await client.chat.completions.with_raw_response.create(
        model="free", messages=user(), response_format={"type": "json_object"}
    )

    assert raw.parse().choices[0].message.content == BAD
    assert "x-switchgear-structured" not in raw.headers


async def test_a_call_for_a_form_goes_out_in_its_own_api_with_all_it_has(world, client):
    says(world, PLACE)
    await client.responses.create(
        model="both",
        input="Where?",
        previous_response_id="resp_0",
        text={"format": {"type": "json_object"}},
        extra_body={"odd": 1},
    )

    asked = world[0].asked[-1]
    assert (asked["previous_response_id"], asked["odd"], asked["text"]) == (
        "resp_0",
        1,
        {"format": {"type": "json_object"}},
    )


async def test_the_header_and_the_record_say_how_it_was_made(world, client):
    for model, texts, how in (
        ("chat", [GOOD], "native"), ("chat", ["so", GOOD], "native; repairs=1"), ("tool", [GOOD], "tool"),
        ("patient", ["a", "b", "c", GOOD], "native; repairs=3"),
    ):  # fmt: skip
        world[1].forget()
        says(world, *texts)
        raw = await client.chat.completions.with_raw_response.create(**asking("chat", model, stream=False))

        assert raw.headers["x-switchgear-structured"] == how
        (record,) = world[1].records
        assert (record.structured, record.status, record.error) == (how, 200, None)
        assert [(one.why, one.usage) for one in record.beside] == [("repair", Usage(input=11, output=5))] * (
            len(texts) - 1
        )


async def test_what_came_to_nothing_is_accounted_for_and_its_text_is_bounded(world, client):
    says(world, BAD)
    world[1].forget()
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await client.chat.completions.create(**asking("chat", "patient", stream=False))

    (record,) = world[1].records
    assert (record.error, record.status, record.structured) == ("invalid_output", 422, "native; repairs=3")
    assert len(record.beside) == 4
    assert caught.value.body["raw"] == BAD[:20]


@pytest.mark.parametrize("stream", [False, True])
async def test_another_target_is_asked_where_one_gives_no_valid_answer(world, client, stream):
    world[1].forget()
    says(world, "so", PLACE)
    raw = await client.chat.completions.with_raw_response.create(**asking("chat", "two", stream=stream))

    assert raw.headers["x-switchgear-target"] == "messages/talker"
    if stream:
        async for _ in raw.parse():
            pass
    (record,) = world[1].records
    assert (record.route, record.error) == (("chat/talker", "messages/talker"), None)
    assert [(one.target, one.why) for one in record.beside] == [("chat/talker", "repair")][: len(record.beside)]


async def test_a_target_that_has_schemas_comes_before_one_that_is_asked_in_other_ways(world, client):
    says(world, PLACE)
    for model in ("sorted",):
        raw = await client.chat.completions.with_raw_response.create(**asking("chat", model, stream=False))

        assert (raw.headers["x-switchgear-target"], raw.headers["x-switchgear-structured"]) == (
            "messages/talker",
            "native",
        )


async def test_a_text_that_was_ready_is_no_answer_to_a_call_for_a_form(world, client):
    says(world, "so")
    with pytest.raises((openai.UnprocessableEntityError, openai.APIStatusError)) as caught:
        await client.chat.completions.create(**asking("chat", "ready", stream=False))

    assert caught.value.body["code"] == "invalid_output"


@pytest.mark.parametrize(
    ("api", "tools", "param"),
    [
        ("chat", False, "response_format.json_schema.schema"), ("responses", False, "text.format.schema"),
        ("messages", False, "output_config.format.schema"), ("chat", True, "tools[0].function.parameters"),
        ("responses", True, "tools[0].parameters"), ("messages", True, "tools[0].input_schema"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "schema", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:1/x"}, {"$ref": "file:///etc/passwd"}]
)
async def test_a_schema_that_nobody_can_judge_by_is_refused_before_anybody_is_asked(
    world, client, api, tools, param, schema
):
    paths = {"chat": "/chat/completions", "responses": "/responses", "messages": "/messages"}
    body = asking(api, "chat", stream=False, schema={**schema, "properties": {}}, tools=tools)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post(paths[api], body=body, cast_to=object)

    answer = caught.value.body
    assert (answer["code"], answer["param"]) == ("unsupported_schema", param)
    assert world[0].asked == []


async def test_where_nothing_may_be_emulated_the_call_is_the_targets_to_refuse(world, client):
    says(world, PLACE)
    await client.chat.completions.create(**asking("chat", "refusing", stream=False))

    assert world[0].asked[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("extension", "good", "bad"),
    [
        ({"choice": ["positive", "negative"]}, "positive", "neutral"), ({"regex": "[0-9]{3}-[0-9]{2}"}, "123-45", "123-456"),
        ({"json": {"type": "array", "items": {"type": "integer"}}}, "[1, 2]", '["1"]'),
    ],
)  # fmt: skip
async def test_the_forms_of_vllm_are_judged_as_well(world, client, extension, good, bad):
    for model in ("gpu", "chat", "messages"):
        asked = {"model": model, "messages": user(), "extra_body": {"structured_outputs": extension}}
        says(world, good)
        assert (await client.chat.completions.create(**asked)).choices[0].message.content == good
        # Only a server that knows it is told so; the others are asked in their own ways.
        assert world[0].asked[-1].get("structured_outputs") == (extension if model == "gpu" else None)
        says(world, bad)
        with pytest.raises(openai.UnprocessableEntityError):
            await client.chat.completions.create(**asked)


async def test_a_grammar_goes_to_who_keeps_it_and_to_nobody_else(world, client):
    asked = {"messages": user(), "extra_body": {"structured_outputs": {"grammar": "root ::= 'a'"}}}
    says(world, "a")
    raw = await client.chat.completions.with_raw_response.create(model="gpu", **asked)
    assert raw.headers["x-switchgear-structured"] == "vllm"
    for model in ("chat", "both", "messages"):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model=model, **asked)
        assert caught.value.body["param"] == "structured_outputs.grammar"
    assert len(world[0].asked) == 1


async def test_metrics_count_what_became_of_such_answers(world, client):
    says(world, BAD, PLACE)
    await client.chat.completions.create(**asking("chat", "chat", stream=False))
    says(world, BAD)
    with pytest.raises(openai.UnprocessableEntityError):
        await client.chat.completions.create(**asking("chat", "chat", stream=False))
    _ = world[1].records
    async with httpx2.AsyncClient() as http:
        told = (await http.get(f"{world[1].url}/metrics")).text

    assert 'switchgear_structured_total{model="chat",step="native",outcome="valid"} 1' in told
    assert 'switchgear_structured_total{model="chat",step="native",outcome="invalid"} 1' in told
    assert 'switchgear_structured_repairs_total{model="chat",step="native"} 2' in told


async def test_what_the_model_said_is_in_no_record_of_which_logs_are_made(world, client):
    says(world, '{"city": "a-canary-in-paris", "people": "a-canary-of-many"}')
    world[1].forget()
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await client.chat.completions.create(**asking("chat", "chat", stream=False))

    assert "a-canary" in caught.value.body["raw"]
    (record,) = world[1].records
    assert record.error == "invalid_output"
    assert "a-canary" not in repr(record)
