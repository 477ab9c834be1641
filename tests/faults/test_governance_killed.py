"""kill -9 of a gateway among replicas that share Redis and PostgreSQL, under load: ledger, upstream and counters agree."""

import random
import re
import signal
from itertools import count

import anyio
import pytest
import redis

from tests.faults.faulty_upstream import LAST_CHUNK, STREAM_HEAD, chunk, document, faulty_upstream
from tests.faults.governed_gateways import ACCESS, DIALECTS, PATIENCE, governed, rows_of

CLIENTS, KILLS, PLACES = 24, 1, 10
LEASE = 30  # seconds that a place is held without a sign of life
CONFIG = f"""
{ACCESS}
database: {{kind: postgres, url: env:DATABASE_URL, connections: 6}}
redis: {{url: env:REDIS_URL, replicas: 2}}
logging: {{calls: false}}
providers:
  chat: {{kind: openai_compatible, base_url: "http://127.0.0.1:PORT/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "http://127.0.0.1:PORT/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "http://127.0.0.1:PORT", api_key: "env:BACK_KEY"}}
models: {{chat: chat/talker, responses: responses/talker, messages: messages/talker}}
prices: {{talker: {{input: 1, output: 2}}}}
limits:
  calls: {{limit: 1000000, window: day, match: {{model: [chat, responses, messages]}}}}
  places: {{count: concurrent, limit: {PLACES}, match: {{model: [held]}}}}
"""
HELD = CONFIG.replace("chat: chat/talker,", "held: chat/talker, chat: chat/talker,")


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture
def environ(redis_server, postgres_server):
    redis_server.ask("FLUSHALL")
    return {
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": postgres_server.new_database(),
        "BACK_KEY": "a-key-for-the-back",
    }


class Load:
    """Clients that call until their gateway is dead; each call has a text of its own, so that the upstream's side can be compared."""

    def __init__(self, chance):
        self.numbers = count()
        self.answered = set()
        self.asked = 0
        self._chance = chance

    async def client(self, replica):
        while True:
            dialect, stream = self._chance.choice(DIALECTS), self._chance.random() < 0.6
            self.asked += 1
            answer = await replica.ask(dialect, stream=stream, model=dialect, text=f"call-{next(self.numbers)};")
            if answer.status == 0 or not is_whole(answer, stream):
                return
            assert answer.status == 200, answer
            self.answered.add(answer.call)


def is_whole(answer, stream):
    if stream:
        return answer.body.endswith(LAST_CHUNK)
    return len(answer.body) == int(answer.headers["content-length"])


def slowly(upstream, chance):
    """Answers that take any time, so that a kill finds calls in every state."""

    async def behave(peer, request):
        pause = chance.choice((0, 0.002, 0.02))
        if not request.stream:
            await anyio.sleep(10 * pause)  # about as long as a stream takes
            await peer.send(document(upstream.answers.documents[request.api]))
            return
        await peer.send(STREAM_HEAD)
        for event in upstream.answers.events[request.api]:
            await peer.send(chunk(event))
            await anyio.sleep(pause)
        await peer.send(LAST_CHUNK)

    return behave


async def until(condition):
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.005)


async def test_no_call_is_missing_and_none_is_there_twice(upstream, environ, tmp_path):
    chance, config = random.Random(11), CONFIG.replace("PORT", str(upstream.port))
    load = Load(chance)
    upstream.asked.clear()
    upstream.behave = slowly(upstream, chance)
    for folder in (mortal := tmp_path / "mortal", other := tmp_path / "other"):
        folder.mkdir()
    async with governed([other], config, environ) as [living]:
        for _ in range(KILLS):
            async with (
                governed([mortal], config, environ, before=[living]) as [dying],
                anyio.create_task_group() as clients,
            ):
                wanted = len(upstream.asked) + chance.randrange(200, 300)
                for number in range(CLIENTS):
                    clients.start_soon(load.client, (dying, living)[number % 2])
                await until(lambda wanted=wanted: len(upstream.asked) >= wanted)
                dying.process.signal(signal.SIGKILL)
                await dying.process.exit_code(10)
                clients.cancel_scope.cancel()
        # One more life in that folder, to write what the others left behind.
        async with governed([mortal], config, environ, before=[living]):
            spool = mortal / "data" / "spool"
            await until(lambda: len([each for each in spool.iterdir() if each.is_dir()]) == 1)
            seen = {re.search(rb"call-(\d+);", request.body).group(1) for request in upstream.asked}
            rows = await rows_of([living], len(seen))
            used = await used_calls(living)

    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    assert load.answered <= by_id.keys()
    # Each that the upstream saw has its row; beyond them are those that a kill, or the end, met before they were sent.
    assert len(seen) <= len(rows) <= load.asked
    assert len(seen) > 200 * KILLS
    assert {row["stream"] for row in rows if row["error"] == "interrupted"} == {True, False}
    # An answer of the last 50 ms may count as interrupted; of all others every figure is known.
    finished = [row for row in rows if row["error"] not in ("interrupted", "client_left")]
    assert {(row["status"], row["input"], row["output"], row["cost"]) for row in finished} == {(200, 11, 5, "0.000021")}
    assert len(load.answered & {row["id"] for row in finished}) >= len(load.answered) - KILLS * CLIENTS
    # What was reserved stays counted, whatever became of its gateway.
    assert len(seen) <= used <= len(rows)


async def used_calls(replica):
    """How many calls the limit has counted, the one that asks not among them."""
    answer = await replica.ask("chat", model="chat")
    return 1_000_000 - int(answer.headers["x-ratelimit-remaining-requests"]) - 1


async def test_the_places_of_a_killed_gateway_are_free_when_their_lease_ends(upstream, environ, redis_server, tmp_path):
    config = HELD.replace("PORT", str(upstream.port))

    async def never_answer(peer, request):
        del request
        await peer.left()

    upstream.asked.clear()
    upstream.behave = never_answer
    for folder in (mortal := tmp_path / "mortal", other := tmp_path / "other"):
        folder.mkdir()
    places = "switchgear:{limits}:c:config\x1fplaces\x1fconcurrent\x1fheld\x1f\x1f"
    async with governed([other], config, environ) as [living]:
        async with (
            governed([mortal], config, environ, before=[living]) as [dying],
            anyio.create_task_group() as clients,
        ):
            for number in range(PLACES):
                clients.start_soon(hold, dying, DIALECTS[0], number % 2 == 0)
            await until(lambda: len(upstream.asked) == PLACES)
            dying.process.signal(signal.SIGKILL)
            await dying.process.exit_code(10)
        upstream.behave = upstream.answer_well
        refused = await living.ask("chat", model="held")
        with redis.Redis.from_url(redis_server.url) as client:
            now = client.time()[0]
            ends = client.zrange(places, 0, -1, withscores=True)
            # The lease's time passes.
            client.zadd(places, {member: now - 1 for member, _ in ends})
        admitted = await living.ask("chat", model="held")

    assert len(ends) == PLACES
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert all(end <= now + LEASE + 1 for _, end in ends)
    assert admitted.status == 200


async def hold(replica, dialect, stream):
    await replica.ask(dialect, stream=stream, model="held")
