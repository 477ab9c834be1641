"""Cascades and votes beside the rest of the gateway: data protection, APIs that make no answers, a reload, a stop."""

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  small:
    embedding_dimensions: 4
    answers:
      - {when: {contains: "@"}, say: LEAKED}
      - {when: {contains: stuck}, say: one two three, fail: {silent: true, after_deltas: 2}}
      - {say: "You are {input}", logprob: -0.1}
  large:
    embedding_dimensions: 4
    answers: [{say: From the large one}]
  judge:
    answers:
      - {when: {contains: "ada@example.com"}, say: '{"score": 0}'}
      - {say: '{"score": 1}'}
"""
CONFIG = """
server: {keep_alive_interval: 0.1}
providers: {script: {kind: scripted, document: script.yaml}}
models:
  cascade:
    targets: [{provider: script, model: small}, {provider: script, model: large}]
    routing:
      strategy: cascade
      cascade: {escalate_on: [judge], judge: {model: judge}}
  vote:
    targets: [{provider: script, model: small}, {provider: script, model: large}]
    routing: {strategy: vote, vote: {quorum: 1}}
  judge: script/judge
protection:
  redact:
    people: {find: [{kinds: [email], action: placeholder}]}
"""


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG) as gateway:
        yield gateway


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield http


async def chat(http, model, text, **more):
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return await http.post("/v1/chat/completions", json=asked)


async def test_neither_targets_nor_judges_see_what_is_taken_out(gateway, http):
    answer = await chat(http, "cascade", "ada@example.com")

    assert answer.json()["choices"][0]["message"]["content"] == "You are ada@example.com"
    (record,) = gateway.records
    assert record.served == "small"
    assert dict(record.found).keys() == {"email"}


@pytest.mark.parametrize("model", ["cascade", "vote"])
async def test_embeddings_and_token_counts_go_in_order(gateway, http, model):
    vectors = await http.post("/v1/embeddings", json={"model": model, "input": "text"})
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    count = await http.post("/v1/messages/count_tokens", json=body)

    assert len(vectors.json()["data"][0]["embedding"]) == 4
    assert count.json()["input_tokens"] > 0
    assert [(record.served, record.beside) for record in gateway.records] == [("small", ()), ("small", ())]
    assert gateway.records[0].decision.considered[0].why == "asked alone: only what generates is answered by several"


@pytest.mark.parametrize("model", ["cascade", "vote"])
async def test_text_completions_go_in_order(gateway, http, model):
    answer = await http.post("/v1/completions", json={"model": model, "prompt": "hello"})

    assert answer.status_code == 200
    assert [(record.served, record.beside) for record in gateway.records] == [("small", ())]


async def test_a_server_that_stops_ends_a_held_answer_with_an_error(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG, drain_timeout=0.1) as gateway:
        heard = []
        begun = anyio.Event()

        async def listen():
            asked = {"model": "cascade", "stream": True, "messages": [{"role": "user", "content": "stuck"}]}
            async with (
                httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
                http.stream("POST", "/v1/chat/completions", json=asked) as answer,
            ):
                async for piece in answer.aiter_text():
                    heard.append(piece)
                    begun.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            with anyio.fail_after(5):
                await begun.wait()
            gateway.server.begin_drain()

        assert "shutting down" in "".join(heard)
        (record,) = gateway.records
        assert (record.status, record.error) == (503, "unavailable")
        assert record.usage.output > 0
