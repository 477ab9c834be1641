"""Similar questions answered from the cache, over HTTP: what callers see, what scores and administrators do, and what tenants never see."""

import signal
import time

import anyio
import httpx2
import openai
import pytest

from tests.journeys.embedding_upstream import embedding_upstream
from tests.journeys.running_gateway import running
from tests.qdrant_double import qdrant_double

CONFIG = """
server: {port: 0}
database: {kind: sqlite, path: data.db}
access: {bootstrap_key_file: first.key}
providers:
  script: {kind: scripted, document: script.yaml}
  letters: {kind: openai_compatible, base_url: "env:LETTERS"}
cache: {embedding: letters-1EXTRA}
models:
  demo: {targets: [{provider: script, model: demo}], cache: {mode: semantic, semantic: {threshold: 0.7SETTINGS}}}
  judge: script/judge
  letters-1: letters/letters-1
"""
SCRIPT = 'models: {demo: {answers: [{say: "You said: {input}"}]}, judge: {answers: [{say: "no"}]}}'
ASKED = "How do I reset my password?"
SAME = "How can I reset my password?"


class Front:
    def __init__(self, gateway, http, owner):
        self.gateway = gateway
        self.http = http
        self.owner = {"authorization": f"Bearer {owner}"}

    async def ask(self, text, *, key=None, **body):
        who = self.owner if key is None else {"authorization": f"Bearer {key}"}
        asked = {"model": "demo", "messages": [{"role": "user", "content": text}], **body}
        answer = await self.http.post("/v1/chat/completions", json=asked, headers=who)
        assert answer.status_code == 200, answer.text
        return answer

    async def status(self, text, **more):
        return (await self.ask(text, **more)).headers["x-switchgear-cache"]

    async def stats(self):
        return (await self.http.get("/admin/cache/stats", headers=self.owner)).json()["semantic"]

    async def recorded(self, answer):
        """The id of a call, once it can be found."""
        call = answer.headers["x-switchgear-call-id"]
        with anyio.fail_after(10):
            while (await self.http.get(f"/v1/calls/{call}/scores", headers=self.owner)).status_code == 404:
                self.gateway.application.recorder.flush()
                await anyio.sleep(0.02)
        return call

    async def score(self, answer, value):
        """What is said of an answer, at once."""
        call = answer.headers["x-switchgear-call-id"]
        body = {"name": "thumb", "value": value}
        return await self.http.post(f"/v1/calls/{call}/scores", json=body, headers=self.owner)

    async def tenant(self, name, role="member"):
        tenant = (await self.http.post("/admin/tenants", json={"name": name}, headers=self.owner)).json()["id"]
        body = {"name": name, "tenant": tenant, **({"role": role} if role else {})}
        answer = await self.http.post("/admin/keys", json=body, headers=self.owner)
        return answer.json()["key"]


@pytest.fixture
async def front(tmp_path, request):
    extra, settings, environ = getattr(request, "param", ("", "", {}))
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = CONFIG.replace("EXTRA", extra).replace("SETTINGS", settings)
    async with embedding_upstream() as letters:
        config = config.replace('"env:LETTERS"', letters)
        async with (
            running(tmp_path, config, environ=environ) as gateway,
            httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
        ):
            yield Front(gateway, http, (tmp_path / "first.key").read_text().strip())


async def test_another_wording_gets_the_same_answer_and_is_told_so(front):
    assert await front.status(ASKED) == "miss; nothing_similar"

    answer = await front.ask(SAME)

    assert answer.headers["x-switchgear-cache"] == "semantic"
    assert float(answer.headers["x-switchgear-cache-similarity"]) > 0.7
    assert answer.json()["choices"][0]["message"]["content"] == f"You said: {ASKED}"
    assert answer.json()["usage"]["total_tokens"] >= 0


async def test_a_question_with_another_number_gets_its_own_answer(front):
    await front.ask("How do I reset 3 passwords?")

    assert await front.status("How do I reset 4 passwords?") == "miss; guard_numbers"


async def test_a_semantic_hit_streams_through_the_official_client(front):
    await front.ask(ASKED)
    client = openai.AsyncOpenAI(base_url=f"{front.gateway.url}/v1", api_key=front.owner["authorization"][7:])
    stream = await client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": SAME}], stream=True
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    await client.close()

    assert text == f"You said: {ASKED}"


