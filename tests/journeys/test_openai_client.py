"""The official openai client, strict, against a script: everything that its user does works as with OpenAI."""

import base64
import struct

import openai
import pytest
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    embedding_dimensions: 6
    answers:
      - when: {contains: weather, turn: 0}
        say: Let me see.
        call:
          - {tool: get_weather, arguments: {city: Paris}}
          - {tool: get_weather, arguments: {city: Rome}}
      - when: {after_tool: get_weather}
        say: "It is {tool_result}."
      - {when: {contains: json}, json: {city: Paris, people: 2100000}}
      - {when: {contains: refuse}, refuse: I would rather not.}
      - {when: {contains: think}, think: Hm., signature: c2lnbmVk, say: So.}
      - {when: {contains: shorten}, say: Not the whole, finish: length}
      - {when: {contains: filter}, say: "", finish: content_filter}
      - {when: {contains: counted}, say: Ok., usage: {input: 7, cache_read: 5, output: 3, reasoning: 2}}
      - {when: {contains: status400}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: status401}, fail: {status: 401, message: Your key is wrong.}}
      - {when: {contains: status404}, fail: {status: 404, message: No such model here.}}
      - {when: {contains: status429}, fail: {status: 429, message: Slow down., retry_after: 7}}
      - {when: {contains: status500}, fail: {status: 500, message: Oh no.}}
      - {when: {contains: status529}, fail: {status: 529, message: Busy., retry_after: 3}}
      - {when: {contains: break}, say: one two three four, fail: {broken: true, after_deltas: 2, message: The line broke.}}
      - {say: "You said: {input}"}
"""
CONFIG = """
server: {keys: ["env:GATE_KEY"]}
providers:
  play: {kind: scripted, document: script.yaml}
models:
  talker: play/talker
  "ns/other": play/talker
