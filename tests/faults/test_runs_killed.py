"""Replicas that die, hang or go while they execute a run: it ends, once, and whoever follows it misses nothing and hears nothing twice."""

import json
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import served_process

WORDS = [f"word{number}" for number in range(40)]
SCRIPT = """
models:
  slow: {answers: [{say: "WORDS", pace: 0.05}]}
  quick: {answers: [{say: "You said {input}."}]}
""".replace("WORDS", " ".join(WORDS))
CONFIG = """
server: {{drain_timeout: {drain}}}
database: {database}
access: {{pepper: env:PEPPER}}
runs: {{lease: {lease}, poll: 0.1}}
providers: {{script: {{kind: scripted, document: "{script}"}}}}
models: {{slow: script/slow, quick: script/quick}}
"""
PEPPER = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
PATIENCE = 20


class World:
    """A database, and the replicas on it."""

    def __init__(self, folder: Path, database: str, environ: dict[str, str]) -> None:
        self.folder = folder
        self.database = database
        self.environ = {**PEPPER, **environ}
        (folder / "script.yaml").write_text(SCRIPT)

    @asynccontextmanager
    async def replica(self, name: str, *, lease: float = 1, drain: float = 0.2):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = CONFIG.format(database=self.database, lease=lease, drain=drain, script=self.folder / "script.yaml")
        async with (
            served_process(folder, config, self.environ) as process,
            httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
        ):
            yield Replica(process, http)