async def test_two_tenants_with_the_same_question_share_nothing(front):
    """The one promise that has no setting."""
    one, other = await front.tenant("one"), await front.tenant("other")
    await front.ask(ASKED, key=one)

    assert await front.status(SAME, key=other) == "miss; nothing_similar"
    assert await front.status(ASKED, key=other) != "exact"
    assert await front.status("How could I reset my password?", key=one) == "semantic"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"max_tokens": 77},
        {"stop": ["x"]},
        {"seed": 7},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SAME}]},
    ],
)
async def test_a_similar_question_with_other_parameters_shares_nothing(front, change):
    await front.ask(ASKED)

    assert (await front.status(SAME, **change)).startswith("miss")


async def test_conversations_are_not_answered_from_similar_ones(front):
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]
    await front.ask("", messages=[*history, {"role": "user", "content": ASKED}])

    assert (await front.status("", messages=[*history, {"role": "user", "content": SAME}])).startswith("miss")


async def test_a_thumbs_down_evicts_the_answer(front):
    await front.ask(ASKED)
    hit = await front.ask(SAME)
    call = await front.recorded(hit)

    scored = await front.http.post(
        f"/v1/calls/{call}/scores", json={"name": "thumb", "value": False}, headers=front.owner
    )

    assert scored.status_code == 201, scored.text
    assert scored.json()["evicted"] == hit.headers["x-switchgear-cache-entry"]
    assert await front.status("How could I reset my password?") == "miss; nothing_similar"


async def test_a_thumbs_down_of_an_exact_hit_evicts_it_as_well(front):
    await front.ask(ASKED)
    hit = await front.ask(ASKED)
    assert hit.headers["x-switchgear-cache"] == "exact"

    call = await front.recorded(hit)
    await front.http.post(f"/v1/calls/{call}/scores", json={"name": "thumb", "value": 0}, headers=front.owner)

    assert (await front.status(ASKED)).startswith("miss")


