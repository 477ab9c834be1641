"""A database or a Redis that is away is told of in /readyz and /metrics, and keeps nobody away: calls go on. Real servers."""

from contextlib import asynccontextmanager

import anyio
import httpx2

from tests.journeys.running_gateway import running
from tests.servers import PASSWORD

SCRIPT = "models: {talker: {answers: [{say: hello}]}}"
CONFIG = """
database: {kind: postgres, url: "env:DATABASE_URL", timeout: 0.5}
redis: {url: "env:REDIS_URL", replicas: 1}
access: {pepper: "env:PEPPER", bootstrap_key_file: first.key}
ledger: {spool: spool}
audit: {queue: queue}
limits: {all: {count: requests, limit: 1000, window: minute}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
"""


class Client:
    """Somebody with a key, who calls and looks."""

    def __init__(self, http, key):
        self.http = http
        self.headers = {"authorization": f"Bearer {key}"}

    async def call(self):
        body = {"model": "talker", "messages": [{"role": "user", "content": "Hi"}]}
        return (await self.http.post("/v1/chat/completions", json=body, headers=self.headers)).status_code

    async def ready(self):
        answer = await self.http.get("/readyz")
        return answer.status_code, answer.json()["stores"]

    async def metrics(self):
        lines = (await self.http.get("/metrics", headers=self.headers)).text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    async def until(self, store, state):
        with anyio.fail_after(20):
            while (await self.ready())[1][store]["state"] != state:
                await anyio.sleep(0.05)


@asynccontextmanager
async def client_of(folder, postgres, redis):
    (folder / "script.yaml").write_text(SCRIPT)
    environ = {"DATABASE_URL": postgres.new_database(), "REDIS_URL": redis.url, "PEPPER": "p" * 32}
    async with (
        running(folder, CONFIG, environ=environ) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=30) as http,
    ):
        yield Client(http, (folder / "first.key").read_text().strip())


async def test_a_database_that_is_away_is_told_of_and_calls_go_on(tmp_path, postgres_server, redis_server):
    async with client_of(tmp_path, postgres_server, redis_server) as client:
        assert await client.call() == 200
        assert await client.ready() == (200, {name: {"state": "ready"} for name in ("database", "keys", "redis")})
        before = await client.metrics()

        await anyio.to_thread.run_sync(postgres_server.kill)
        await client.until("database", "away")
        await client.until("keys", "away")
        assert await client.call() == 200
        status, stores = await client.ready()
        with anyio.fail_after(20):
            while float((away := await client.metrics())["switchgear_keys_age_seconds"]) < 1:
                await anyio.sleep(0.05)

        await anyio.to_thread.run_sync(postgres_server.start)
        await client.until("database", "ready")
        await client.until("keys", "ready")
        with anyio.fail_after(20):
            while (after := await client.metrics())["switchgear_ledger_rows_waiting"] != "0":
                await anyio.sleep(0.05)

    assert status == 200
    assert "are in force" in stores["keys"]["detail"]
    assert "Rows of the ledger that wait" in stores["database"]["detail"]
    # Anybody may read it: no address, no name, no password.
    assert not [word for word in (str(postgres_server.port), "127.0.0.1", PASSWORD) if word in str(stores)]
    up = "switchgear_database_up"
    assert (before[up], away[up], after[up]) == ("1", "0", "1")
    assert before["switchgear_keys"] == away["switchgear_keys"] == "1"
    assert float(after["switchgear_keys_age_seconds"]) < 1
    assert after['switchgear_ledger_rows_total{state="written"}'] == "2"
    assert after["switchgear_audit_entries_waiting"] == after["switchgear_audit_entries_lost"] == "0"


async def test_a_redis_that_is_away_is_told_of_and_calls_go_on(tmp_path, postgres_server, redis_server):
    async with client_of(tmp_path, postgres_server, redis_server) as client:
        assert await client.call() == 200

        redis_server.pause()
        try:
            assert await client.call() == 200
            await client.until("redis", "away")
            status, stores = await client.ready()
            away = await client.metrics()
        finally:
            redis_server.resume()
        await client.until("redis", "ready")
        after = await client.metrics()

    assert status == 200
    assert stores["database"] == {"state": "ready"}
    assert "by itself" in stores["redis"]["detail"]
    assert (away["switchgear_limit_redis_up"], after["switchgear_limit_redis_up"]) == ("0", "1")
