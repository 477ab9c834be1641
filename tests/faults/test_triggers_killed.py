"""kill -9 between a delivery's answer and its run, and two replicas on one database: each run begins once, and none is lost."""

import signal

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import served_process
from tests.journeys.triggers_world import CONFIG, ENVIRON, TOKEN, alert, payload, write_files

PATIENCE = 60
TRIGGERS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
    storm: {per_minute: 1000, at_once: 1000}
"""
ALONE = {"triage": "model: thinker\ndescription: Looks.\n"}
GROUPS = 40


class Sides:
    """What a test does with a gateway: deliver, and look."""

    def __init__(self, url, key):
        self.http = httpx2.AsyncClient(base_url=url, timeout=PATIENCE, headers={"authorization": f"Bearer {key}"})

    async def deliver(self, number):
        headers = {"authorization": f"Bearer {TOKEN}"}
        body = payload(alert(pod=str(number)), group=f"group-{number}")
        return await self.http.post("/v1/triggers/alertmanager", json=body, headers=headers)

    async def incidents(self):
        return (await self.http.get("/admin/incidents?limit=1000")).json()["data"]

    async def runs(self):
        return (await self.http.get("/admin/runs?limit=1000")).json()["data"]

    async def settled(self, count):
        """Wait until so many incidents have had their run; give them and all runs."""
        with anyio.fail_after(PATIENCE):
            while True:
                found = await self.incidents()
                if len(found) >= count and all(one["runs"] >= 1 and one["run_phase"] is None for one in found):
                    return found, await self.runs()
                await anyio.sleep(0.2)


def configured(folder, database=""):
    config = write_files(folder, CONFIG, triggers=TRIGGERS, database=database, agents=ALONE)
    environ = {**ENVIRON, "PEPPER": "p" * 32}
    return config, environ


def once_each(found, runs, acknowledged):
    """Every acknowledged delivery has its incident, every incident one run, and there is no run besides."""
    assert set(acknowledged) <= {one["id"] for one in found}
    assert [one["runs"] for one in found] == [1] * len(found)
    assert sorted(run["id"] for run in runs) == sorted(one["run"] for one in found)
    assert {run["status"] for run in runs} == {"completed"}


@pytest.mark.parametrize("after", [1, 7, 25])
async def test_what_was_acknowledged_has_its_run_after_a_kill_and_has_it_once(tmp_path, after):
    config, environ = configured(tmp_path)
    acknowledged = []

    async def deliver(side, number):
        try:
            answer = await side.deliver(number)
        except httpx2.HTTPError:
            return  # it was killed before it answered
        if answer.status_code == 202:
            acknowledged.append(answer.json()["incident"])

    async with served_process(tmp_path, config, environ) as first:
        side = Sides(first.url, (tmp_path / "data" / "first.key").read_text().strip())
        async with anyio.create_task_group() as tasks:
            for number in range(GROUPS):
                tasks.start_soon(deliver, side, number)
            with anyio.fail_after(PATIENCE):
                while len(acknowledged) < after:
                    await anyio.sleep(0)  # noqa: ASYNC115 - the sooner it is killed, the better
            first.signal(signal.SIGKILL)
        await first.exit_code(PATIENCE)
        await side.http.aclose()
    async with served_process(tmp_path, config, environ) as second:
        side = Sides(second.url, (tmp_path / "data" / "first.key").read_text().strip())
        for number in range(GROUPS):
            await side.deliver(number)  # as Alertmanager does with what had no answer
        found, runs = await side.settled(GROUPS)
        await side.http.aclose()

    assert len(found) == GROUPS
    once_each(found, runs, acknowledged)


async def test_two_replicas_on_one_database_begin_each_run_once(tmp_path, postgres_server):
    database = '{kind: postgres, url: "env:DATABASE_URL"}'
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    config, environ = configured(folders[0], database)
    other, _ = configured(folders[1], database)
    environ["DATABASE_URL"] = postgres_server.new_database()
    async with served_process(folders[0], config, environ) as one:
        key = (folders[0] / "data" / "first.key").read_text().strip()
        async with served_process(folders[1], other, environ) as two:
            sides = [Sides(one.url, key), Sides(two.url, key)]
            async with anyio.create_task_group() as tasks:
                for number in range(GROUPS):
                    for side in sides:  # as two Alertmanagers of a cluster do
                        tasks.start_soon(side.deliver, number)
            found, runs = await sides[0].settled(GROUPS)
            for side in sides:
                await side.http.aclose()

    assert len(found) == GROUPS
    once_each(found, runs, [])
