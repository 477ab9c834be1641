"""Redis and PostgreSQL stopped and killed under load: calls go on, none waits for long, and afterwards every figure is right."""

import contextlib
from itertools import count

import anyio
import pytest
from anyio.lowlevel import checkpoint

from gateway.accounting.limits.wording import dollars
from tests.faults.governed_gateways import ACCESS, DIALECTS, PATIENCE, governed, request, rows_of

CLIENTS = 16
LIMIT = 800
REDIS_TIMEOUT, DATABASE_TIMEOUT = 0.25, 0.5
LAG = 0.75  # seconds that a machine with other things to do may add; alone, some hundredths
FATES = ("stopped", "killed")
PLENTY = ", ".join(f"{server}-{fate}" for server in ("redis", "postgres") for fate in FATES)
CONFIG = f"""
{ACCESS}
database: {{kind: postgres, url: env:DATABASE_URL, connections: 6, timeout: {DATABASE_TIMEOUT}}}
redis: {{url: env:REDIS_URL, timeout: {REDIS_TIMEOUT}, replicas: 2}}
logging: {{calls: false}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{{"".join(f"{model}: play/talker, " for model in PLENTY.split(", "))}scarce-stopped: play/talker, scarce-killed: play/talker}}
prices: {{play/talker: {{input: 1, output: 2}}}}
limits:
  plenty: {{limit: 1000000, window: day, match: {{model: [{PLENTY}]}}, per: [model]}}
  spent: {{count: cost, limit: 100, window: month, match: {{model: [{PLENTY}]}}, per: [model]}}
  at-once: {{count: concurrent, limit: 100, match: {{model: [{PLENTY}]}}, per: [model]}}
  scarce: {{limit: {LIMIT}, window: day, match: {{model: [scarce-*]}}, per: [model]}}
"""
SCRIPT = "models: {talker: {answers: [{say: one two, pace: 0.005, usage: {input: 11, output: 5}}]}}"


@pytest.fixture(scope="module")
async def gateways(redis_server, postgres_server, tmp_path_factory):
    redis_server.ask("FLUSHALL")
    folders = [tmp_path_factory.mktemp("gateway") for _ in range(2)]
    for folder in folders:
        (folder / "script.yaml").write_text(SCRIPT)
    environ = {"REDIS_URL": redis_server.url, "DATABASE_URL": postgres_server.new_database()}
    async with governed(folders, CONFIG, environ) as replicas:
        yield replicas


class Load:
    """Clients that call all the time, each at its gateway; what they were told."""

    def __init__(self, replicas, model):
        self.answers = []
        self._replicas = replicas
        self.model = model
        self._numbers = count()

    async def _client(self, replica):
        while True:
            number = next(self._numbers)
            # What has been asked is waited for, also at the end: the ledger is to know each that the client knows.
            with anyio.CancelScope(shield=True):
                answer = await replica.ask(DIALECTS[number % 3], stream=number % 2 == 0, model=self.model)
            self.answers.append(answer)
            await checkpoint()

    @contextlib.asynccontextmanager
    async def running(self):
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(self._client, self._replicas[number % len(self._replicas)])
            yield self
            tasks.cancel_scope.cancel()

    async def go_on(self, calls, *, seconds=0):
        """Wait for so many more answers, and for so long; give them."""
        before, until = len(self.answers), anyio.current_time() + seconds
        with anyio.fail_after(PATIENCE):
            while len(self.answers) < before + calls or anyio.current_time() < until:
                await anyio.sleep(0.005)
        return self.answers[before:]


def slowest(answers, share):
    """The seconds that all but this share of the answers took at most."""
    return sorted(answer.seconds for answer in answers)[int(len(answers) * (1 - share))]


async def redis_is(replicas, up):
    with anyio.fail_after(PATIENCE):
        while [await replica.metric("switchgear_limit_redis_up") for replica in replicas] != [up] * len(replicas):
            await anyio.sleep(0.05)


