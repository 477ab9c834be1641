"""The cache as operators meet it: what it keeps, on two replicas with one Redis, taking entries out of it, and the command line."""

import json
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.journeys.command_line import Workplace
from tests.journeys.running_gateway import running
from tests.servers import RedisServer, redis_server

CONFIG = """
server: {port: 0}
database: {kind: sqlite, path: data.db}
access: {bootstrap_key_file: first.key}
providers:
  script: {kind: scripted, document: script.yaml}
models:
  demo: {targets: [{provider: script, model: demo}], cache: exact}
  free: {targets: [{provider: script, model: demo-too}], cache: exact}
"""
SHARED = CONFIG + "redis: {url: env:REDIS_URL}\n"


class Front:
    """One replica, and who administers it."""

    def __init__(self, gateway, http, owner):
        self.gateway = gateway
        self.http = http
        self.owner = {"authorization": f"Bearer {owner}"}

    async def ask(self, text, *, model="demo", key=None, **headers):
        """Ask; how the answer stands to the cache, and its text."""
        who = self.owner if key is None else {"authorization": f"Bearer {key}"}
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        answer = await self.http.post("/v1/chat/completions", json=body, headers={**who, **headers})
        assert answer.status_code == 200, answer.text
        status = answer.headers["x-switchgear-cache"].partition(";")[0]
        return status, answer.json()["choices"][0]["message"]["content"]

    async def admin(self, method="GET", path="", key=None, **params):
        who = self.owner if key is None else {"authorization": f"Bearer {key}"}
        return await self.http.request(method, f"/admin/cache{path}", params=params, headers=who)

    async def metric(self, name):
        text = (await self.http.get("/metrics", headers=self.owner)).text
        return [line for line in text.splitlines() if line.startswith(name)]

    async def up(self, *, up=True):
        """Wait until Redis is there, or known to be lost."""
        with anyio.fail_after(15):
            while (await self.metric("switchgear_cache_redis_up")) != [f"switchgear_cache_redis_up {int(up)}"]:
                await anyio.sleep(0.02)

    async def shared(self, count):
        """Wait until Redis has so many entries."""
        with anyio.fail_after(10):
            while len((await self.admin()).json()["data"]) != count:
                await anyio.sleep(0.02)


@asynccontextmanager
async def front(workplace, config, environ=None):
    async with (
        running(workplace.directory, config, environ=environ) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
    ):
        owner = (workplace.directory / "first.key").read_text().strip()
        workplace.env |= {"SWITCHGEAR_ADMIN_KEY": owner, "SWITCHGEAR_URL": gateway.url}
        yield Front(gateway, http, owner)


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture(name="redis_server")
def _redis_server() -> Iterator[RedisServer]:
    with redis_server() as running_server:
        yield running_server


async def test_an_answer_is_kept_listed_shown_and_removed(workplace):
    async with front(workplace, CONFIG) as one:
        first, second = await one.ask("What is a busbar?"), await one.ask("What is a busbar?")
        assert [first[0], second[0]] == ["miss", "exact"]
        listed = (await one.admin()).json()["data"]
        [entry] = listed
        assert (entry["tenant"], entry["model"], entry["operation"]) == ("default", "demo", "generate")
        shown = (await one.admin(path=f"/{entry['id']}")).json()
        assert shown["answer"]["items"][0]["parts"][0]["text"] == first[1]
        assert (shown["question"], shown["semantic"]) == ("What is a busbar?", False)
        assert [record.cache for record in one.gateway.records] == ["miss", "exact"]  # and metrics have them as well
        stats = (await one.admin(path="/stats")).json()
        assert {one["cache"]: one["calls"] for one in stats["calls"]} == {"miss": 1, "exact": 1}

        assert (await one.admin("DELETE", model="free")).json()["entries"] == 0
        assert (await one.admin("DELETE", model="demo", dry_run=True)).json()["first"] == [entry["id"]]
        assert (await one.ask("What is a busbar?"))[0] == "exact"
        assert (await one.admin("DELETE", model="demo")).json()["entries"] == 1
        assert (await one.ask("What is a busbar?"))[0] == "miss"
        assert 'switchgear_cache_let_go_total{reason="removed"} 1' in await one.metric("switchgear_cache_let_go_total")


async def test_a_tenants_administrator_removes_its_own_answers_alone(workplace):
    async with front(workplace, CONFIG) as one:
        keys = []
        for name in ("a", "b"):
            tenant = (await one.http.post("/admin/tenants", json={"name": name}, headers=one.owner)).json()["id"]
            body = {"name": name, "tenant": tenant, "role": "admin"}
            keys.append((await one.http.post("/admin/keys", json=body, headers=one.owner)).json()["key"])
            assert (await one.ask("What is a relay?", key=keys[-1]))[0] == "miss"
        assert len((await one.admin()).json()["data"]) == 2

        assert (await one.admin("DELETE", key=keys[0], all=True)).json()["entries"] == 1

        assert (await one.ask("What is a relay?", key=keys[0]))[0] == "miss"
        assert (await one.ask("What is a relay?", key=keys[1]))[0] == "exact"