class Replica:
    """A gateway that runs, and what is asked of it."""

    def __init__(self, process, http):
        self.process = process
        self.http = http

    async def begin(self, **fields):
        answer = await self.http.post(
            "/v1/responses", json={"model": "slow", "input": "Count.", "background": True, **fields}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def show(self, response):
        return (await self.http.get(f"/v1/responses/{response}")).json()

    async def follow(self, response, *, after=None, until=lambda event: False):
        """Give the events of a response, until it ends, `until` says so, or the server goes away."""
        query = "" if after is None else f"&starting_after={after}"
        events = []
        try:
            async with self.http.stream("GET", f"/v1/responses/{response}?stream=true{query}") as answer:
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        event = json.loads(line[len("data: ") :])
                        if event["type"] == "error":
                            break
                        events.append(event)
                        if until(event):
                            break
        except httpx2.HTTPError:
            pass
        return events

    async def metric(self, name):
        text = (await self.http.get("/metrics")).text
        return sum(
            float(line.rpartition(" ")[2]) for line in text.splitlines() if line.partition("{")[0].split(" ")[0] == name
        )


@pytest.fixture(params=["sqlite", "postgres"])
def world(request, tmp_path):
    if request.param == "sqlite":
        return World(tmp_path, f"{{kind: sqlite, path: {tmp_path}/runs.db}}", {})
    server = request.getfixturevalue("postgres_server")
    return World(tmp_path, "{kind: postgres, url: env:DATABASE_URL}", {"DATABASE_URL": server.new_database()})


@pytest.fixture
def shared(tmp_path, postgres_server):
    return World(tmp_path, "{kind: postgres, url: env:DATABASE_URL}", {"DATABASE_URL": postgres_server.new_database()})


def words_heard(count):
    """Until so many words were heard."""
    heard = []

    def until(event):
        heard.extend([event] if event["type"] == "response.output_text.delta" else [])
        return len(heard) >= count

    return until


async def until(condition):
    with anyio.fail_after(PATIENCE):
        while not await condition():
            await anyio.sleep(0.02)


def check_stream(events):
    """One stream: numbered without gaps, begun once, ended once and at its end, with every item that began closed."""
    kinds = [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds.count("response.created") == 1
    assert [kind for kind in kinds if kind in TERMINAL] == kinds[-1:]
    opened = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    closed = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert opened == closed == list(range(len(opened)))
    return events[-1]["response"]


def check_taken_over(events, response_id):
    """What broke off is closed as it was heard, and the answer was then given whole."""
    response = check_stream(events)
    partial, whole = response["output"]
    heard = "".join(
        event["delta"]
        for event in events
        if event["type"] == "response.output_text.delta" and event["output_index"] == 0
    )
    assert response["id"] == response_id
    assert response["status"] == "completed"
    assert partial["status"] == "incomplete"
    assert partial["content"][0]["text"] == heard
    assert "".join(WORDS[:2]) in heard.replace(" ", "")
    assert whole["status"] == "completed"
    assert whole["content"][0]["text"] == " ".join(WORDS)


async def test_a_run_goes_on_after_its_only_server_was_killed_and_came_back(world):
    async with world.replica("one") as one:
        response = await one.begin()
        before = await one.follow(response, until=words_heard(10))
        one.process.signal(signal.SIGKILL)
        await one.process.exit_code(10)
    async with world.replica("one") as one:
        with anyio.fail_after(PATIENCE):
            after = await one.follow(response, after=before[-1]["sequence_number"])
            again = await one.follow(response)
        shown = await one.show(response)

    check_taken_over(before + after, response)
    assert before + after == again
    assert shown == again[-1]["response"]


async def test_another_replica_takes_over_from_one_that_was_killed(world):
    async with world.replica("one") as one, world.replica("two") as two:
        response = await one.begin()
        before = await two.follow(response, until=words_heard(10))
        one.process.signal(signal.SIGKILL)
        killed_at = anyio.current_time()
        with anyio.fail_after(PATIENCE):
            after = await two.follow(response, after=before[-1]["sequence_number"])
        took = anyio.current_time() - killed_at
        takeovers = await two.metric("switchgear_run_takeovers_total")

    check_taken_over(before + after, response)
    assert takeovers == 1
    assert took < 1 + 0.1 + len(WORDS) * 0.05 + 4, "its lease is over after a second, and the answer takes two"


async def test_one_that_hung_past_its_lease_writes_nothing_any_more(shared):
    """A stale holder is fenced: the run has one end, that of who took it over."""
    async with shared.replica("one") as one, shared.replica("two") as two:
        response = await one.begin()
        before = await two.follow(response, until=words_heard(10))
        one.process.signal(signal.SIGSTOP)
        with anyio.fail_after(PATIENCE):
            after = await two.follow(response, after=before[-1]["sequence_number"])
        one.process.signal(signal.SIGCONT)

        # It finds out by being fenced, or where the database did not answer it meanwhile, by its own clock.
        async def let_go():
            return await one.metric("switchgear_runs_live") == 0

        await until(let_go)
        again = await one.follow(response)

    check_taken_over(before + after, response)
    assert again == before + after


async def test_one_that_is_told_to_stop_leaves_its_runs_to_others_at_once(world):
    """SIGTERM: not the end of the lease is waited for, which would take a minute here."""
    async with world.replica("one", lease=60) as one, world.replica("two", lease=60) as two:
        response = await one.begin()
        before = await two.follow(response, until=words_heard(5))
        one.process.signal(signal.SIGTERM)
        with anyio.fail_after(PATIENCE):
            after = await two.follow(response, after=before[-1]["sequence_number"])
        code = await one.process.exit_code(10)

    check_taken_over(before + after, response)
    assert code == 0


async def test_a_run_that_comes_to_its_end_while_the_server_drains_is_not_begun_again(world):
    async with world.replica("one", drain=10) as one, world.replica("two", drain=10) as two:
        response = await one.begin()
        before = await two.follow(response, until=words_heard(20))
        one.process.signal(signal.SIGTERM)
        with anyio.fail_after(PATIENCE):
            after = await two.follow(response, after=before[-1]["sequence_number"])

    assert len(check_stream(before + after)["output"]) == 1


async def test_a_foreground_run_whose_server_was_killed_ends_as_failed(world):
    """Its client is gone: nobody waits for the rest."""
    async with world.replica("one") as one, world.replica("two") as two:
        with anyio.fail_after(PATIENCE):
            body = {"model": "slow", "input": "Count.", "stream": True}
            async with one.http.stream("POST", "/v1/responses", json=body) as answer:
                heard = []
                lines = answer.aiter_lines()
                while len(heard) < 12:
                    line = await anext(lines)
                    heard += [json.loads(line[6:])] if line.startswith("data: ") else []
                response = heard[0]["response"]["id"]
                await until(lambda: _in_journal(two, response, 12))
                one.process.signal(signal.SIGKILL)
                await one.process.exit_code(10)
            after = await two.follow(response)

    ended = check_stream(after)
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "server_error"
    assert ended["output"][0]["status"] == "incomplete"
    assert after[: len(heard)] == heard


async def _in_journal(replica, response, count):
    return len(await replica.follow(response, until=lambda event: event["sequence_number"] >= count)) >= count


async def test_a_client_that_leaves_cancels_what_it_waited_for_within_a_second(world):
    async with world.replica("one") as one:
        body = {"model": "slow", "input": "Count.", "stream": True}
        async with one.http.stream("POST", "/v1/responses", json=body) as answer:
            lines = answer.aiter_lines()
            line = ""
            while not line.startswith("data: "):
                line = await anext(lines)
            response = json.loads(line[6:])["response"]["id"]
        left_at = anyio.current_time()

        async def ended():
            return (await one.show(response))["status"] == "cancelled"

        await until(ended)
        took = anyio.current_time() - left_at
        events = await one.follow(response)

    assert took < 1
    assert check_stream(events)["status"] == "cancelled"


async def test_a_run_is_cancelled_from_another_replica_in_about_a_second(world):
    async with world.replica("one", lease=60) as one, world.replica("two", lease=60) as two:
        response = await one.begin()
        await two.follow(response, until=words_heard(5))
        asked_at = anyio.current_time()
        answer = await two.http.post(f"/v1/responses/{response}/cancel")

        async def ended():
            return (await two.show(response))["status"] == "cancelled"

        await until(ended)
        took = anyio.current_time() - asked_at
        events = await one.follow(response)

    assert answer.status_code == 200
    assert took < 1.6
    assert check_stream(events)["status"] == "cancelled"
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"


async def test_a_response_can_be_gone_on_from_as_soon_as_its_client_has_it(world):
    """Its end is written before it is given out, also where another replica is asked next."""
    async with world.replica("one") as one, world.replica("two") as two:
        previous = None
        for turn in range(6):
            body = {
                "model": "quick",
                "input": f"turn {turn}",
                **({} if previous is None else {"previous_response_id": previous}),
            }
            answer = await (one, two)[turn % 2].http.post("/v1/responses", json=body)
            assert answer.status_code == 200, answer.text
            previous = answer.json()["id"]
