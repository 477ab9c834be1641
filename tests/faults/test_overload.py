"""Through a real gateway and a real upstream: more clients than a target may have calls at once, and what each of them gets."""

import json

import anyio
import httpx2
import pytest

from gateway.api.inside import ask_as
from gateway.core.caller import Caller
from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, asked, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
server: {{keep_alive_interval: {keep}, keys: {keys}}}
providers:
  up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, embeddings]}}
  spare: {{kind: scripted, document: script.yaml}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 1000, least: 100000}}}}
models:
  busy:
    targets: [{{provider: up, model: talker, concurrency: {limit}}}]
    routing: {{queue: {{most: {most}, longest: {longest}}}}}
  also: {{targets: [{{provider: up, model: talker}}]}}
  laddered:
    targets: [{{provider: up, model: talker}}]
    routing: {{degrade: [{{model: small}}, {{static: Please come back in a minute.}}]}}
  helped:
    targets: [{{provider: up, model: talker}}]
    routing: {{degrade: [{{model: little}}, {{static: Please come back in a minute.}}]}}
  small: {{targets: [{{provider: up, model: other}}]}}
  little: spare/talker
{more}
"""
GOVERNED = """
database: {kind: sqlite, path: switchgear.db}
access: {bootstrap_key_file: first.key}
"""
SCRIPT = "models: {talker: {embedding_dimensions: 4, answers: [{say: One.}]}}"
TEXT = "Please come back in a minute."
KEYS = {"ONE": "sk-one-0123456789", "OTHER": "sk-other-0123456789"}
GENERATING = [(api, stream) for api in ("chat", "responses", "messages") for stream in (False, True)]


class Held:
    """An upstream that keeps everybody until it lets go; it notes how many were there at once."""

    def __init__(self, upstream):
        self._upstream = upstream
        self.go_on = anyio.Event()
        self.there = self.most = 0
        upstream.behave = self

    async def __call__(self, peer, request):
        self.there += 1
        self.most = max(self.most, self.there)
        try:
            await self.go_on.wait()
            await anyio.sleep(0.002)
        finally:
            # Before the last byte: the gateway may ask for the next as soon as it has it.
            self.there -= 1
        await self._upstream.answer_well(peer, request)


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture
async def gateway(tmp_path, upstream, request):
    upstream.asked.clear()
    (tmp_path / "script.yaml").write_text(SCRIPT)
    given = {"limit": 2, "most": 100, "longest": 30, "keep": 15, "keys": "[]", "more": ""} | getattr(
        request, "param", {}
    )
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", **given)
    async with running(tmp_path, config, environ=KEYS) as gateway:
        gateway.path = tmp_path / "switchgear.yaml"
        gateway.config = config
        yield gateway


@pytest.fixture
async def http(gateway):
    async with client(gateway) as http:
        yield http


def client(gateway, key="ONE"):
    headers = {"authorization": f"Bearer {KEYS[key]}"}
    limits = httpx2.Limits(max_connections=200)
    return httpx2.AsyncClient(base_url=gateway.url, timeout=20, headers=headers, limits=limits)


def waiting(gateway):
    return sum(line.waiting for line in gateway.application.lines)


def taken(gateway):
    return {one.target: one.gate.taken for one in gateway.application.conditions if one.gate is not None}


async def metrics(http):
    text = (await http.get("/metrics")).text
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize(("api", "stream"), [*GENERATING, ("embeddings", False)])
async def test_fifty_clients_at_a_target_with_two_places_are_all_served(gateway, http, upstream, api, stream):
    held, answers = Held(upstream), []

    async def ask(model):
        answers.append(await http.post(APIS[api], json=asked(api, stream=stream, model=model)))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(ask, "also" if number % 5 == 0 else "busy")
        await until(lambda: waiting(gateway) == 48)
        held.go_on.set()

    assert held.most == 2
    assert [answer.status_code for answer in answers] == [200] * 50
    steps = [answer.headers.get("x-switchgear-degraded") for answer in answers]
    assert steps.count("queue") == 48
    records = gateway.records
    assert len(records) == 50
    assert sorted(record.degraded for record in records) == ["", ""] + ["queue"] * 48
    assert {record.error for record in records} == {None}
    assert taken(gateway) == {"up/talker": 0}
    found = await metrics(http)
    assert found['switchgear_degraded_total{model="busy",step="queue"}'].isdigit()
    assert found['switchgear_queue_waiting{model="busy"}'] == "0"


@pytest.mark.parametrize("gateway", [{"keys": "[env:ONE, env:OTHER]"}], indirect=True)
async def test_a_caller_with_many_calls_does_not_hold_up_another(gateway, http, upstream):
    held, order = Held(upstream), []

    async def ask(http, name):
        await http.post(APIS["chat"], json=asked("chat", stream=False, model="busy"))
        order.append(name)

    async with client(gateway, "OTHER") as other, anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(ask, http, "crowd")
        await until(lambda: waiting(gateway) == 38)
        tasks.start_soon(ask, other, "single")
        await until(lambda: waiting(gateway) == 39)
        held.go_on.set()

    assert order.index("single") <= 6


@pytest.mark.parametrize("gateway", [{"limit": 1, "keep": 0.2}], indirect=True)
async def test_a_stream_that_waits_is_kept_alive(gateway, http, upstream):
    held = Held(upstream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post(APIS["chat"], json=asked("chat", stream=False, model="busy")))
        await until(lambda: held.there == 1)
        body = asked("chat", stream=True, model="busy")
        async with http.stream("POST", APIS["chat"], json=body) as answer:
            lines = answer.aiter_lines()
            comments = 0
            async for line in lines:
                comments += line.startswith(":")
                if comments == 2 and line.startswith(":"):
                    assert waiting(gateway) == 1
                    held.go_on.set()
                elif line.startswith("data: "):
                    break
            rest = [line async for line in lines]

    assert comments >= 2
    assert "data: [DONE]" in rest


@pytest.mark.parametrize("gateway", [{"limit": 1}], indirect=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_the_queue_is_out_of_it_and_has_used_nothing(gateway, http, upstream, stream):
    held = Held(upstream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post(APIS["chat"], json=asked("chat", stream=False, model="busy")))
        await until(lambda: held.there == 1)
        with anyio.CancelScope() as scope:

            async def leave():
                await until(lambda: waiting(gateway) == 1)
                scope.cancel()

            tasks.start_soon(leave)
            await http.post(APIS["chat"], json=asked("chat", stream=stream, model="busy"))
        await until(lambda: waiting(gateway) == 0)
        held.go_on.set()

    left, served = sorted(gateway.records, key=lambda record: record.status, reverse=True)
    assert (left.status, left.error, left.usage, left.provider) == (499, "client_left", None, None)
    assert served.status == 200
    assert len(upstream.asked) == 1
    assert taken(gateway) == {"up/talker": 0}


async def test_clients_that_leave_an_answer_give_their_places_back(gateway, http, upstream):
    held = Held(upstream)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(lambda: http.post(APIS["chat"], json=asked("chat", stream=True, model="busy")))
        await until(lambda: waiting(gateway) == 8)
        tasks.cancel_scope.cancel()
    await until(lambda: gateway.idle)

    assert taken(gateway) == {"up/talker": 0}
    assert waiting(gateway) == 0
    held.go_on.set()
    answer = await http.post(APIS["chat"], json=asked("chat", stream=False, model="busy"))
    assert answer.status_code == 200


@pytest.mark.parametrize("gateway", [{"limit": 1, "longest": 0.3, "most": 1}], indirect=True)
@pytest.mark.parametrize(("api", "stream"), [*GENERATING, ("embeddings", False)])
async def test_who_gets_no_place_is_told_when_to_come_again(gateway, http, upstream, api, stream):
    held = Held(upstream)
    body = asked(api, stream=stream, model="busy")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post(APIS["chat"], json=asked("chat", stream=False, model="busy")))
        await until(lambda: held.there == 1)
        answers = []

        async def ask():
            answers.append(await http.post(APIS[api], json=body))

        tasks.start_soon(ask)
        await until(lambda: waiting(gateway) == 1)
        tasks.start_soon(ask)
        await until(lambda: len(answers) == 2)
        held.go_on.set()

    shed, late = answers
    assert shed.status_code == 503
    assert shed.json()["error"]["code"] == "overloaded"
    assert shed.json()["error"]["type"] == ("overloaded_error" if api == "messages" else "service_unavailable_error")
    assert (late.status_code, late.json()["error"]["code"]) == (503, "overloaded")
    assert int(late.headers["retry-after"]) >= 1
    assert int(shed.headers["retry-after"]) >= 1
    found = await metrics(http)
    assert found['switchgear_queue_shed_total{model="busy",reason="full"}'] == "1"
    assert found['switchgear_queue_shed_total{model="busy",reason="late"}'] == "1"


@pytest.mark.parametrize("gateway", [{"limit": 1, "most": 2}], indirect=True)
async def test_calls_go_before_the_lines_of_batches_which_are_told_to_come_again(gateway, http, upstream):
    held, order = Held(upstream), []
    line = ask_as(gateway.application.edge, None, Caller(id="batcher"))
    body = asked("chat", stream=False, model="busy")

    async def ask(name):
        order.append((name, (await http.post(APIS["chat"], json=body)).status_code, None))

    async def run(name):
        answer = await line(APIS["chat"], json.dumps(body).encode())
        order.append((name, answer.status, answer.retry_after))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "running")
        await until(lambda: held.there == 1)
        for name in ("line 1", "line 2"):
            tasks.start_soon(run, name)
        await until(lambda: waiting(gateway) == 2)
        tasks.start_soon(ask, "call")
        await until(lambda: len(order) == 1)
        held.go_on.set()

    assert order[0][:2] == ("line 2", 429)
    assert order[0][2] >= 1
    assert [one[:2] for one in order[1:]] == [("running", 200), ("call", 200), ("line 1", 200)]


@pytest.mark.parametrize(("api", "stream"), GENERATING)
async def test_a_static_answer_is_a_whole_answer_of_its_api(gateway, http, upstream, api, stream):
    upstream.behave = refuse(500)
    answer = await http.post(APIS[api], json=asked(api, stream=stream, model="laddered"))

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-switchgear-degraded"] == "static"
    assert answer.headers["x-switchgear-target"] == "switchgear/static"
    assert said(answer, api, stream) == TEXT
    [record] = gateway.records
    assert (record.status, record.error, record.degraded) == (200, "some_error", "static")
    assert record.route == ("up/talker", "up/other", "switchgear/static")
    assert (record.usage.total, record.cost_nano, record.finish_reason) == (0, 0, "stop")
    assert [one.target for one in record.decision.considered] == ["up/talker", "up/other"]
    assert (await metrics(http))['switchgear_degraded_total{model="laddered",step="static"}'] == "1"


@pytest.mark.parametrize(("api", "stream"), [*GENERATING, ("embeddings", False)])
async def test_another_model_stands_in(gateway, http, upstream, api, stream):
    upstream.behave = refuse(500)
    answer = await http.post(APIS[api], json=asked(api, stream=stream, model="helped"))

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-switchgear-degraded"] == "smaller"
    assert answer.headers["x-switchgear-target"] == "spare/talker"
    [record] = gateway.records
    assert (record.status, record.error, record.degraded) == (200, None, "smaller")


async def test_embeddings_get_the_error_and_no_text(gateway, http, upstream):
    upstream.behave = refuse(500)
    answer = await http.post(APIS["embeddings"], json=asked("embeddings", stream=False, model="laddered"))

    assert answer.status_code == 502
    assert "x-switchgear-degraded" not in answer.headers


@pytest.mark.parametrize("gateway", [{"limit": 1, "more": GOVERNED}], indirect=True)
async def test_explain_and_the_targets_say_what_is_full_and_a_reload_changes_it(gateway, http, upstream):
    key = (gateway.path.parent / "first.key").read_text().strip()
    http.headers["authorization"] = f"Bearer {key}"
    held = Held(upstream)
    body = asked("chat", stream=False, model="busy")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post(APIS["chat"], json=body))
        await until(lambda: held.there == 1)
        tasks.start_soon(lambda: http.post(APIS["chat"], json=body))
        await until(lambda: waiting(gateway) == 1)
        explained = (await http.post("/v1/route/explain", json=body)).json()
        shown = (await http.get("/admin/targets")).json()["data"]
        gateway.path.write_text(gateway.config.replace("concurrency: 1", "concurrency: 3"))
        assert (await http.post("/admin/reload")).json()["status"] in ("applied", "unchanged")
        await until(lambda: held.there == 2)
        more = (await http.get("/admin/targets")).json()["data"]
        held.go_on.set()

    assert explained["chosen"] is None
    assert (explained["considered"][0]["verdict"], explained["considered"][0]["why"]) == (
        "full",
        "full: it has 1 of 1 calls at once",
    )
    talker = next(one for one in shown if one["id"] == "up/talker")
    assert (talker["limit"], talker["free"], talker["in_flight"]) == (1, 0, 1)
    talker = next(one for one in more if one["id"] == "up/talker")
    assert (talker["limit"], talker["free"], talker["in_flight"]) == (3, 1, 2)
    assert next(one for one in shown if one["id"] == "up/other")["limit"] is None


def said(answer, api, stream):
    """The text of an answer."""
    if stream:
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        if api == "chat":
            return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
        deltas = {"responses": "response.output_text.delta", "messages": "content_block_delta"}
        found = [event["delta"] for event in events if event["type"] == deltas[api]]
        return "".join(delta if isinstance(delta, str) else delta["text"] for delta in found)
    whole = answer.json()
    if api == "chat":
        return whole["choices"][0]["message"]["content"]
    return (whole["output"][0]["content"] if api == "responses" else whole["content"])[0]["text"]
