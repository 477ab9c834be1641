"""Shadows through a real gateway and a real upstream: whatever becomes of a copy, the caller's answer is the same, and no later."""

import time
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest

from gateway.core.errors import StoreUnavailable
from gateway.stores.ledger import RowQuery
from gateway.stores.shadows import ShadowQuery
from tests.faults.faulty_upstream import APIS, asked, faulty_upstream
from tests.faults.upstream_faults import raw, refuse, silent, truncated_json
from tests.journeys.running_gateway import running

CONFIG = """
server: {{keys: ["env:KEY"]}}
database: {{kind: sqlite, path: data.db}}
access: {{bootstrap_key_file: first.key}}
prices: {{up/talker: {{input: 1000, output: 2000}}, up/shade: {{input: 1000, output: 2000}}}}
providers:
  up: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, responses, embeddings]}}
models:
  talker: {{targets: [{{provider: up, model: talker}}], shadow: {{model: shade, share: 1, timeout: 0.5, {more}}}}}
  shade: {{targets: [{{provider: up, model: shade}}], routing: {{retry: {{attempts: 1}}, breaker: {{failures: 1000, share: 1, least: 1000}}}}}}
"""
COMBINATIONS = [(api, stream) for api in ("chat", "responses", "messages") for stream in (False, True)] + [
    ("embeddings", False)
]
FAULTS = ("500", "400", "silent", "truncated", "closed")


class World:
    """A gateway, its upstream, and a client."""

    def __init__(self, gateway, upstream, http):
        self.gateway = gateway
        self.upstream = upstream
        self.http = http

    async def ask(self, api="chat", *, stream=False, **more):
        body = asked(api, stream=stream) | more
        answer = await self.http.post(APIS[api], json=body, headers={"authorization": "Bearer secret-key"})
        assert answer.status_code == 200
        return answer

    async def comparisons(self, count=1):
        store = self.gateway.application.governance.kept.shadows
        with anyio.fail_after(5):
            while len(found := await store.list(ShadowQuery(tenant=None, now=0.0))) < count:
                await anyio.sleep(0.01)
        return [await store.find(None, one.id, now=0.0) for one in found]

    def outcomes(self):
        lines = self.gateway.application.metrics.render().decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("switchgear_shadow_calls_total{")]
        return {line.split('outcome="')[1].split('"')[0]: int(value) for line, _, value in found}

    def copies_are(self, behave):
        async def either(peer, request):
            await (behave if b'"shade"' in request.body else self.upstream.answer_well)(peer, request)

        self.upstream.behave = either


@asynccontextmanager
async def shadowed(folder, more=""):
    (folder / "upstream").mkdir()
    async with faulty_upstream(folder / "upstream") as upstream:
        config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", more=more)
        async with (
            running(folder, config, environ={"KEY": "secret-key"}) as gateway,
            httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
        ):
            yield World(gateway, upstream, http)


@pytest.fixture
async def world(tmp_path):
    async with shadowed(tmp_path) as world:
        yield world


@pytest.mark.parametrize(("api", "stream"), COMBINATIONS)
async def test_both_answers_are_kept_side_by_side(world, api, stream):
    answer = await world.ask(api, stream=stream)

    [kept] = await world.comparisons()
    records = {record.shadow_of: record for record in world.gateway.records}
    original, copy = records[""], records[kept.call]
    assert kept.call == original.id == answer.headers["x-switchgear-call-id"]
    assert (kept.id, copy.caller, copy.model, copy.dialect) == (copy.id, "shadow", "shade", original.dialect)
    assert (kept.original.target, kept.shadow.target) == ("up/talker", "up/shade")
    assert (kept.same, kept.stream) == (True, stream)
    if api == "embeddings":
        assert kept.similarity == pytest.approx(1)
        assert kept.original.content == {"vectors": 1, "dimensions": 4}
    else:
        assert kept.original.content == kept.shadow.content == {"text": "one two three four five"}
    assert kept.original.cost_nano == kept.shadow.cost_nano == original.cost_nano > 0
    assert kept.original.first_token <= kept.original.duration


