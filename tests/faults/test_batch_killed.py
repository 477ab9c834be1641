"""kill -9 in the middle of a batch of 1,000 lines: every line is answered once, and asked once but for those that were in flight."""

import collections
import json
import math
import random
import signal

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import asked, document, faulty_upstream
from tests.journeys.running_gateway import served_process

LINES = 1000
KILLS = 4
AT_ONCE = 8
PEPPER = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
DATABASES = {
    "sqlite": "{kind: sqlite, path: data/switchgear.db}",
    "postgres": "{kind: postgres, url: env:DATABASE_URL}",
}
ON_THE_WAY = 0.1
CONFIG = """
database: {database}
access: {{pepper: env:PEPPER, bootstrap_key_file: data/first.key}}
batches: {{folder: data/files, at_once: {at_once}, poll: 0.1}}
providers: {{up: {{kind: openai_compatible, base_url: "http://127.0.0.1:{port}/v1"}}}}
models: {{talker: up/talker}}
"""


def input_lines():
    for number in range(LINES):
        body = asked("chat", stream=False, text=f"call-{number};")
        yield json.dumps({"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body})


def number_of(request):
    return int(request.body.partition(b"call-")[2].partition(b";")[0])


async def until(condition):
    with anyio.fail_after(60):
        while not await condition():
            await anyio.sleep(0.005)


class Client:
    """Somebody with the first key, at whatever port the gateway listens now."""

    def __init__(self, folder, url):
        key = (folder / "data" / "first.key").read_text().strip()
        self.http = httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.http.aclose()

    async def make(self):
        data = "\n".join(input_lines()).encode()
        file = await self.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", data)})
        assert file.status_code == 200, file.text
        body = {"input_file_id": file.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        made = await self.http.post("/v1/batches", json=body)
        assert made.status_code == 200, made.text
        return made.json()["id"]

    async def batch(self, batch_id):
        return (await self.http.get(f"/v1/batches/{batch_id}")).json()


class Slow:
    """Answers that take any time, so that a kill finds lines in every state. It knows what is in flight, and what just was."""

    def __init__(self, upstream, chance):
        self._upstream = upstream
        self._chance = chance
        self._sent_at = {}

    async def __call__(self, peer, request):
        self._sent_at[number_of(request)] = math.inf
        await anyio.sleep(self._chance.choice((0, 0.001, 0.01)))
        await peer.send(document(self._upstream.answers.documents[request.api]))
        self._sent_at[number_of(request)] = anyio.current_time()

    @property
    def in_flight(self):
        """The lines whose answers may not have reached the gateway yet."""
        just_now = anyio.current_time() - ON_THE_WAY
        return {number for number, at in self._sent_at.items() if at > just_now}


def wait_for(upstream, wanted):
    async def reached():
        return len(upstream.asked) >= wanted

    return until(reached)


async def end_of(client, batch_id):
    """Wait until the batch has ended, and give it with the lines of its output."""

    async def ended():
        return (await client.batch(batch_id))["status"] == "completed"

    await until(ended)
    batch = await client.batch(batch_id)
    output = (await client.http.get(f"/v1/files/{batch['output_file_id']}/content")).text
    return batch, [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("kind", DATABASES)
async def test_a_killed_batch_goes_on_where_it_was(tmp_path, kind, request):
    environ = dict(PEPPER)
    if kind == "postgres":
        environ["DATABASE_URL"] = request.getfixturevalue("postgres_server").new_database()
    chance = random.Random(11)
    in_flight = set()
    async with faulty_upstream(tmp_path) as upstream:
        upstream.behave = slow = Slow(upstream, chance)
        config = CONFIG.format(port=upstream.port, at_once=AT_ONCE, database=DATABASES[kind])
        batch_id = None
        for _ in range(KILLS):
            async with served_process(tmp_path, config, environ) as process, Client(tmp_path, process.url) as client:
                batch_id = batch_id or await client.make()
                await wait_for(upstream, len(upstream.asked) + chance.randrange(100, 220))
                process.signal(signal.SIGKILL)
                in_flight |= slow.in_flight
                await process.exit_code(10)
                in_flight |= slow.in_flight
        async with served_process(tmp_path, config, environ) as process, Client(tmp_path, process.url) as client:
            batch, lines = await end_of(client, batch_id)
        times = collections.Counter(number_of(request) for request in upstream.asked)

    assert sorted(line["custom_id"] for line in lines) == sorted(f"line-{number}" for number in range(LINES))
    assert {line["response"]["status_code"] for line in lines} == {200}
    assert batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
    assert batch["error_file_id"] is None
    assert set(times) == set(range(LINES))
    again = {number for number, count in times.items() if count > 1}
    assert max(times.values()) <= 1 + KILLS
    assert sum(times.values()) - LINES <= KILLS * AT_ONCE
    assert again <= in_flight, "a line was asked again that was not in flight at a kill"
    left = {path.name for path in (tmp_path / "data" / "files").iterdir() if path.suffix != ".lock"}
    assert left == {batch["input_file_id"], batch["output_file_id"]}


async def test_a_batch_that_is_told_to_stop_asks_nothing_twice(tmp_path):
    """SIGTERM: what is in flight gets its answers, and the next process asks the rest."""
    async with faulty_upstream(tmp_path) as upstream:
        upstream.behave = Slow(upstream, random.Random(3))
        config = CONFIG.format(port=upstream.port, at_once=AT_ONCE, database=DATABASES["sqlite"])
        async with served_process(tmp_path, config, PEPPER) as process, Client(tmp_path, process.url) as client:
            batch_id = await client.make()
            await wait_for(upstream, 300)
            process.signal(signal.SIGTERM)
            assert await process.exit_code(10) == 0
        assert len(upstream.asked) < LINES
        async with served_process(tmp_path, config, PEPPER) as process, Client(tmp_path, process.url) as client:
            batch, lines = await end_of(client, batch_id)
        times = collections.Counter(number_of(request) for request in upstream.asked)

    assert len(lines) == batch["request_counts"]["completed"] == LINES
    assert times == dict.fromkeys(range(LINES), 1)


async def test_another_process_takes_over_at_once(tmp_path):
    """Two replicas, one folder: the one that lives goes on without a lease that has to run out."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    async with faulty_upstream(tmp_path) as upstream:
        upstream.behave = Slow(upstream, random.Random(5))
        config = CONFIG.format(port=upstream.port, at_once=AT_ONCE, database=DATABASES["sqlite"]).replace(
            "path: data", f"path: {first}/data"
        )
        config = config.replace("folder: data", f"folder: {first}/data")
        async with (
            served_process(first, config, PEPPER) as one,
            served_process(second, config, PEPPER) as two,
            Client(first, one.url) as client_of_one,
            Client(first, two.url) as client_of_two,
        ):
            batch_id = await client_of_one.make()
            await wait_for(upstream, 200)
            runs = "switchgear_batches_running 1" in (await client_of_one.http.get("/metrics")).text
            (one if runs else two).signal(signal.SIGKILL)
            killed_at, asked_then = anyio.current_time(), len(upstream.asked)
            await wait_for(upstream, asked_then + 4 * AT_ONCE)
            taken_over = anyio.current_time() - killed_at
            _, lines = await end_of(client_of_two if runs else client_of_one, batch_id)

    assert taken_over < 2
    assert len({line["custom_id"] for line in lines}) == len(lines) == LINES
    assert len(upstream.asked) - LINES <= AT_ONCE
