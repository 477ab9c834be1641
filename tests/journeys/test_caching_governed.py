"""The cache beside everything else that surrounds a call: data protection, limits and budgets, the ledger, the log, batches' operator."""

import json

import anyio
import httpx2
import msgspec
import pytest

from tests.faults.faulty_upstream import APIS, asked
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: fruit}, say: "It was a forbidden fruit.", usage: {input: 50, output: 50}}
      - {say: "You said: {input}", usage: {input: 50, output: 50}}
"""
CONFIG = """
database: {kind: sqlite, path: data/x.db}
access: {bootstrap_key_file: data/first.key}
providers: {play: {kind: scripted, document: script.yaml}}
prices: {talker: {input: 1000, output: 1000, cache_read: 0, cache_write: 0}}
limits:
  calls: {limit: 1000, per: [key]}
  tokens: {count: tokens, limit: 10000, per: [key]}
  money: {count: cost, limit: 2.0, per: [key], match: {model: [dear]}}
protection:
  redact:
    mail: {match: {models: [redacted]}, find: [{kinds: [contact], action: placeholder}]}
  guardrails:
    topics: {kind: words, words: [Project Titan], match: {models: [guarded]}}
    manners: {kind: words, words: [forbidden fruit], when: output, mode: MODE, match: {models: [guarded]}}
cache: {models: {mode: exact, pace: 0}}
models:
  talker: play/talker
  dear: play/talker
  guarded: play/talker
  redacted: play/talker
"""


class World:
    def __init__(self, folder, gateway, http, key):
        self.folder = folder
        self.gateway = gateway
        self.http = http
        self.headers = {"authorization": f"Bearer {key}"}

    async def ask(self, model, text, *, stream=False, api="chat"):
        return await self.http.post(
            APIS[api], json=asked(api, stream=stream, model=model, text=text), headers=self.headers
        )

    async def told(self, *args, **more):
        return (await self.ask(*args, **more)).headers.get("x-switchgear-cache")

    async def admin(self, path):
        return (await self.http.get(path, headers=self.headers)).json()


@pytest.fixture(params=["buffer", "window"])
async def world(tmp_path, request):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = CONFIG.replace("MODE", request.param)
    async with running(tmp_path, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield World(tmp_path, gateway, http, (tmp_path / "data/first.key").read_text().strip())


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_guardrail_stopped_is_never_given_again(world, stream):
    answers = [await world.ask("guarded", "Which fruit?", stream=stream) for _ in range(2)]

    assert [answer.headers["x-switchgear-cache"] for answer in answers] == ["miss", "miss"]
    assert all("forbidden fruit" not in answer.text and "content_filter" in answer.text for answer in answers)
    assert world.gateway.application.caching.store.held().entries == 0


async def test_a_guarded_model_has_a_cache_like_any_other(world):
    told = [await world.told("guarded", "Hello", stream=stream) for stream in (False, True, False)]

    assert told == ["miss", "exact", "exact"]


async def test_what_may_not_be_asked_is_refused_also_when_the_answer_is_known(world):
    """Guardrails on what goes in stand before the cache: with the guardrail's document the key changes, too."""
    refused = await world.ask("guarded", "Tell me of Project Titan")

    assert refused.status_code == 400
    assert "x-switchgear-cache" not in refused.headers


async def test_an_answer_from_the_cache_is_judged_by_the_guardrails_of_now(world):
    """A reload that forbids what is kept: it is not given any more."""
    await world.ask("guarded", "Hello apple")
    path = world.folder / "switchgear.yaml"
    path.write_text(path.read_text().replace("[forbidden fruit]", "[apple]"))
    await world.gateway.application.live.reload("test")
    answer = await world.ask("guarded", "Hello apple")

    assert answer.headers["x-switchgear-cache"] == "miss", "another policy is another key"
    assert "apple" not in answer.json()["choices"][0]["message"]["content"]


async def test_what_was_redacted_is_not_kept(world):
    told = [await world.told("redacted", "Write to jane.doe@example.com") for _ in range(2)]
    plain = [await world.told("redacted", "Write to nobody") for _ in range(2)]

    assert told == ["miss", "miss"]
    assert plain == ["miss", "exact"]


async def test_hits_count_as_calls_and_give_tokens_and_money_back(world):
    """A budget of 2 dollars, of which an answer costs 0.1, and more than 1 is put aside for each call."""
    statuses = [(await world.ask("dear", "Is it dear?")).status_code for _ in range(20)]
    with anyio.fail_after(10):
        # What an answer does not need is given back a moment after it.
        while int((last := await world.ask("dear", "Is it dear?")).headers["x-ratelimit-remaining-tokens"]) < 9_000:
            await anyio.sleep(0.02)
    other = [(await world.ask("dear", f"Another {number}")).status_code for number in range(45)]

    assert statuses == [200] * 20
    assert int(last.headers["x-ratelimit-remaining-requests"]) <= 980
    assert other[-1] == 429, "what is asked is paid for"


async def test_the_ledger_has_a_row_that_cost_nothing_and_says_what_it_saved(world):
    first = await world.ask("talker", "For the books")
    second = await world.ask("talker", "For the books", stream=True)
    one, other = [
        await world.admin(f"/admin/calls/{answer.headers['x-switchgear-call-id']}") for answer in (first, second)
    ]

    assert (one["kind"], one["cache"], one["cost"], one["saved_tokens"]) == ("call", "miss", "0.1", None)
    assert (other["kind"], other["cache"], other["cost"]) == ("cache_hit", "exact", "0")
    assert (other["input"], other["output"], other["total_cost"]) == (0, 0, "0")
    assert (other["saved_tokens"], other["saved_cost"]) == (100, "0.1")
    assert other["cache_entry"] == one["cache_entry"] == second.headers["x-switchgear-cache-entry"]
    usage = (await world.admin("/admin/usage?by=kind&model=talker"))["data"]
    assert {row["kind"]: row["cost"] for row in usage} == {"call": "0.1", "cache_hit": "0"}


async def test_the_log_line_says_how_the_answer_stood_and_nothing_of_it(world):
    """The line is the record, as it is."""
    for _ in range(2):
        await world.ask("talker", "a-canary-in-the-log")
    said = msgspec.json.encode(world.gateway.records)
    lines = json.loads(said)

    assert [(line["cache"], line["saved"] is None) for line in lines] == [("miss", True), ("exact", False)]
    assert b"a-canary-in-the-log" not in said