@pytest.mark.parametrize("behave", [refuse(500), refuse(400), silent, truncated_json, raw(b"", close=True)], ids=FAULTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_sees_nothing_of_a_shadow_that_fails(world, behave, stream):
    if behave is truncated_json:
        behave = truncated_json(world.upstream)
    world.copies_are(behave)
    expected = world.upstream.answers
    began = time.monotonic()
    more = {"stream_options": {"include_usage": True}} if stream else {}
    answer = await world.ask(stream=stream, **more)
    took = time.monotonic() - began

    whole = b"".join(expected.events["chat"]) if stream else expected.documents["chat"]
    assert answer.content == whole
    assert took < 0.4
    [kept] = await world.comparisons()
    assert kept.shadow.error
    assert kept.original.error == ""
    assert kept.same is None
    assert world.outcomes() == {"failed": 1}


async def test_a_slow_shadow_is_ended_after_its_time(world):
    world.copies_are(silent)
    await world.ask()

    [kept] = await world.comparisons()
    assert kept.shadow.error == "shadow_timeout"
    assert kept.shadow.duration == pytest.approx(0.5, abs=0.3)


async def test_no_more_than_so_many_are_on_their_way_at_once(tmp_path):
    async with shadowed(tmp_path, "most: 2") as world:
        world.copies_are(silent)
        for _ in range(5):
            await world.ask()

        assert world.outcomes() == {"skipped_busy": 3}
        assert len(await world.comparisons(2)) == 2


async def test_a_budget_of_calls_and_of_dollars_is_kept(tmp_path):
    async with shadowed(tmp_path, "budget: {calls_per_minute: 2}") as world:
        for _ in range(3):
            await world.ask()
        await world.comparisons(2)

        assert world.outcomes() == {"sent": 2, "skipped_budget": 1}


async def test_a_budget_of_dollars_is_kept(tmp_path):
    async with shadowed(tmp_path, "budget: {usd_per_day: 0.000001}") as world:
        for _ in range(3):
            await world.ask()
            await world.comparisons(1)

        assert world.outcomes() == {"sent": 1, "skipped_budget": 2}


@pytest.mark.parametrize(
    ("api", "fields", "outcome"),
    [
        ("responses", {"tools": [{"type": "web_search"}]}, "skipped_tools"),
        ("responses", {"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://x"}]}, "skipped_tools"),
        ("chat", {"web_search_options": {}}, "skipped_tools"),
        ("responses", {"previous_response_id": "resp_1"}, "skipped_state"),
        ("responses", {"conversation": "conv_1"}, "skipped_state"),
        ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "skipped_state"),
        ("responses", {"background": True}, "skipped_state"),
        ("chat", {"messages": [{"role": "user", "content": "x" * 1_048_577}]}, "skipped_size"),
    ],
)
async def test_a_call_that_would_do_something_has_no_shadow(world, api, fields, outcome):
    await world.ask(api, **fields)

    assert world.outcomes() == {outcome: 1}
    assert len(world.upstream.asked) == 1


async def test_a_copy_leaves_nothing_at_its_provider(world):
    await world.ask("responses", metadata={"a": "b"})
    await world.ask("chat", store=True, metadata={"a": "b"})
    await world.comparisons(2)

    bodies = [one.body for one in world.upstream.asked]
    assert [b'"store":true' in body.replace(b" ", b"") for body in bodies] == [False, False, True, False]
    assert b'"store":false' in bodies[1].replace(b" ", b"")
    assert [b'"metadata"' in body for body in bodies] == [True, True, True, False]


async def test_functions_of_the_client_are_proposed_and_no_more(world):
    tool = {"type": "function", "function": {"name": "delete_everything", "parameters": {"type": "object"}}}
    await world.ask(tools=[tool])
    await world.comparisons()

    assert world.outcomes() == {"sent": 1}


async def test_a_copy_is_charged_to_nobody(world):
    await world.ask()
    [kept] = await world.comparisons()
    world.gateway.application.recorder.flush()

    ledger = world.gateway.application.governance.services.the_ledger
    with anyio.fail_after(5):
        while len(rows := (await ledger.find_rows(RowQuery())).rows) < 2:
            await anyio.sleep(0.05)
    copy, original = sorted(rows, key=lambda row: row.kind, reverse=True)
    assert (copy.kind, copy.parent, copy.key, copy.team, copy.tags) == ("shadow", kept.call, "shadow", "", {})
    assert (original.kind, original.parent, original.id) == ("call", "", kept.call)
    assert copy.cost_nano == original.cost_nano


async def test_comparisons_wait_for_a_store_that_is_away_and_callers_do_not(world, monkeypatch):
    store = world.gateway.application.shadowing._store
    away = True
    add = store.add

    async def refuse_while_away(some):
        if away:
            raise StoreUnavailable("The database is away.")
        await add(some)

    monkeypatch.setattr(store, "add", refuse_while_away)
    monkeypatch.setattr("gateway.pipeline.shadowing._AGAIN_SECONDS", 0.05)
    began = time.monotonic()
    for _ in range(3):
        await world.ask()
    assert time.monotonic() - began < 0.5
    with anyio.fail_after(5):
        while world.outcomes().get("sent") != 3:
            await anyio.sleep(0.01)
    away = False

    assert len(await world.comparisons(3)) == 3


async def test_the_end_of_the_process_drops_what_is_in_flight_and_says_so(tmp_path):
    async with shadowed(tmp_path, "most: 3") as world:
        world.copies_are(silent)
        for _ in range(2):
            await world.ask()
        application = world.gateway.application
    began = time.monotonic()

    assert world.outcomes() == {"dropped": 2}
    assert time.monotonic() - began < 1
    copies = [record for record in world.gateway.records if record.shadow_of]
    assert [record.error for record in copies] == ["unavailable"] * 2
    assert application.live.current().idle