async def test_a_question_is_removed_by_how_it_begins_whichever_api_it_was_asked_in(workplace, redis_server):
    async with front(workplace, SHARED, {"REDIS_URL": redis_server.url}) as one:
        await one.up()
        body = {"model": "demo", "max_tokens": 50, "system": "Be short."}
        said = {"role": "user", "content": [{"type": "text", "text": "What is a relay?"}]}
        for path, more in (
            ("chat/completions", {"messages": [{"role": "system", "content": "Who are you?"}, said]}),
            ("messages", {"messages": [said]}),
            ("responses", {"input": "What is a relay?", "system": None, "max_tokens": None}),
        ):
            asked = {name: value for name, value in (body | more).items() if value is not None}
            answer = await one.http.post(f"/v1/{path}", json=asked, headers=one.owner)
            assert answer.status_code == 200, answer.text
        await one.ask("Who is there?")
        await one.shared(4)

        assert (await one.admin("DELETE", prefix="What is a r")).json()["entries"] == 3
        assert (await one.admin("DELETE", prefix="Who are you?")).json()["entries"] == 0
        assert (await one.ask("Who is there?"))[0] == "exact"


async def test_two_replicas_share_answers_and_forget_together(workplace, redis_server):
    environ = {"REDIS_URL": redis_server.url}
    async with front(workplace, SHARED, environ) as one, front(workplace, SHARED, environ) as other:
        await one.up()
        await other.up()
        assert (await one.ask("What is a busbar?"))[0] == "miss"
        await one.shared(1)
        assert (await other.ask("What is a busbar?"))[0] == "exact"

        removed = (await other.admin("DELETE", model="demo")).json()

        assert removed["entries"] == 1
        with anyio.fail_after(3):
            while (await one.ask("What is a busbar?", **{"cache-control": "no-store"}))[0] == "exact":
                await anyio.sleep(0.01)
        assert (await other.ask("What is a busbar?"))[0] == "miss"


async def test_calls_go_on_while_redis_is_stopped_and_share_again_when_it_is_back(workplace, redis_server):
    async with front(workplace, SHARED, {"REDIS_URL": redis_server.url}) as one:
        await one.up()
        assert (await one.ask("before"))[0] == "miss"
        await one.shared(1)
        redis_server.pause()
        try:
            waits = []
            for number in range(60):
                began = time.perf_counter()
                await one.ask(f"meanwhile {number}")
                waits.append(time.perf_counter() - began)
            assert max(waits) < 0.5
            assert sorted(waits)[-3] < 0.1
            await one.up(up=False)
            assert (await one.ask("before"))[0] == "exact"
            assert (await one.ask("meanwhile 5"))[0] == "exact"
            assert (await one.admin()).status_code == 503
            assert (await one.admin("DELETE", all=True)).status_code == 503
        finally:
            redis_server.resume()
        await one.up()

        # It could not be reached by the removal: that had to be said, and done again.
        assert (await one.ask("before"))[0] == "exact"
        assert (await one.admin("DELETE", all=True)).json()["entries"] == 1
        assert (await one.ask("before"))[0] == "miss"


async def test_the_command_line_lists_shows_and_clears(workplace):
    async with front(workplace, CONFIG) as one:
        await one.ask("What is a busbar?")
        await one.ask("What is a relay?", model="free")

        async def run(*args, code=0):
            done = await anyio.to_thread.run_sync(lambda: workplace.run("cache", *args))
            assert done.returncode == code, done.stderr
            return done.stdout + done.stderr

        listed = json.loads(await run("list", "--model", "demo", "--json"))["data"]
        [entry] = listed
        assert entry["id"] in await run("list")
        assert "busbar" not in await run("list")
        assert "You said: What is a busbar?" in await run("show", entry["id"])
        assert "exact" not in await run("stats")
        assert "Name what is to go" in await run("clear", code=2)
        assert "1 entries fit; none was removed" in await run("clear", "--model", "demo")
        assert (await one.ask("What is a busbar?"))[0] == "exact"
        assert "1 entries removed." in await run("clear", "--model", "demo", "--yes")
        assert (await one.ask("What is a busbar?"))[0] == "miss"
        assert json.loads(await run("clear", "--all", "--yes", "--json"))["entries"] == 2
        assert "There are none." in await run("list")