"""
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]
KEY = "a-key-of-the-gate"


class City(BaseModel):
    city: str
    people: int


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG, environ={"GATE_KEY": KEY}) as gateway:
        yield gateway


def connect(gateway, **more):
    options = {
        "api_key": KEY,
        "base_url": f"{gateway.url}/v1",
        "max_retries": 0,
        "_strict_response_validation": True,
        "timeout": 10,
    }
    return openai.AsyncOpenAI(**{**options, **more})


@pytest.fixture
async def client(gateway):
    async with connect(gateway) as client:
        yield client


async def listen(stream, heard):
    async for chunk in stream:
        if text := chunk.choices[0].delta.content:
            heard.append(text)


def user(text):
    return [{"role": "user", "content": text}]


async def test_a_chat_completion_says_who_served_it_and_what_it_used(client, gateway):
    raw = await client.chat.completions.with_raw_response.create(model="talker", messages=user("counted please"))
    answer = raw.parse()

    assert answer.choices[0].message.content == "Ok."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "talker"
    assert answer.usage.prompt_tokens == 12
    assert answer.usage.prompt_tokens_details.cached_tokens == 5
    assert answer.usage.completion_tokens == 5
    assert answer.usage.completion_tokens_details.reasoning_tokens == 2
    assert raw.headers["x-switchgear-target"] == "play/talker"
    assert float(raw.headers["x-switchgear-overhead-ms"]) >= 0
    [record] = gateway.records
    assert record.id == raw.headers["x-switchgear-call-id"]
    assert (record.caller, record.status, record.error, record.finish_reason) == ("key-1", 200, None, "stop")
    assert record.usage.total == 17


async def test_a_chat_stream_adds_up_to_the_same_answer(client, gateway):
    async with client.chat.completions.stream(
        model="talker", messages=user("tell me"), stream_options={"include_usage": True}
    ) as stream:
        async for _ in stream:
            pass
        answer = await stream.get_final_completion()

    assert answer.choices[0].message.content == "You said: tell me"
    assert answer.usage.completion_tokens == 4
    [record] = gateway.records
    assert record.stream
    assert record.first_token <= record.duration


async def test_parallel_tool_calls_and_their_results_make_a_conversation(client):
    first = await client.chat.completions.create(model="talker", messages=user("weather?"), tools=TOOLS)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.function.arguments for call in message.tool_calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert all(isinstance(call, ChatCompletionMessageFunctionToolCall) for call in message.tool_calls)

    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    second = await client.chat.completions.create(
        model="talker", tools=TOOLS, messages=[*user("weather?"), message.to_dict(), *results]
    )

    assert second.choices[0].message.content == "It is sunny."


async def test_streamed_tool_calls_add_up_in_the_helper(client):
    async with client.chat.completions.stream(model="talker", messages=user("weather?"), tools=TOOLS) as stream:
        kinds = [event.type async for event in stream]
        answer = await stream.get_final_completion()

    assert kinds.count("tool_calls.function.arguments.done") == 2
    calls = answer.choices[0].message.tool_calls
    assert [call.function.parsed_arguments for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in calls}) == 2


async def test_structured_output_is_parsed_in_chat_and_in_responses(client):
    chat = await client.chat.completions.parse(model="talker", messages=user("json"), response_format=City)
    answer = await client.responses.parse(model="talker", input="json", text_format=City)

    assert chat.choices[0].message.parsed == City(city="Paris", people=2100000)
    assert answer.output_parsed == City(city="Paris", people=2100000)


async def test_a_refusal_is_told_as_one_in_chat_and_in_responses(client):
    chat = await client.chat.completions.create(model="talker", messages=user("refuse"))
    answer = await client.responses.create(model="talker", input="refuse")

    assert chat.choices[0].message.refusal == "I would rather not."
    assert answer.output[-1].content[0].type == "refusal"


@pytest.mark.parametrize(("word", "reason"), [("shorten", "length"), ("filter", "content_filter")])
async def test_an_answer_that_is_not_whole_says_why(client, word, reason):
    chat = await client.chat.completions.create(model="talker", messages=user(word))
    answer = await client.responses.create(model="talker", input=word)

    assert chat.choices[0].finish_reason == reason
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == {"length": "max_output_tokens"}.get(reason, reason)


async def test_a_response_and_its_stream_are_the_same(client):
    whole = await client.responses.create(model="talker", input="think", instructions="Be brief.")
    async with client.responses.stream(model="talker", input="think", instructions="Be brief.") as stream:
        numbers = [event.sequence_number async for event in stream]
        streamed = await stream.get_final_response()

    assert whole.status == "completed"
    assert whole.output_text == streamed.output_text == "So."
    assert [item.type for item in whole.output] == [item.type for item in streamed.output] == ["reasoning", "message"]
    assert numbers == list(range(len(numbers)))
    assert whole.usage.total_tokens == streamed.usage.total_tokens


async def test_a_response_calls_tools_and_takes_their_results(client):
    tools = [{"type": "function", **TOOLS[0]["function"]}]
    first = await client.responses.create(model="talker", input="weather?", tools=tools)
    calls = [item for item in first.output if item.type == "function_call"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "rainy"} for call in calls]
    turn = [*user("weather?"), *(item.to_dict() for item in first.output), *results]

    second = await client.responses.create(model="talker", input=turn, tools=tools)

    assert len(calls) == 2
    assert second.output_text == "It is rainy."


async def test_embeddings_come_as_numbers_and_as_base64_alike(gateway, client):
    numbers = await client.embeddings.create(model="talker", input=["a", "b"], encoding_format="float")
    async with connect(gateway, _strict_response_validation=False) as lenient:  # its types know no base64
        packed = await lenient.embeddings.create(model="talker", input=["a", "b"], encoding_format="base64")
        short = await lenient.embeddings.create(model="talker", input="a", dimensions=3)
    vectors = [struct.unpack("<6f", base64.b64decode(item.embedding)) for item in packed.data]

    assert [item.index for item in numbers.data] == [0, 1]
    assert [list(vector) for vector in vectors] == [pytest.approx(item.embedding, abs=1e-6) for item in numbers.data]
    assert numbers.usage.prompt_tokens == 2
    assert len(short.data[0].embedding) == 3


async def test_models_are_listed_and_retrieved_also_with_a_slash_in_their_name(client):
    assert [model.id async for model in client.models.list()] == ["talker", "ns/other"]
    assert (await client.models.retrieve("ns/other")).owned_by == "play"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("talkre")
    assert "talker" in caught.value.message


async def test_old_completions_work_whole_and_streamed(gateway, client):
    whole = await client.completions.create(model="talker", prompt="hello")
    async with connect(
        gateway, _strict_response_validation=False
    ) as lenient:  # a chunk's null finish_reason is not in its types
        streamed = await lenient.completions.create(model="talker", prompt="hello", stream=True)
        text = "".join([chunk.choices[0].text async for chunk in streamed if chunk.choices])

    assert whole.choices[0].text == text == "You said: hello"


async def test_moderations_without_an_upstream_that_has_them_are_a_clear_error(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.moderations.create(model="talker", input="bad words")

    assert caught.value.param == "model"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "kind", "code", "message", "wait"),
    [
        ("status400", openai.BadRequestError, None, "Too odd.", None),
        ("status401", openai.InternalServerError, "upstream_credentials", "Your key is wrong.", None),
        ("status404", openai.NotFoundError, None, "No such model here.", None),
        ("status429", openai.RateLimitError, "rate_limit_exceeded", "Slow down.", "7"),
        ("status500", openai.InternalServerError, None, "Oh no.", None),
        ("status529", openai.InternalServerError, None, "Busy.", "3"),
    ],
)  # fmt: skip
async def test_an_upstreams_refusal_is_the_clients_own_exception(
    client, gateway, stream, word, kind, code, message, wait
):
    for ask in (
        client.chat.completions.create(model="talker", messages=user(word), stream=stream),
        client.responses.create(model="talker", input=word, stream=stream),
    ):
        with pytest.raises(kind) as caught:
            await ask
        assert message in caught.value.message
        assert code is None or caught.value.code == code
        assert caught.value.response.headers.get("retry-after") == wait

    assert [(record.error == caught.value.code, record.provider) for record in gateway.records] == [(True, "play")] * 2


async def test_a_stream_that_breaks_raises_in_the_client(client, gateway):
    stream = await client.chat.completions.create(model="talker", messages=user("break"), stream=True)
    heard = []
    with pytest.raises(openai.APIError, match="The line broke"):
        await listen(stream, heard)

    assert heard == ["one", " two"]
    [record] = gateway.records
    assert record.error == "upstream_broken"
    assert record.usage.estimated
    assert record.usage.output == 2


async def test_a_response_stream_that_breaks_ends_as_failed(client):
    events = [event async for event in await client.responses.create(model="talker", input="break", stream=True)]

    assert events[-1].type == "response.failed"
    assert "The line broke" in events[-1].response.error.message
    assert events[-1].response.status == "failed"


async def test_a_wrong_key_and_an_unknown_model_are_the_clients_own_exceptions(gateway, client):
    async with connect(gateway, api_key="wrong") as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            await stranger.chat.completions.create(model="talker", messages=user("x"))
    assert caught.value.code == "invalid_api_key"

    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="talkre", messages=user("x"))
    assert missing.value.code == "model_not_found"
    assert missing.value.param == "model"
    assert "'talker'" in missing.value.message
