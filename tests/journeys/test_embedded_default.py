"""The embedded default through the official client: a real model streams, keeps to a schema, embeds, and survives a crash."""

import json
import os
import signal

import anyio
import httpx2
import openai
import psutil
import pytest

from tests.contract.upstream_faulty_server import until
from tests.journeys.running_gateway import running

pytestmark = pytest.mark.embedded

CONFIG = """
providers:
  local: {kind: embedded, context: 1024, parallel: 1, threads: 1}
models:
  small: local/smollm2-135m-instruct
  embed: local/all-minilm-l6-v2
"""
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "big": {"type": "boolean"}},
    "required": ["city", "big"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory):
    async with running(tmp_path_factory.mktemp("embedded"), CONFIG) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway):
    gateway.forget()
    async with openai.AsyncOpenAI(
        api_key="none", base_url=f"{gateway.url}/v1", max_retries=0, timeout=60, _strict_response_validation=True
    ) as client:
        yield client


def user(text):
    return [{"role": "user", "content": text}]


async def test_a_real_model_streams_an_answer_with_exact_usage(client, gateway):
    stream = await client.chat.completions.create(
        model="small",
        messages=user("Say hello."),
        max_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = [chunk async for chunk in stream]

    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) > 1
    assert 0 < last.usage.completion_tokens <= 12
    await until(lambda: gateway.records)
    assert not gateway.records[0].usage.estimated


async def test_an_answer_under_a_schema_is_valid(client):
    answer = await client.chat.completions.create(
        model="small",
        messages=user("Name a city. Is it big?"),
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}},
    )

    said = json.loads(answer.choices[0].message.content)
    assert set(said) == {"city", "big"}
    assert isinstance(said["big"], bool)


async def test_near_texts_have_near_vectors(client):
    answer = await client.embeddings.create(
        model="embed", input=["a cat sat here", "a kitten sat here", "tax law reform"], encoding_format="float"
    )
    cat, kitten, law = (item.embedding for item in answer.data)

    assert len(cat) == 384
    assert sum(a * b for a, b in zip(cat, kitten, strict=True)) > sum(a * b for a, b in zip(cat, law, strict=True))


async def test_a_client_that_leaves_frees_the_only_slot(client, gateway):
    stream = await client.chat.completions.create(
        model="small", messages=user("Tell a long story."), stream=True, max_tokens=900
    )
    await anext(aiter(stream))
    await stream.close()

    with anyio.fail_after(5):
        await client.chat.completions.create(model="small", messages=user("Hi"), max_tokens=2)

    await until(lambda: len(gateway.records) == 2)
    assert [record.error for record in gateway.records] == ["client_left", None]


async def test_a_killed_child_costs_one_answer_and_the_next_request_works(client, gateway):
    await client.chat.completions.create(model="small", messages=user("Hi"), max_tokens=2)
    children = psutil.Process().children(recursive=True)
    stream = await client.chat.completions.create(
        model="small", messages=user("Tell a long story."), stream=True, max_tokens=900
    )
    await anext(aiter(stream))
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(openai.APIError):
        [chunk async for chunk in stream]

    with anyio.fail_after(30):
        answer = await client.chat.completions.create(model="small", messages=user("Hi"), max_tokens=2)

    assert answer.usage.completion_tokens > 0
    assert gateway.idle


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_sequence_is_told_in_anthropics_api(gateway, stream):
    body = {"model": "small", "max_tokens": 60, "temperature": 0, "stop_sequences": [" the", " a"], "stream": stream}
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=60) as http:
        answer = await http.post("/v1/messages", json={**body, "messages": user("Write a very long story.")})

    assert answer.status_code == 200, answer.text
    assert '"stop_reason":"stop_sequence"' in answer.text
    assert '"stop_sequence":" the"' in answer.text or '"stop_sequence":" a"' in answer.text


async def test_hints_are_named_in_a_header(gateway):
    body = {"model": "small", "max_tokens": 2, "store": True, "messages": user("Hi")}
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=60) as http:
        answer = await http.post("/v1/chat/completions", json=body)

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-switchgear-dropped"] == "store"
