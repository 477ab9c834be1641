"""Through a real gateway and a real upstream that is slow to begin: a second target answers, the first is left, both are paid for."""

import json

import anyio
import httpx2
import pytest

from gateway.stores.ledger import RowQuery
from gateway.stores.ledger_sql import SqlLedger
from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
database: {{kind: sqlite, path: data/switchgear.db}}
ledger: {{spool: data/spool}}
server: {{keep_alive_interval: {keep_alive}}}
providers:
  up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, responses, messages, embeddings]}}
routing: {{breaker: {{failures: 10000, least: 1000000}}}}
models:
  hedged:
    targets: [{{provider: up, model: slow}}, {{provider: up, model: quick}}]
    routing: {{hedge: {{after: 0.1, least: 0.1, most: 0.1, share: 1}}, retry: {{attempts: 1}}}}
  plain: {{targets: [{{provider: up, model: slow}}, {{provider: up, model: quick}}]}}
  patient:
    targets: [{{provider: up, model: slow}}, {{provider: up, model: quick}}]
    routing: {{hedge: {{after: 0.4, least: 0.4, most: 0.4, share: 1}}}}
prices: {{slow: {{input: 1, output: 2}}, quick: {{input: 10, output: 20}}}}
"""
COMBINATIONS = [(api, stream) for api in ("chat", "responses", "messages") for stream in (False, True)] + [
    ("embeddings", False)
]
WITHIN = 5


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def shared_gateway(tmp_path_factory, upstream):
    async with running(
        tmp_path_factory.mktemp("gateway"), CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", keep_alive=15)
    ) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway, upstream):
    shared_gateway.forget()
    upstream.asked.clear()
    return shared_gateway


class Slow:
    """What the upstream does: the slow model says nothing and is left, or does `instead`; the quick one answers, or is as slow."""

    def __init__(self, upstream, instead=None, *, quick=True):
        self._upstream = upstream
        self._instead = instead
        self._quick = quick
        self.left = 0

    async def __call__(self, peer, request):
        if self._quick and b'"quick"' in request.body:
            await self._upstream.answer_well(peer, request)
        elif self._instead is not None and b'"slow"' in request.body:
            await self._instead(peer, request)
        else:
            await peer.left()
            self.left += 1


def body_of(api, *, stream, model="hedged"):
    body = asked(api, stream=stream, model=model)
    return {**body, "store": False} if api == "responses" else body


async def ask(gateway, api, *, stream, model="hedged"):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        return await http.post(APIS[api], json=body_of(api, stream=stream, model=model))


async def rows_of(gateway, call_id):
    ledger = SqlLedger(gateway.application.governance.kept.database)
    ids = (call_id, f"{call_id}.1", f"{call_id}.2")
    found = []
    with anyio.fail_after(WITHIN):
        while len(found) < 2:
            found = (await ledger.find_rows(RowQuery(ids=ids))).rows
            await anyio.sleep(0.02)
    return {row.id.removeprefix(call_id): row for row in found}


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_a_second_target_answers_for_one_that_is_slow_to_begin(gateway, upstream, api, stream):
    upstream.behave = slow = Slow(upstream)
    answer = await ask(gateway, api, stream=stream)

    assert answer.status_code == 200
    assert answer.headers["x-switchgear-target"] == "up/quick"
    assert float(answer.headers["x-switchgear-overhead-ms"]) < 90  # what the first was waited for is none
    await until(lambda: slow.left == 1, WITHIN)
    assert len(upstream.asked) == 2
    [record] = gateway.records
    assert (record.served, record.route, record.error, record.status) == ("quick", ("up/quick",), None, 200)
    [beside] = record.beside
    assert (beside.target, beside.why, beside.usage.estimated, beside.usage.output) == ("up/slow", "hedge", True, 0)
    assert beside.usage.input > 5
    assert beside.cost_nano == beside.usage.input * 1000
    assert {one.target: one.why for one in record.decision.considered} == {
        "up/slow": "", "up/quick": "hedged after 0.1 s",
    }  # fmt: skip
    assert gateway.idle


async def test_both_have_their_row_in_the_ledger(gateway, upstream):
    upstream.behave = Slow(upstream)
    answer = await ask(gateway, "chat", stream=True)

    call_id = answer.headers["x-switchgear-call-id"]
    rows = await rows_of(gateway, call_id)
    assert rows.keys() == {"", ".1"}
    assert (rows[""].served, rows[".1"].served) == ("quick", "slow")
    assert rows[".1"].parent == call_id
    assert rows[".1"].kind == "hedge"
    assert rows[".1"].cost_nano == gateway.records[0].beside[0].cost_nano


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_the_slow_one_answers_if_it_begins_first_after_all(gateway, upstream, api, stream):
    async def late(peer, request):
        await anyio.sleep(0.25)
        await upstream.answer_well(peer, request)

    upstream.behave = slow = Slow(upstream, late, quick=False)
    answer = await ask(gateway, api, stream=stream)

    assert answer.headers["x-switchgear-target"] == "up/slow"
    await until(lambda: slow.left == 1, WITHIN)
    [record] = gateway.records
    assert (record.route, [(one.target, one.why) for one in record.beside]) == (("up/slow",), [("up/quick", "hedge")])


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_the_second_goes_on_when_the_first_fails(gateway, upstream, api, stream):
    async def fail(peer, request):
        await anyio.sleep(0.2)
        await refuse(503)(peer, request)

    async def answer_late(peer, request):
        await anyio.sleep(0.2)
        await upstream.answer_well(peer, request)

    async def behave(peer, request):
        await (fail if b'"slow"' in request.body else answer_late)(peer, request)

    upstream.behave = behave
    answer = await ask(gateway, api, stream=stream)

    assert answer.headers["x-switchgear-target"] == "up/quick"
    [record] = gateway.records
    assert (record.route, record.beside) == (("up/slow", "up/quick"), ())


async def test_a_stream_that_has_begun_is_not_raced(gateway, upstream):
    """The first piece is the commit point, however slow the others are."""

    async def begin_and_wait(peer, request):
        events = upstream.answers.events[request.api]
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[:3]))
        await anyio.sleep(0.3)
        await peer.send(b"".join(chunk(event) for event in events[3:]) + b"0\r\n\r\n")

    upstream.behave = Slow(upstream, begin_and_wait)
    answer = await ask(gateway, "chat", stream=True)

    assert answer.headers["x-switchgear-target"] == "up/slow"
    assert len(upstream.asked) == 1
    assert "[DONE]" in answer.text


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_both(gateway, upstream, api, stream):
    upstream.behave = slow = Slow(upstream, quick=False)
    client = await anyio.connect_tcp("127.0.0.1", gateway.port)
    body = json.dumps(body_of(api, stream=stream)).encode()
    head = f"POST {APIS[api]} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    await client.send(head.encode() + body)
    await until(lambda: len(upstream.asked) == 2, WITHIN)
    await client.aclose()

    await until(lambda: slow.left == 2 and gateway.idle, WITHIN)
    [record] = gateway.records
    assert (record.error, record.status, record.usage.estimated) == ("client_left", 499, True)
    assert [(one.target, one.why) for one in record.beside] == [("up/quick", "hedge")]


async def test_what_is_not_configured_or_not_harmless_is_not_hedged(gateway, upstream):
    upstream.behave = Slow(upstream)
    stored = asked("responses", stream=False, model="hedged")
    searching = body_of("chat", stream=False) | {"web_search_options": {}}
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=0.4) as http:
        for api, body in (
            ("responses", stored),
            ("chat", searching),
            ("chat", body_of("chat", stream=False, model="plain")),
        ):
            with pytest.raises(httpx2.TimeoutException):
                await http.post(APIS[api], json=body)

    assert [b'"slow"' in request.body for request in upstream.asked] == [True] * 3


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
async def test_a_client_hears_that_somebody_is_there_while_two_are_asked(tmp_path, upstream, api):
    """Comments keep the connection from being closed; they begin the stream, and both may still answer it."""
    upstream.behave = Slow(upstream)
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", keep_alive=0.1)
    async with running(tmp_path, config) as gateway:
        answer = await ask(gateway, api, stream=True, model="patient")

        assert answer.text.startswith(": ")
        assert "five" in answer.text
        assert gateway.records[0].served == "quick"


async def test_metrics_and_explain_tell_of_it(gateway, upstream):
    upstream.behave = Slow(upstream)
    await ask(gateway, "chat", stream=False)
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=5) as http:
        metrics = (await http.get("/metrics")).text
        explained = (await http.post("/v1/route/explain", json=body_of("chat", stream=False))).json()
        plain = (await http.post("/v1/route/explain", json=body_of("chat", stream=False, model="plain"))).json()

    assert 'switchgear_hedges_total{target="up/quick",outcome="won"}' in metrics
    assert explained["hedge_after_s"] == 0.1
    assert plain["hedge_after_s"] is None