async def test_a_thumbs_down_evicts_where_there_is_no_database_and_no_embedding_as_well(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = """
server: {port: 0}
providers: {script: {kind: scripted, document: script.yaml}}
models: {demo: {targets: [{provider: script, model: demo}], cache: exact}}
"""
    async with running(tmp_path, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        front = Front(gateway, http, "none")
        front.owner = {}
        await front.ask(ASKED)
        scored = await front.score(await front.ask(ASKED), 0)

        assert scored.json()["evicted"]
        assert (await front.status(ASKED)).startswith("miss")

        hit = await front.ask(ASKED)
        assert "evicted" not in (await front.score(hit, True)).json()
        again = await front.score(hit, False)
        assert (again.status_code, again.json()["value"], "evicted" in again.json()) == (200, 1.0, True)


async def test_a_thumbs_down_right_after_the_answer_evicts_at_once(front):
    """Records are handed on in batches, and rows are written later still: who clicks at once waits for neither."""
    for text, found in ((ASKED, "exact"), (SAME, "semantic")):
        await front.ask(ASKED)
        hit = await front.ask(text)
        assert hit.headers["x-switchgear-cache"] == found

        scored = await front.score(hit, False)

        assert scored.status_code == 201, scored.text
        assert scored.json()["evicted"] == hit.headers["x-switchgear-cache-entry"]


async def test_an_answer_of_the_model_can_be_scored_right_after_it_as_well(front):
    scored = await front.score(await front.ask(ASKED), False)

    assert (scored.status_code, "evicted" in scored.json()) == (201, False)
    assert await front.status(ASKED) == "exact"


async def test_a_call_that_never_was_is_not_waited_for(front):
    began = time.monotonic()
    answers = [await front.http.get(f"/v1/calls/call_none{number}/scores", headers=front.owner) for number in range(10)]

    assert {answer.status_code for answer in answers} == {404}
    assert time.monotonic() - began < 5


async def test_who_thinks_better_of_it_evicts_what_was_praised(front):
    """The score that stands is the first; the answer goes all the same."""
    await front.ask(ASKED)
    hit = await front.ask(SAME)
    assert (await front.score(hit, 1)).status_code == 201

    again = await front.score(hit, False)

    assert (again.status_code, again.json()["value"]) == (200, 1.0)
    assert again.json()["evicted"] == hit.headers["x-switchgear-cache-entry"]
    assert (await front.status("How could I reset my password?")).startswith("miss")
    listed = await front.http.get(f"/v1/calls/{again.json()['call']}/scores", headers=front.owner)
    assert [one["value"] for one in listed.json()["data"]] == [1.0]
    assert (await front.score(hit, False)).status_code == 409
    assert (await front.score(hit, 1)).status_code == 409


async def test_a_thumbs_down_of_a_miss_evicts_nothing(front):
    made = await front.ask(ASKED)
    call = await front.recorded(made)

    scored = await front.http.post(f"/v1/calls/{call}/scores", json={"name": "thumb", "value": 0}, headers=front.owner)

    assert "evicted" not in scored.json()
    assert await front.status(ASKED) == "exact"


async def test_an_administrator_sees_how_it_does_and_switches_it(front):
    await front.ask(ASKED)
    await front.ask(SAME)
    (stats,) = await front.stats()
    assert (stats["model"], stats["on"], stats["hits"], stats["searches"]) == ("demo", True, 1, 2)

    path = "/admin/models/demo/semantic-cache"
    answer = await front.http.post(path, json={"on": False, "why": "a try"}, headers=front.owner)
    assert answer.json() == {"object": "semantic_cache", "model": "demo", "on": False}
    assert await front.status("How could I reset my password?") == "miss; switched_off"
    await front.http.post(path, json={"on": True}, headers=front.owner)

    assert await front.status("How might I reset my password?") == "semantic"
    unknown = await front.http.post("/admin/models/nobody/semantic-cache", json={"on": True}, headers=front.owner)
    assert unknown.status_code == 404


async def test_only_who_may_switches_it(front):
    key = await front.tenant("acme", role="admin")
    answer = await front.http.post(
        "/admin/models/demo/semantic-cache", json={"on": False}, headers={"authorization": f"Bearer {key}"}
    )

    assert answer.status_code == 403
    assert (await front.stats())[0]["on"]


@pytest.mark.parametrize("front", [("", ", verifier: {model: judge}", {})], indirect=True)
async def test_a_verifier_has_the_last_word_and_a_record_of_its_own(front):
    await front.ask(ASKED)

    assert await front.status(SAME) == "miss; verifier_no"

    records = {record.model: record for record in front.gateway.records}
    assert records["judge"].caller == "cache"
    assert records["letters-1"].operation == "embed"


@pytest.mark.parametrize("front", [("", ", audit: {share: 1.0}", {})], indirect=True)
async def test_an_audit_asks_the_model_again_beside_the_call(front):
    await front.ask(ASKED)
    await front.ask(SAME)
    with anyio.fail_after(10):
        while not (await front.stats())[0]["false_hits"]["audited"]:
            await anyio.sleep(0.02)

    again = [record for record in front.gateway.records if record.caller == "cache" and record.model == "demo"]
    assert len(again) == 1
    assert again[0].tenant == "default"


async def test_what_was_kept_before_a_reload_is_found_after_it(front, tmp_path):
    await front.ask(ASKED)
    path = tmp_path / "switchgear.yaml"
    path.write_text(path.read_text().replace("models:\n", "models:\n  more: script/demo\n", 1))
    await front.http.post("/admin/reload", headers=front.owner)
    assert (await front.stats())[0]["searches"] == 1

    assert await front.status(SAME) == "semantic"


async def test_a_qdrant_that_is_stopped_under_traffic_costs_no_call_and_soon_no_time(tmp_path):
    """SIGSTOP: it takes connections, and answers nothing."""
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with embedding_upstream() as letters, qdrant_double() as double:
        extra = f", qdrant: {{url: '{double.url}', timeout: 0.1}}"
        config = CONFIG.replace("EXTRA", extra).replace("SETTINGS", "").replace('"env:LETTERS"', letters)
        async with (
            running(tmp_path, config) as gateway,
            httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
        ):
            front = Front(gateway, http, (tmp_path / "first.key").read_text().strip())
            await front.ask(ASKED)
            with anyio.fail_after(10):
                asked = SAME
                while await front.status(asked) != "semantic":
                    asked += "!"  # what was asked before has an answer of its own by now
                    await anyio.sleep(0.02)

            double.process.send_signal(signal.SIGSTOP)
            took = []
            for number in range(40):
                begun = time.perf_counter()
                await front.ask(f"Question number {number}?")
                took.append(time.perf_counter() - begun)
            double.process.send_signal(signal.SIGCONT)

            assert max(took[:5]) < 3
            assert sorted(took[10:])[-2] < 0.1
            assert await front.status("A last one?") in ("miss; index_unavailable", "miss; nothing_similar")
            with anyio.fail_after(20):
                while (await front.status(f"What is it? {time.monotonic_ns()}")) == "miss; index_unavailable":
                    await anyio.sleep(0.05)
