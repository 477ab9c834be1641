"""Parts of routing that are configured together, over HTTP: what explain says of them, and what the record and the answer's head then say."""

import anyio
import httpx2
import pytest

from tests.contract.upstream_faulty_server import until
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  small: {answers: [{when: {contains: poem}, refuse: I write no poems.}, {say: small}]}
  large: {answers: [{say: large}]}
  slow: {answers: [{say: slow, delay: 0.4}]}
"""
CONFIG = """
providers:
  script: {kind: scripted, document: script.yaml}
routing:
  hedge: {after: 0.1, least: 0.1, most: 0.1, share: 1}
models:
  versioned:
    versions:
      careful:
        targets: [{provider: script, model: small}, {provider: script, model: large}]
        routing: {strategy: cascade}
      quick:
        targets: [{provider: script, model: slow}, {provider: script, model: large}]
    active: careful
  narrow:
    targets: [{provider: script, model: slow, concurrency: 1}, {provider: script, model: narrow, concurrency: 1}]
    routing: {strategy: fallback}
"""
CHAT = "/v1/chat/completions"


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT + "  narrow: {answers: [{say: narrow, delay: 0.4}]}\n")
    async with running(tmp_path, CONFIG) as gateway:
        yield gateway


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield http


def body(model, text="hello"):
    return {"model": model, "messages": [{"role": "user", "content": text}]}


async def explained(http, model):
    return (await http.post("/v1/route/explain", json=body(model))).json()


async def test_a_version_that_is_a_cascade_stays_told_to_the_end(gateway, http):
    before = await explained(http, "versioned")
    assert await explained(http, "versioned") == before
    assert (before["version"], before["chosen"], before["hedge_after_s"]) == ("careful", "script/small", None)

    answer = await http.post(CHAT, json=body("versioned", "a poem"))

    [record] = gateway.records
    assert answer.headers["x-switchgear-version"] == "careful"
    assert answer.headers["x-switchgear-target"] == "script/large"
    assert (record.version, [(each.target, each.why) for each in record.beside]) == (
        "careful",
        [("script/small", "cascade")],
    )


async def test_a_version_that_is_hedged_stays_told_too(gateway, http):
    gateway.application.live._surroundings.splits.of("versioned").set((("quick", 1.0),), "salt", 0.0)
    assert (await explained(http, "versioned"))["hedge_after_s"] == 0.1

    answer = await http.post(CHAT, json=body("versioned"))

    [record] = gateway.records
    assert (answer.headers["x-switchgear-version"], answer.headers["x-switchgear-target"]) == ("quick", "script/large")
    assert (record.version, [each.why for each in record.beside]) == ("quick", ["hedge"])


async def test_who_waits_for_a_place_is_not_hedged_and_explain_says_so(gateway, http):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post(CHAT, json=body("narrow")))
        gates = [seat.gate for seat in gateway.application.live.current().routes["narrow"].pool.seats]
        await until(lambda: [gate.taken for gate in gates] == [1, 1])  # the first is hedged

        said = await explained(http, "narrow")
        answer = await http.post(CHAT, json=body("narrow"))

    assert (said["chosen"], said["hedge_after_s"]) == (None, None)
    assert answer.headers["x-switchgear-degraded"] == "queue"
    assert [gate.taken for gate in gates] == [0, 0]
