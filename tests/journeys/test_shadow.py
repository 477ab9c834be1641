"""Shadows as operators meet them: who sees what of them, what data protection and policies make of them, and the command line."""

import json

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.journeys.command_line import Workplace
from tests.journeys.running_gateway import running

CONFIG = """
server: {port: 0}
database: {kind: sqlite, path: data.db}
access: {bootstrap_key_file: first.key}
providers:
  house: {kind: scripted, document: script.yaml}
  cloud: {kind: scripted, document: script.yaml}
models:
  talk: {targets: [{provider: house, model: demo}], shadow: {model: next, share: 1}}
  next: {targets: [{provider: cloud, model: demo}], shadow: {model: talk, share: 1}}
protection:
  redact:
    leaving: {match: {providers: [cloud]}, find: [{kinds: [contact], action: placeholder}, {kinds: [secrets], action: block}]}
  guardrails:
    polite: {kind: words, words: [damn], match: {models: [next]}}
"""


class World:
    """A gateway with a shadow, its owner, and a tenant's key."""

    def __init__(self, gateway, http, owner):
        self.gateway = gateway
        self.http = http
        self.owner = owner

    async def make(self, path, **body):
        answer = await self.http.post(f"/admin/{path}", json=body, headers={"authorization": f"Bearer {self.owner}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def see(self, path="", key=None):
        return await self.http.get(f"/admin/shadows{path}", headers={"authorization": f"Bearer {key or self.owner}"})

    async def ask(self, text, key=None, model="talk"):
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        headers = {"authorization": f"Bearer {key or self.owner}"}
        answer = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    async def one(self):
        with anyio.fail_after(5):
            while not (data := (await self.see()).json()["data"]):
                await anyio.sleep(0.02)
        return (await self.see(f"/{data[0]['id']}")).json()

    async def counted(self, outcome):
        wanted = f'outcome="{outcome}"}} 1'
        with anyio.fail_after(5):
            while wanted not in self.gateway.application.metrics.render().decode():
                await anyio.sleep(0.02)


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
async def world(workplace):
    async with (
        running(workplace.directory, CONFIG) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
    ):
        owner = (workplace.directory / "first.key").read_text().strip()
        workplace.env["SWITCHGEAR_ADMIN_KEY"] = owner
        yield World(gateway, http, owner)


async def test_a_shadow_has_no_shadow(world):
    await world.ask("Hello")
    kept = await world.one()

    assert (kept["model"], kept["shadow_model"]) == ("talk", "next")
    assert len([record for record in world.gateway.records if record.shadow_of]) == 1


async def test_what_may_not_leave_is_not_kept_either(world):
    said = await world.ask("Write to jane.doe@example.com")
    kept = await world.one()

    assert said == "You said: Write to jane.doe@example.com"
    assert "jane.doe" not in json.dumps(kept)
    texts = [kept[side]["content"]["text"] for side in ("original", "shadow")]
    assert texts[0] == texts[1] != said
    assert kept["same"] is True


async def test_what_is_blocked_on_its_way_there_is_not_kept(world):
    await world.ask("My password=Canary-hunter2!")
    kept = await world.one()

    assert kept["shadow"]["error"] == "content_blocked"
    assert kept["original"]["withheld"] is True
    assert kept["original"]["content"] is None


async def test_guardrails_of_the_shadow_judge_its_copies(world):
    await world.ask("This damn thing")
    kept = await world.one()

    assert kept["shadow"]["error"] == "content_blocked"
    assert kept["original"]["content"] == {"text": "You said: This damn thing"}


async def test_who_may_not_use_the_shadows_model_has_no_copies(world):
    key = (await world.make("keys", name="narrow", models=["talk"]))["key"]
    await world.ask("Hello", key=key)

    await world.counted("skipped_policy")
    assert (await world.see()).json()["data"] == []
    assert [record.model for record in world.gateway.records if record.operation == "generate"] == ["talk"]


async def test_only_its_own_tenant_sees_a_comparison(world):
    acme = await world.make("tenants", name="Acme")
    other = await world.make("tenants", name="Globex")
    key = (await world.make("keys", name="app", tenant=acme["id"]))["key"]
    auditors = [
        (await world.make("keys", name="auditor", tenant=one["id"], role="auditor"))["key"] for one in (acme, other)
    ]
    await world.ask("Hello", key=key)
    kept = await world.one()

    assert kept["tenant"] == acme["id"]
    own, foreign = [await world.see(f"/{kept['id']}", key=one) for one in auditors]
    absent = await world.see("/call_000000000000000000000000", key=auditors[1])
    assert own.json() == kept
    assert (foreign.status_code, foreign.content) == (404, absent.content)
    assert (await world.see("", key=auditors[1])).json()["data"] == []
    assert (await world.see("/summary", key=auditors[1])).json()["data"] == []
    assert (await world.see("", key=key)).status_code == 403


async def test_comparisons_go_with_the_rows_of_the_ledger(world):
    await world.ask("Hello")
    await world.one()
    await world.make("retention", older_than_days=0)

    assert (await world.see()).json()["data"] == []


async def test_a_summary_over_http_has_shares_and_ratios(world):
    await world.ask("Hello")
    await world.one()
    [row] = (await world.see("/summary?model=talk&since=2026-01-01")).json()["data"]

    assert (row["calls"], row["same_share"], row["original"]["error_share"]) == (1, 1.0, 0.0)
    assert row["ratios"]["duration"] > 0
    assert (await world.see("/summary?model=nobody")).json()["data"] == []
    assert (await world.see("?since=yesterday")).status_code == 400
    assert (await world.see("?limit=0")).status_code == 400


async def test_the_command_line_shows_them(world, workplace):
    await world.ask("Hello")
    kept = await world.one()

    async def run(*args):
        done = await anyio.to_thread.run_sync(lambda: workplace.run("shadow", *args, "--url", world.gateway.url))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert kept["id"] in await run("list", "--model", "talk")
    shown = await run("show", kept["id"])
    assert shown.count("You said: Hello") == 2
    assert json.loads(await run("show", kept["id"], "--json")) == kept
    assert "talk" in await run("summary")


async def test_a_reload_may_take_the_shadow_away(world, workplace):
    workplace.write("switchgear.yaml", CONFIG.replace("shadow: {model: next, share: 1}", "description: Alone."))
    assert (await world.gateway.application.live.reload("test")).status == "applied"
    await world.ask("Hello")

    assert "switchgear_shadow_calls_total{" not in world.gateway.application.metrics.render().decode()
