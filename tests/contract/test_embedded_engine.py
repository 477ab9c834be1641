"""The embedded chat model behind its child's HTTP front, as the official client sees it. A real model answers."""

import json
import subprocess

import anyio
import httpx2
import openai
import pytest

from gateway.providers.embedded.launch import chat_command, chat_model
from gateway.schemas.judge import compiled

pytestmark = pytest.mark.embedded

ASK = [{"role": "user", "content": "Say hello."}]
LONG = [{"role": "user", "content": "Write a very long story."}]
# Half a second on an idle machine; the whole answer would take six. The rest is for machines that run other tests too.
BUSY_MACHINE = 2.5
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


@pytest.fixture(scope="module")
def engine():
    command = chat_command(chat_model(None, cores=2, context=512))
    with subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdin.write(f"{command.first_line}\n")
        child.stdin.flush()
        word, port = child.stdout.readline().split()
        assert word == "ready"
        yield f"http://127.0.0.1:{port}", command.first_line
        child.stdin.close()
        assert child.wait(timeout=10) == 0
        assert child.stdout.read() == ""


@pytest.fixture
async def client(engine):
    base, token = engine
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
async def http(engine):
    base, token = engine
    async with httpx2.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client


def ask(client, messages=ASK, **fields):
    return client.chat.completions.create(model="smollm2-135m-instruct", messages=messages, **fields)


async def streamed(client, **fields):
    return [chunk async for chunk in await ask(client, stream=True, stream_options={"include_usage": True}, **fields)]


async def test_streaming_and_not_give_the_same_text_and_usage(client):
    whole = await ask(client, seed=3, max_tokens=12)
    chunks = await streamed(client, seed=3, max_tokens=12)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert text == whole.choices[0].message.content != ""
    assert chunks[-1].usage == whole.usage
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


async def test_usage_is_exact(client, http):
    answer = await ask(client, max_tokens=5)
    counted = (await http.post("/tokenize", json={"messages": ASK})).json()

    assert answer.usage.prompt_tokens == counted["count"]
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(client):
    answer = await ask(client, LONG, temperature=0, stop=[" a", " time"], max_tokens=40)

    assert answer.choices[0].finish_reason == "stop"
    assert " time" not in answer.choices[0].message.content
    assert answer.choices[0].stop_reason in (" a", " time")


async def test_the_stop_string_that_was_met_is_told_in_streams_and_where_there_was_none_nothing_is(client):
    wanted = {"messages": LONG, "temperature": 0, "max_tokens": 40}
    chunks = await streamed(client, **wanted, stop=[" a", " time"])
    (told,) = [chunk.choices[0] for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    other = await ask(client, temperature=0, max_tokens=3, stop=["never said"])

    assert told.finish_reason == "stop"
    assert told.stop_reason in (" a", " time")
    assert not hasattr(other.choices[0], "stop_reason")


async def test_greedy_answers_repeat(client):
    first = await ask(client, temperature=0, max_tokens=8)
    second = await ask(client, temperature=0, max_tokens=8)

    assert first.choices[0].message.content == second.choices[0].message.content


async def test_several_choices_and_log_probabilities(client):
    answer = await ask(client, n=2, logprobs=True, top_logprobs=2, max_tokens=3, temperature=0)

    assert [choice.index for choice in answer.choices] == [0, 1]
    tokens = answer.choices[1].logprobs.content
    assert len(tokens) == 3
    assert "".join(token.token for token in tokens) == answer.choices[1].message.content
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)
    assert answer.usage.completion_tokens == 6


async def test_text_completions_take_several_prompts(client):
    answer = await client.completions.create(model="m", prompt=["Once upon", "One, two,"], max_tokens=3, logprobs=2)

    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].logprobs.tokens
    assert "".join(answer.choices[0].logprobs.tokens) == answer.choices[0].text


async def test_a_schema_is_obeyed_by_every_finished_answer(client):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    for seed in range(4):
        answer = await ask(client, seed=seed, temperature=1.5, max_tokens=120, response_format=form)

        assert answer.choices[0].finish_reason == "stop"
        assert compiled(PERSON).violations(answer.choices[0].message.content) == ()


