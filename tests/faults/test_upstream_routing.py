"""Through a real gateway and a real, faulty upstream: what is tried again, what is spared, and what a caller is told."""

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, asked, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, embeddings]}}
  spare: {{kind: scripted, document: script.yaml}}
routing: {{retry: {{base: 0.01, longest: 0.02, budget: 1}}}}
models:
  one: up/talker
  careful: {{targets: [{{provider: up, model: careful}}], routing: {{retry: {{attempts: 1}}, breaker: {{failures: 3, open: 30}}}}}}
  two:
    targets: [{{provider: up, model: flaky}}, {{provider: spare, model: talker}}]
    routing: {{strategy: weighted}}
  shared:
    targets: [{{provider: spare, model: talker, weight: 3}}, {{provider: spare, model: other}}]
    routing: {{strategy: weighted}}
  sessions:
    targets: [{{provider: spare, model: talker}}, {{provider: spare, model: other}}]
    routing: {{strategy: sticky}}
"""
SCRIPT = "models: {talker: {embedding_dimensions: 4, answers: [{say: One.}]}, other: {answers: [{say: Other.}]}}"
COMBINATIONS = [(api, stream) for api in ("chat", "responses", "messages") for stream in (False, True)] + [
    ("embeddings", False)
]
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def upstream(tmp_path):
    folder = tmp_path / "upstream"
    folder.mkdir()
    async with faulty_upstream(folder) as upstream:
        yield upstream


@pytest.fixture
async def gateway(tmp_path, upstream):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG.format(url=f"http://127.0.0.1:{upstream.port}")) as gateway:
        yield gateway


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield http


def failing(upstream, times, status=500, headers=b""):
    """Refuse so many requests, and answer the others."""
    left = [times]

    async def behave(peer, request):
        left[0] -= 1
        await (refuse(status, headers=headers) if left[0] >= 0 else upstream.answer_well)(peer, request)

    return behave


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_a_target_that_recovers_answers_the_same_call(gateway, http, upstream, api, stream):
    upstream.behave = failing(upstream, 2)
    answer = await http.post(APIS[api], json=asked(api, stream=stream, model="one"))

    assert answer.status_code == 200
    assert len(upstream.asked) == 3
    [record] = gateway.records
    assert (record.route, record.error, record.status) == (("up/talker",) * 3, None, 200)


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_a_target_that_failed_too_often_is_spared_and_callers_are_told_at_once(
    gateway, http, upstream, api, stream
):
    upstream.behave = failing(upstream, 100)
    body = asked(api, stream=stream, model="careful")
    failed = [(await http.post(APIS[api], json=body)).status_code for _ in range(3)]
    gateway.forget()
    answer = await http.post(APIS[api], json=body)

    assert (failed, answer.status_code) == ([502] * 3, 503)
    assert 25 < int(answer.headers["retry-after"]) <= 36
    assert "failed too often" in answer.json()["error"]["message"]
    assert len(upstream.asked) == 3
    [record] = gateway.records
    assert (record.model, record.provider, record.route, record.error) == ("careful", None, (), "unavailable")
    assert record.decision.considered[0].verdict == "spared"


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_a_long_retry_after_is_passed_on_and_not_waited_for(http, upstream, api, stream):
    upstream.behave = failing(upstream, 100, status=429, headers=b"retry-after: 30\r\n")
    body = asked(api, stream=stream, model="one")
    answers = [await http.post(APIS[api], json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [429, 429]
    assert [answer.headers["retry-after"] for answer in answers] == ["30", "30"]
    assert len(upstream.asked) == 2


async def test_calls_through_a_target_that_fails_half_the_time_are_not_lost(gateway, http, upstream):
    seen = [0]

    async def behave(peer, request):
        seen[0] += 1
        await (refuse(503) if seen[0] % 2 else upstream.answer_well)(peer, request)

    upstream.behave = behave
    statuses = []

    async def call_on(number):
        for _ in range(number):
            answer = await http.post("/v1/chat/completions", json={"model": "two", **HELLO})
            statuses.append(answer.status_code)

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(call_on, 40)

    assert statuses == [200] * 640
    assert seen[0] > 0
    assert len(gateway.records) == 640


async def test_what_explain_says_is_what_then_happens(http):
    for _ in range(12):
        explained = (await http.post("/v1/route/explain", json={"model": "shared", **HELLO})).json()
        answer = await http.post("/v1/chat/completions", json={"model": "shared", **HELLO})
        assert answer.headers["x-switchgear-target"] == explained["chosen"]
        assert explained["considered"][0] == {
            "target": explained["chosen"], "verdict": "chosen", "why": "", "score": None, "breaker": "closed", "in_flight": 0,
            "first_token_s": explained["considered"][0]["first_token_s"], "cost_usd": None,
        }  # fmt: skip


async def test_a_session_stays_with_its_target(http):
    targets = {}
    for session in range(12):
        for _ in range(3):
            headers = {"x-session-id": f"session-{session}"}
            answer = await http.post("/v1/chat/completions", json={"model": "sessions", **HELLO}, headers=headers)
            targets.setdefault(session, set()).add(answer.headers["x-switchgear-target"])

    assert all(len(of_one) == 1 for of_one in targets.values())
    assert set.union(*targets.values()) == {"spare/talker", "spare/other"}


@pytest.mark.parametrize(
    ("body", "query", "status", "word"),
    [
        ({"model": "nobody", **HELLO}, "", 404, "does not exist"),
        ({**HELLO}, "", 400, "model"),
        ({"model": "one", "messages": 7}, "", 400, "messages"),
        ({"model": "one", **HELLO}, "?api=telepathy", 400, "api"),
        ([], "", 400, "object"),
    ],
)
async def test_what_cannot_be_explained_is_refused_as_the_call_would_be(http, body, query, status, word):
    answer = await http.post(f"/v1/route/explain{query}", json=body)

    assert answer.status_code == status
    assert word in answer.json()["error"]["message"]
