"""An upstream that answers with JSON of any shape: never an internal error of ours, never a hang, always one record."""

import json
import random

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, LAST_CHUNK, STREAM_HEAD, asked, chunk, document, faulty_upstream
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
  embeddings: {{kind: openai_compatible, base_url: "{url}/v1", apis: [embeddings]}}
models:
  chat: chat/talker
  responses: responses/talker
  messages: messages/talker
  embeddings: embeddings/talker
"""
COMBINATIONS = [
    (dialect, api) for dialect in ("chat", "responses", "messages") for api in ("chat", "responses", "messages")
] + [("embeddings", "embeddings")]
ODD = [
    None,
    True,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "stop",
    [],
    {},
    [None],
    [[1]],
    {"a": 1},
    {"type": "x"},
    [{"type": "text"}],
    [{"index": "a"}],
]


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory, upstream):
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}")
    async with running(tmp_path_factory.mktemp("gateway"), config, environ={"BACK_KEY": "a-key"}) as gateway:
        yield gateway


def mutated(chance, value):
    if chance.random() < 0.06:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(chance, item) for key, item in value.items() if chance.random() > 0.02}
    return [mutated(chance, item) for item in value] if isinstance(value, list) else value


def odd_answers(upstream, chance):
    async def behave(peer, request):
        if not request.stream:
            answer = mutated(chance, json.loads(upstream.answers.documents[request.api]))
            await peer.send(document(json.dumps(answer).encode()))
            return
        await peer.send(STREAM_HEAD)
        for event in upstream.answers.events[request.api]:
            name, _, data = event.strip().rpartition(b"data: ")
            if data != b"[DONE]":
                data = json.dumps(mutated(chance, json.loads(data))).encode()
            for _ in range(chance.choice((1, 1, 1, 1, 1, 1, 0, 2))):
                await peer.send(chunk(name + b"data: " + data + b"\n\n"))
        await peer.send(LAST_CHUNK)

    return behave


@pytest.mark.parametrize(("dialect", "api"), COMBINATIONS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_of_any_shape_is_no_internal_error(gateway, upstream, dialect, api, stream):
    stream = stream and api != "embeddings"
    upstream.behave = odd_answers(upstream, random.Random(f"{dialect} {api} {stream}"))
    gateway.forget()
    with anyio.fail_after(20):
        async with httpx2.AsyncClient(base_url=gateway.url, timeout=5) as http:
            for _ in range(40):
                answer = await http.post(APIS[dialect], json=asked(dialect, stream=stream, model=api))
                assert answer.status_code != 500
                assert '"internal_error"' not in answer.text

            while len(gateway.records) < 40 or not gateway.idle:
                await anyio.sleep(0.005)

    assert len(gateway.records) == 40
    assert "internal_error" not in {record.error for record in gateway.records}