def places(model):
    """The name in Redis of the counter of places that calls to a model hold."""
    return f"switchgear:{{limits}}:c:config\x1fat-once\x1fconcurrent\x1fheld\x1fmodel\x1f{model}"


async def check_ledger(replicas, load):
    """Every call is in the ledger, once, as its client saw it; gives the rows of those that were answered."""
    rows = await rows_of(replicas[:1], len(load.answers), model=load.model)
    assert len(rows) == len(load.answers)
    assert {(row["id"], row["status"]) for row in rows} == {(answer.call, answer.status) for answer in load.answers}
    return [row for row in rows if row["status"] == 200]


async def strike(server, fate):
    await anyio.to_thread.run_sync(server.pause if fate == "stopped" else server.kill)


async def mend(server, fate):
    await anyio.to_thread.run_sync(server.resume if fate == "stopped" else server.start)


@pytest.mark.parametrize("fate", FATES)
async def test_without_redis_calls_go_on_and_every_figure_is_right_afterwards(gateways, redis_server, fate):
    load = Load(gateways, f"redis-{fate}")
    async with load.running():
        await load.go_on(100)
        await strike(redis_server, fate)
        try:
            during = await load.go_on(400, seconds=1)
            await redis_is(gateways, 0)
        finally:
            await mend(redis_server, fate)
        await redis_is(gateways, 1)
        await load.go_on(400)

    assert {answer.status for answer in load.answers} == {200}
    assert slowest(during, 0.01) < REDIS_TIMEOUT + LAG
    assert max(answer.seconds for answer in during) < REDIS_TIMEOUT + 2 * LAG
    rows = await check_ledger(gateways, load)
    # The budget has spent what the ledger says, in both, and no place is held any more.
    said = f"{dollars(len(rows) * 21_000)} are spent"
    for gateway in gateways:
        with anyio.fail_after(PATIENCE):
            while said not in (await gateway.ask(model=f"redis-{fate}", most=60_000_000)).error["message"]:
                await anyio.sleep(0.05)
    assert redis_server.ask("ZCARD", places(f"redis-{fate}")) == ":0"


@pytest.mark.parametrize("fate", FATES)
async def test_without_redis_a_limit_is_exceeded_by_no_more_than_calls_in_flight(gateways, redis_server, fate):
    load = Load(gateways, f"scarce-{fate}")
    async with load.running():
        await load.go_on(200)
        await strike(redis_server, fate)
        try:
            with anyio.fail_after(PATIENCE):
                while {answer.status for answer in await load.go_on(100)} != {429}:
                    pass
        finally:
            await mend(redis_server, fate)
        await redis_is(gateways, 1)
        await load.go_on(200)

    admitted = sum(answer.status == 200 for answer in load.answers)
    # Each replica takes half of what was left when it last heard; what it had not heard of is on its way at that moment.
    assert LIMIT <= admitted <= LIMIT + CLIENTS
    assert {answer.status for answer in load.answers} == {200, 429}
    await check_ledger(gateways, load)


@pytest.mark.parametrize("fate", FATES)
async def test_without_the_database_calls_go_on_and_the_ledger_has_each_afterwards(gateways, postgres_server, fate):
    load = Load(gateways, f"postgres-{fate}")
    async with load.running():
        await load.go_on(100)
        await strike(postgres_server, fate)
        try:
            during = await load.go_on(400, seconds=2 * DATABASE_TIMEOUT)
            usage = await request(gateways[0].port, "GET", "/admin/usage", gateways[0].owner)
            stranger = await request(gateways[0].port, "POST", "/v1/chat/completions", "sk-sg-nobody-has-this-key", {})
        finally:
            await mend(postgres_server, fate)
        await load.go_on(100)

    assert {answer.status for answer in load.answers} == {200}
    assert slowest(during, 0.01) < LAG
    assert (usage.status, usage.error["code"]) == (503, "store_unavailable")
    assert usage.seconds < 2 * DATABASE_TIMEOUT + LAG
    assert (stranger.status, stranger.seconds < LAG) == (401, True)
    await check_ledger(gateways, load)
