"""Replicas on one database that are killed at random, again and again, while runs with tools go on: what becomes of every run, and of every effect.

    python -m tests.faults.replica_storm SECONDS [SEED]

runs it for as long as one likes on a PostgreSQL server of its own; the test of the same name runs it shortly. Every run is asked to read, and
then to change something that must be done once; every third is an agent's that has another agent do it. Its text is its own, so that the server
of tools can tell one run's effect from another's.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import anyio
import httpx2

from tests.journeys.running_gateway import ServedProcess, served_process
from tests.servers import free_port, postgres_server
from tests.tool_world import web

MOST_JOBS = 5000
PATIENCE = 60
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
TOOLS = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]
CONFIG = """
server: {{drain_timeout: 0.2}}
database: {{kind: postgres, url: env:DATABASE_URL}}
access: {{pepper: env:PEPPER}}
runs: {{lease: 1, poll: 0.1}}
providers: {{script: {{kind: scripted, document: "{script}"}}}}
models: {{clerk: script/clerk, boss: script/boss}}
agents: {{folder: agents}}
tools:
  servers:
    desk:
      kind: http
      url: "http://127.0.0.1:{port}/mcp"
      tools:
        echo: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        pause: {{effect: once, outward: false, gives: {{integrity: trusted}}}}
"""
AGENTS = {
    "clerk": "model: clerk\ndescription: Does it.\ntools: {desk: [echo, pause]}\n",
    "boss": "model: boss\ndescription: Has others do it.\nagents: [clerk]\n",
}
BOSS = "agent/boss"


def script(jobs: int) -> str:
    """A model that, for each job, reads, changes one thing, and then says that it is done; and one that has an agent do it."""
    answers = [{"when": {"after_tool": "desk__pause"}, "say": "Done: {tool_result}", "pace": 0.02}]
    orders = [{"when": {"after_tool": "agents__clerk"}, "say": "They say: {tool_result}", "pace": 0.02}]
    for number in range(jobs):
        name = job(number)
        change = {"call": [{"tool": "desk__pause", "arguments": {"text": name}}]}
        answers.append({"when": {"after_tool": "desk__echo", "contains": name}, **change})
        answers.append({"when": {"contains": name}, "call": [{"tool": "desk__echo", "arguments": {"text": name}}]})
        orders.append({"when": {"contains": name}, "call": [{"tool": "agents__clerk", "arguments": {"input": name}}]})
    answers.append({"say": "Good day."})
    return json.dumps({"models": {"clerk": {"answers": answers}, "boss": {"answers": orders}}})


def job(number: int) -> str:
    """The text of a job: no job's is part of another's."""
    return f"job-{number:06d}."


class Replica:
    """One of the replicas: whether it runs now, and where it is asked."""

    def __init__(self) -> None:
        self.http: httpx2.AsyncClient | None = None
        self.process: ServedProcess | None = None


class Storm:
    """Replicas, what was asked of them, and what became of it."""

    def __init__(self, folder: Path, database: str, seed: int, jobs: int) -> None:
        self.folder = folder
        self.runs: dict[str, str] = {}
        """The text of each run's job."""
        self.bosses: set[str] = set()
        """Those of the runs that have another agent do it."""
        self.ends: Counter[str] = Counter()
        self.kills = self.hangs = 0
        self._environ = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough", "DATABASE_URL": database}
        self._chance = random.Random(seed)
        self._replicas = [Replica(), Replica()]
        self._jobs = iter(range(jobs))
        self._over = anyio.Event()
        for name in ("notes", "replica0", "replica1"):
            (folder / name).mkdir()
            for agent, definition in AGENTS.items():
                (folder / name / "agents" / agent).mkdir(parents=True)
                (folder / name / "agents" / agent / "agent.yaml").write_text(definition)
                (folder / name / "agents" / agent / "instructions.md").write_text("Do it.")
        (folder / "notes" / "extra").write_text("pause")
        (folder / "script.yaml").write_text(script(jobs))

    async def run(self, seconds: float) -> None:
        """Let it storm so long, then wait until every run has ended."""
        port = free_port()
        config = CONFIG.format(script=self.folder / "script.yaml", port=port)
        with web(self.folder / "notes", port):
            async with anyio.create_task_group() as tasks:
                for number, replica in enumerate(self._replicas):
                    tasks.start_soon(self._keep, replica, self.folder / f"replica{number}", config)
                await self._until_both()
                tasks.start_soon(self._work)
                await self._kill(seconds)
                self._over.set()
                await self._until_both()
                async with anyio.create_task_group() as followers:
                    room = anyio.CapacityLimiter(16)
                    for response in tuple(self.runs):
                        followers.start_soon(self._check, response, room)
                tasks.cancel_scope.cancel()

    def effects(self) -> Counter[str]:
        """How often each text was changed, as the server of tools has noted."""
        path = self.folder / "notes" / "calls.jsonl"
        noted = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return Counter(call["arguments"]["text"] for call in noted if call["tool"] == "pause")

    async def _keep(self, replica: Replica, folder: Path, config: str) -> None:
        """Have a replica run, and start it again whenever it was killed."""
        while True:
            async with (
                served_process(folder, config, self._environ) as process,
                httpx2.AsyncClient(base_url=process.url, timeout=PATIENCE) as http,
            ):
                replica.process, replica.http = process, http
                await process.process.wait()
                replica.process = replica.http = None

    async def _until_both(self) -> None:
        """Wait until both run, and have their tools."""
        body = {"model": "clerk", "input": "hi", "tools": TOOLS}
        with anyio.fail_after(PATIENCE):
            for replica in self._replicas:
                while True:
                    with contextlib.suppress(httpx2.HTTPError):
                        if replica.http is not None:
                            answer = (await replica.http.post("/v1/responses", json=body)).json()
                            if answer.get("output") and answer["output"][0].get("error") is None:
                                break
                    await asyncio.sleep(0.05)

    async def _kill(self, seconds: float) -> None:
        """Kill one or the other at random moments; now and then both, and now and then one hangs past its leases and comes back."""
        with anyio.move_on_after(seconds):
            while True:
                await asyncio.sleep(self._chance.uniform(0.5, 4))
                what, one = self._chance.random(), self._chance.choice(self._replicas)
                if what < 0.2:
                    await self._hang(one)
                    continue
                for replica in self._replicas if what > 0.9 else [one]:
                    self.kills += _signal(replica, signal.SIGKILL)

    async def _hang(self, replica: Replica) -> None:
        if _signal(replica, signal.SIGSTOP):
            self.hangs += 1
            try:
                await asyncio.sleep(2.5)
            finally:
                _signal(replica, signal.SIGCONT)

    async def _work(self) -> None:
        """Begin runs, as many as are wanted, on whichever replica answers."""
        for number in self._jobs:
            if self._over.is_set():
                return
            asked = {"model": BOSS} if number % 3 == 0 else {"model": "clerk", "tools": TOOLS}
            body = {**asked, "input": job(number), "background": True}
            http = self._chance.choice(self._replicas).http
            if http is not None:
                with contextlib.suppress(httpx2.HTTPError):
                    answer = await http.post("/v1/responses", json=body)
                    if answer.status_code == 200:
                        self.runs[answer.json()["id"]] = job(number)
                        if number % 3 == 0:
                            self.bosses.add(answer.json()["id"])
            await asyncio.sleep(self._chance.uniform(0, 0.2))

    async def _check(self, response: str, room: anyio.CapacityLimiter) -> None:
        """Follow a run to its end: one stream without gaps, one end. What waits for people is answered."""
        http = self._replicas[0].http
        assert http is not None
        async with room:
            with anyio.fail_after(PATIENCE):
                events = await self._events(http, response)
            assert [event["sequence_number"] for event in events] == list(range(len(events))), response
            assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]], response
            document = events[-1]["response"]
            asked = [item for item in document["output"] if item["type"] == "mcp_approval_request"]
            if not asked:
                assert document["status"] == "completed", document
                assert self.effects()[self.runs[response]] == 1, document
                self.ends["completed"] += 1
                return
            answers = [
                {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": False} for item in asked
            ]
            asker = {"model": BOSS} if response in self.bosses else {"model": "clerk", "tools": TOOLS}
            body = {**asker, "previous_response_id": response, "input": answers}
            answer = await http.post("/v1/responses", json={**body, "background": True})
            assert answer.status_code == 200, answer.text
            with anyio.fail_after(PATIENCE):
                went_on = await self._events(http, answer.json()["id"])
            assert went_on[-1]["response"]["status"] == "completed", went_on[-1]
            self.ends["waited for people"] += 1

    async def _events(self, http: httpx2.AsyncClient, response: str) -> list[dict]:
        found: list[dict] = []
        async with http.stream("GET", f"/v1/responses/{response}?stream=true") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: ")))
                    if found[-1]["type"] in TERMINAL:
                        break
        return found


def _signal(replica: Replica, number: signal.Signals) -> bool:
    """Send a signal, if there is somebody to hear it."""
    if replica.process is None:
        return False
    try:
        replica.process.signal(number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as place, postgres_server() as server:
        storm = Storm(Path(place), server.new_database(), seed, MOST_JOBS)
        anyio.run(storm.run, seconds)
        twice = {text: count for text, count in storm.effects().items() if count > 1}
        told = f"{len(storm.runs)} runs, {storm.kills} kills, {storm.hangs} hangs, {dict(storm.ends)}"
        sys.stdout.write(f"{told}; done twice: {twice or 'nothing'}\n")
