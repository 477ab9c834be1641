"""Clients that leave a stream at chunk 0, 1 and n, in three dialects: each is accounted for once, and holds nothing afterwards."""

import json
import time
from decimal import Decimal

import anyio
import pytest

from gateway.accounting.limits.wording import dollars
from tests.faults.faulty_upstream import APIS, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.faults.governed_gateways import ACCESS, BOUNDS, DIALECTS, PATIENCE, governed, rows_of
from tests.servers import missing_servers

AT = ("0", "1", "n")
CONFIG = """
{access}
{redis}
database: {{kind: sqlite, path: data/switchgear.db}}
server: {{keep_alive_interval: 0}}
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
models: {{{models}}}
prices: {{talker: {{input: 1, output: 2}}}}
limits:
  one-at-once: {{count: concurrent, limit: 1, per: [model]}}
  a-dollar: {{count: cost, limit: 1, window: day, per: [model]}}
  words: {{count: tokens, limit: 10000000, window: hour, per: [model]}}
"""
KEY = {"BACK_KEY": "a-key-for-the-back"}
WITHIN = 2.0  # seconds for the upstream to be left; seen: some milliseconds
WHERE = ["in process", *(["in Redis"] if "redis" not in missing_servers() else [])]


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module", params=WHERE)
async def gateway(request, upstream, tmp_path_factory):
    redis, environ = "", dict(KEY)
    if request.param == "in Redis":
        server = request.getfixturevalue("redis_server")
        server.ask("FLUSHALL")
        redis, environ["REDIS_URL"] = "redis: {url: env:REDIS_URL}", server.url
    models = ", ".join(f"{dialect}-{at}: {dialect}/talker" for dialect in DIALECTS for at in AT)
    config = CONFIG.format(access=ACCESS, redis=redis, models=models, url=f"http://127.0.0.1:{upstream.port}")
    async with governed([tmp_path_factory.mktemp("gateway")], config, environ) as [replica]:
        yield replica


class Halting:
    """An upstream that lets so many events of its stream out, then waits until it is left."""

    def __init__(self, upstream, at):
        self._upstream = upstream
        self._at = at
        self.reached = anyio.Event()
        self.left = anyio.Event()

    async def __call__(self, peer, request):
        events = self._upstream.answers.events[request.api]
        spoken = next(number for number, event in enumerate(events) if b"three" in event)
        await peer.send(STREAM_HEAD + b"".join(map(chunk, events[: {"0": 0, "1": 1, "n": spoken + 1}[self._at]])))
        self.reached.set()
        await peer.left()
        self.left.set()


async def begin(gateway, dialect, at):
    """Ask for a stream, and read as much of it as there will be."""
    body = asked(dialect, stream=True, model=f"{dialect}-{at}") | {BOUNDS[dialect]: 1000}
    data = json.dumps(body).encode()
    head = f"POST {APIS[dialect]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\ncontent-type: application/json\r\n"
    client = await anyio.connect_tcp("127.0.0.1", gateway.port)
    await client.send(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
    return client


async def see(client, wanted):
    seen = b""
    while wanted not in seen:
        seen += await client.receive()


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_who_leaves_is_in_the_ledger_once_and_holds_nothing_back(gateway, upstream, dialect, at):
    model = f"{dialect}-{at}"
    halting = upstream.behave = Halting(upstream, at)
    with anyio.fail_after(PATIENCE):
        client = await begin(gateway, dialect, at)
        await halting.reached.wait()
        if at != "0":
            await see(client, {"1": b"data: ", "n": b"three"}[at])
        full = await gateway.ask(dialect, model=model)
        began = time.monotonic()
        await client.aclose()
        await halting.left.wait()

    assert time.monotonic() - began < WITHIN
    assert (full.status, full.error["code"]) == (429, "rate_limit_exceeded")
    assert "one-at-once" in full.error["message"]
    rows = {row["status"]: row for row in await rows_of([gateway], 2, model=model)}
    assert sorted(rows) == [429, 499]
    left = rows[499]
    assert (left["error"], left["stream"], left["estimated"]) == ("client_left", True, True)
    assert left["input"] > 0
    # Words that were sent; more than the first event says nothing yet.
    assert left["output"] >= 3 if at == "n" else left["output"] in (0, 1)
    assert Decimal(left["cost"]) == (left["input"] + 2 * left["output"]) * Decimal("0.000001")
    await check_settled(gateway, upstream, dialect, model, Decimal(left["cost"]))


async def check_settled(gateway, upstream, dialect, model, cost):
    """The budget has spent what the ledger says, and the place is free."""
    assert await gateway.metric("switchgear_limit_reservations") == 0
    said = f"{dollars(int(cost * 10**9))} are spent"
    with anyio.fail_after(PATIENCE):
        while said not in (await gateway.ask(dialect, model=model, most=600_000)).error["message"]:
            await anyio.sleep(0.02)
    upstream.behave = upstream.answer_well
    whole = await gateway.ask(dialect, model=model, stream=True)
    assert whole.status == 200
    await rows_of([gateway], 1, model=model, id=whole.call)
    statuses = [row["status"] for row in await gateway.rows(model=model)]
    assert (statuses.count(499), statuses.count(200)) == (1, 1)
