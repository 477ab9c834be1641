"""Two gateways on one PostgreSQL: a time of a schedule comes once, what a killed one acknowledged the other begins, and Slack hears of each incident once."""

import signal
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import asyncpg
import httpx2
import pytest

from tests.faults.test_triggers_killed import ALONE, GROUPS, PATIENCE, Sides, once_each
from tests.journeys.running_gateway import served_process
from tests.journeys.triggers_world import CONFIG, ENVIRON, write_files
from tests.slack_double import SIGNING_SECRET, TEAM, TOKEN, slack_double, words

ALERTS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
    storm: {per_minute: 1000, at_once: 1000}
"""
SCHEDULE = """
  minutely: {kind: schedule, agent: triage, cron: "* * * * *", missed: %s, overlap: allow}
"""
SLACK = """
slack:
  bot_token: env:SLACK_TOKEN
  signing_secret: env:SLACK_SECRET
  channel: C0MAIN
  users: {%s/U0ADA: {user: ada}}
  api_url: %s/api
  incidents: {}
approvals: {poll: 0.1}
"""


class Replicas:
    """Two processes on one database; `kill` ends the first one as if its machine were gone."""

    def __init__(self, folder, url, triggers):
        self.environ = {**ENVIRON, "PEPPER": "p" * 32, "DATABASE_URL": url, "SLACK_TOKEN": TOKEN, "SLACK_SECRET": SIGNING_SECRET}  # fmt: skip
        self.url = url
        self.folders = [folder / "a", folder / "b"]
        for each in self.folders:
            each.mkdir()
        database = '{kind: postgres, url: "env:DATABASE_URL"}'
        self.configs = [write_files(each, CONFIG, triggers=triggers, database=database, agents=ALONE) for each in self.folders]  # fmt: skip
        self.key = ""

    @asynccontextmanager
    async def one(self, number):
        async with served_process(self.folders[number], self.configs[number], self.environ) as process:
            self.key = self.key or (self.folders[number] / "data" / "first.key").read_text().strip()
            side = Sides(process.url, self.key)
            try:
                yield process, side
            finally:
                await side.http.aclose()

    async def sql(self, statement, *values):
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()


@pytest.mark.parametrize(("missed", "ago", "least"), [("skip", 90, 1), ("once", 3600, 1), ("skip", 3600, 0)])
async def test_a_time_of_a_schedule_comes_once_and_what_was_missed_by_its_rule(
    tmp_path, postgres_server, missed, ago, least
):
    replicas = Replicas(tmp_path, postgres_server.new_database(), SCHEDULE % missed)
    async with replicas.one(0):
        with anyio.fail_after(PATIENCE):
            while not await replicas.sql("SELECT 1 FROM trigger_schedules"):
                await anyio.sleep(0.1)
    # Nobody ran since then.
    await replicas.sql("UPDATE trigger_schedules SET last = extract(epoch FROM now()) - $1", float(ago))
    # Whatever ran before is not of this test.
    before = {row["id"] for row in await replicas.sql("SELECT id FROM incidents")}

    async with AsyncExitStack() as stack:
        sides = [(await stack.enter_async_context(replicas.one(number)))[1] for number in (0, 1)]
        with anyio.fail_after(PATIENCE * 2):
            while True:
                found = [one for one in await sides[0].incidents() if one["id"] not in before]
                done = all(one["runs"] == 1 and one["run_phase"] is None for one in found)
                looked = await replicas.sql(
                    "SELECT last FROM trigger_schedules WHERE last > extract(epoch FROM now()) - 60"
                )
                if looked and done and len(found) >= least:
                    break
                await anyio.sleep(0.1)
        rows = await replicas.sql("SELECT last FROM trigger_schedules")
        runs = [run for run in await sides[1].runs() if run["id"] in {one["run"] for one in found}]

    titles = [one["title"] for one in found]
    assert len(titles) == len(set(titles)), "a time came twice"
    # Besides what is due, or made up for, at most the minutes that have passed meanwhile.
    assert least <= len(found) <= least + 3
    assert len(runs) == len(found)
    assert len(rows) == 1


async def test_what_a_killed_replica_acknowledged_the_other_begins_once(tmp_path, postgres_server):
    replicas = Replicas(tmp_path, postgres_server.new_database(), ALERTS)
    acknowledged = []

    async def deliver(side, number):
        try:
            answer = await side.deliver(number)
        except httpx2.HTTPError:
            return
        if answer.status_code == 202:
            acknowledged.append(answer.json()["incident"])

    async with AsyncExitStack() as stack:
        first, dying = await stack.enter_async_context(replicas.one(0))
        _, living = await stack.enter_async_context(replicas.one(1))
        async with anyio.create_task_group() as tasks:
            for number in range(GROUPS):
                tasks.start_soon(deliver, dying, number)
            with anyio.fail_after(PATIENCE):
                while not acknowledged:
                    await anyio.sleep(0)  # noqa: ASYNC115 - the sooner it is killed, the better
            first.signal(signal.SIGKILL)
        await first.exit_code(PATIENCE)
        found, runs = await living.settled(len(set(acknowledged)))

    once_each(found, runs, acknowledged)


async def test_two_replicas_tell_slack_of_each_incident_once_and_in_order(tmp_path, postgres_server):
    async with slack_double() as slack:
        triggers = ALERTS + SLACK % (TEAM, slack.url)
        replicas = Replicas(tmp_path, postgres_server.new_database(), triggers)
        async with AsyncExitStack() as stack:
            sides = [(await stack.enter_async_context(replicas.one(number)))[1] for number in (0, 1)]
            async with anyio.create_task_group() as tasks:
                for number in range(GROUPS // 4):
                    for side in sides:
                        tasks.start_soon(side.deliver, number)
            await sides[0].settled(GROUPS // 4)
            with anyio.fail_after(PATIENCE * 2):
                while await replicas.sql("SELECT 1 FROM outbox WHERE state = 'waiting'"):
                    await anyio.sleep(0.1)
            threads = {}
            for message in slack.messages.values():
                threads.setdefault(message.get("thread_ts") or message["ts"], []).append(words(message))

    assert len(threads) == GROUPS // 4
    for said in threads.values():
        assert "PodDown (page)" in said[0]
        assert [text.partition("I looked")[0].partition("resp_")[0] for text in said[1:]] == ["An agent looks into it.", "The agent's summary"]  # fmt: skip