async def test_a_json_object_is_one(client):
    answer = await ask(client, seed=1, max_tokens=400, response_format={"type": "json_object"})

    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


async def test_a_number_on_its_own_may_end(client):
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}}
    answer = await ask(client, temperature=0, max_tokens=60, response_format=form)

    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(json.loads(answer.choices[0].message.content), int)


async def test_a_required_tool_is_called_in_form(client):
    answer = await ask(client, tools=[WEATHER, ADD], tool_choice="required", max_tokens=120, temperature=0)
    (call,) = answer.choices[0].message.tool_calls

    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    assert call.function.name in ("get_weather", "add")
    json.loads(call.function.arguments)


async def test_a_named_tool_is_the_one_that_is_called_streaming_too(client):
    choice = {"type": "function", "function": {"name": "get_weather"}}
    chunks = await streamed(client, tools=[ADD, WEATHER], tool_choice=choice, max_tokens=120, temperature=0)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    pieces = [piece for delta in deltas for piece in delta.tool_calls or ()]
    arguments = json.loads("".join(piece.function.arguments for piece in pieces))

    assert [piece.function.name for piece in pieces if piece.id] == ["get_weather"]
    assert isinstance(arguments["city"], str)
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert not any(delta.content for delta in deltas)


async def test_a_free_choice_may_be_plain_text_that_ends(client):
    answers = [await ask(client, tools=[WEATHER], seed=seed, max_tokens=200) for seed in range(3)]
    finishes = {answer.choices[0].finish_reason for answer in answers}

    assert finishes & {"stop", "tool_calls"}
    for answer in answers:
        message = answer.choices[0].message
        assert bool(message.content) != bool(message.tool_calls)


async def test_a_prompt_longer_than_the_context_is_a_clear_error(client):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            await ask(client, [{"role": "user", "content": "word " * 700}], stream=stream)

        assert caught.value.code == "context_length_exceeded"
        assert caught.value.param == "messages"
        assert "512" in caught.value.message


async def test_an_unknown_parameter_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, extra_body={"guided_json": {}, "foo": 1})

    assert caught.value.param == "foo"


async def test_nobody_without_the_token_is_served(engine):
    async with httpx2.AsyncClient(base_url=engine[0]) as stranger:
        for path in ("/health", "/v1/models", "/slots"):
            assert (await stranger.get(path)).status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"[" * 5000, b"\xff"])
async def test_a_malformed_body_is_a_400(http, body):
    answer = await http.post("/v1/chat/completions", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def until_idle(http):
    while (await http.get("/slots")).json()["busy"]:
        await anyio.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_request_frees_its_slot_within_a_second(client, http, stream):
    async with anyio.create_task_group() as tasks:
        if stream:
            answer = await ask(client, LONG, stream=True)
            await anext(aiter(answer))
            assert (await http.get("/slots")).json()["busy"] == 1
            await answer.close()
        else:
            tasks.start_soon(lambda: ask(client, LONG))
            with anyio.fail_after(20):
                while not (await http.get("/slots")).json()["busy"]:
                    await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()

    with anyio.fail_after(BUSY_MACHINE):
        await until_idle(http)


async def test_a_long_prompt_that_is_cancelled_stops_being_read(client, http):
    prompt = [{"role": "user", "content": " ".join(f"number {n}" for n in range(110))}]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: ask(client, prompt))
        with anyio.fail_after(20):
            while not (await http.get("/slots")).json()["busy"]:
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()

    with anyio.fail_after(BUSY_MACHINE):
        await until_idle(http)


async def test_a_short_request_does_not_wait_for_a_long_one(client):
    ended = []

    async def timed(name, **fields):
        await ask(client, LONG, **fields)
        ended.append(name)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: timed("long", max_tokens=150, temperature=0))
            tasks.start_soon(lambda: timed("short", max_tokens=5))

    assert ended == ["short", "long"]


async def test_more_requests_than_slots_are_all_answered(client):
    answers = []

    async def one():
        answers.append(await ask(client, max_tokens=3))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(one)

    assert len(answers) == 9
