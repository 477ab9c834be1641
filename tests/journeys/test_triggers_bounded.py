"""Storms, flaps and resolutions: what begins is bounded, what is left over is counted and told once, and nothing that came is lost."""

import asyncio
import time

import anyio
import psutil
import pytest

from gateway.stores.incidents import Schedule
from tests.journeys.triggers_world import PATIENCE, alert, data_of, payload, texts, triggers_world

ALERTS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
%s
"""
STORM = ALERTS % "    storm: {per_minute: 4, at_once: 4, gather: 1, quiet: 1}"
MEMORY = 200 * 1024 * 1024
"""Generous: what 10,000 alerts may cost at the most."""


def grown(before):
    return psutil.Process().memory_info().rss - before


async def until(world, true, patience=PATIENCE * 2):
    """Wait until something holds of the trigger; give it as it is shown."""
    with anyio.fail_after(patience):
        while not true(shown := (await world.http.get("/admin/triggers/alertmanager")).json()):
            await anyio.sleep(0.1)
    return shown


async def summary(world):
    """The storm, when its run has ended and all is counted."""
    shown = await until(world, lambda one: one["storm"] is not None)
    return await world.until(shown["storm"], lambda one: one["runs"] == 1 and one["run_phase"] is None)


async def test_10_000_alerts_in_one_delivery_are_one_incident_and_one_run(tmp_path):
    async with triggers_world(tmp_path, triggers=ALERTS % "") as world:
        before, started = psutil.Process().memory_info().rss, time.monotonic()
        answer = await world.fire(payload(*(alert(pod=f"pod-{number}") for number in range(10_000))))
        seconds = time.monotonic() - started
        incident = await world.until(
            answer.json()["incident"], lambda found: found["run_phase"] is None and found["runs"]
        )
        told = data_of(texts(await world.run(incident["run"]))[1][1])

        assert answer.status_code == 202
        assert (incident["alerts"], incident["runs"]) == (10_000, 1)
        assert (len(told["alerts"]), told["more_alerts"]) == (20, 9_980)
        assert seconds < 30
        assert grown(before) < MEMORY


async def test_10_000_deliveries_in_a_storm_are_all_kept_and_told_to_one_run(tmp_path):
    async with triggers_world(tmp_path, triggers=STORM) as world:
        slots, answers, slowest = asyncio.Semaphore(64), [], [0.0]

        async def one(number):
            async with slots:
                begun = time.monotonic()
                service = f"service-{number % 7}"
                answer = await world.fire(payload(alert(service, pod=f"pod-{number}"), group=f"group-{number}"))
                slowest[0] = max(slowest[0], time.monotonic() - begun)
                answers.append(answer.json()["outcome"] if answer.status_code == 202 else answer.text)

        before, started = psutil.Process().memory_info().rss, time.monotonic()
        async with anyio.create_task_group() as tasks:
            for number in range(10_000):
                tasks.start_soon(one, number)
        seconds = time.monotonic() - started
        storm = await summary(world)
        # Within a minute four begin; all others are the storm's, those that came after it was told, too.
        shown = await until(
            world, lambda found: found["incidents"]["left_over"] >= 10_000 - 4 * (1 + seconds // 60 + 1)
        )
        runs = await world.runs()
        told = data_of(texts(await world.run(storm["run"]))[1][1])

        assert set(answers) == {"accepted"}
        assert len(answers) == 10_000
        assert shown["incidents"]["open"] + sum(one["state"] == "done" for one in [storm]) >= 9_990
        assert storm["kind"] == "storm"
        assert len([run for run in runs if run["id"] == storm["run"]]) == 1
        assert len(runs) <= 4 * (2 + seconds // 60) + 1
        assert {one["title"] for one in told["titles"]} <= {f"service-{number} (page)" for number in range(7)}
        assert told["incidents"] >= 1
        assert slowest[0] < 30
        assert grown(before) < MEMORY


async def test_one_that_was_left_over_can_be_started_by_a_person(tmp_path):
    async with triggers_world(tmp_path, triggers=STORM) as world:
        for number in range(6):
            await world.fire(payload(alert(pod=str(number)), group=str(number)))
        storm = await summary(world)
        left = await world.incidents(storm=storm["id"])
        answer = await world.http.post(f"/admin/incidents/{left[0]['id']}/start")

        assert (len(left), left[0]["held"], left[0]["runs"]) == (2, "storm", 0)
        assert answer.json()["due_at"] is not None


async def test_what_was_left_over_begins_as_places_come_free_the_worst_first_and_not_what_is_resolved(tmp_path):
    storm = ALERTS % "    storm: {per_minute: 100, at_once: 1, gather: 0, quiet: 600, catch_up: 2}"
    async with triggers_world(tmp_path, triggers=storm) as world:
        sent = {}
        for name, severity in (
            ("A", "critical"),
            ("B", "info"),
            ("C", "warning"),
            ("D", "critical"),
            ("E", "critical"),
        ):
            fired = alert(name, summary="endless" if name == "A" else "quiet")
            sent[name] = {**fired, "labels": {**fired["labels"], "severity": severity}}
            await world.fire(payload(sent[name], group=name))
            if name == "A":
                await until(world, lambda one: one["incidents"]["running"] == 1)
        await until(world, lambda one: one["incidents"]["left_over"] == 4)
        await world.fire(payload({**sent["D"], "status": "resolved"}, group="D"))
        with anyio.fail_after(PATIENCE * 2):
            while len([one for one in await world.incidents() if one["runs"] and one["kind"] == "alerts"]) < 3:
                await anyio.sleep(0.1)
        found = {one["title"][0]: one for one in await world.incidents() if one["kind"] == "alerts"}

        assert [name for name in "ABCDE" if found[name]["runs"]] == ["A", "C", "E"]
        assert found["D"]["state"] == "resolved"
        assert found["B"]["held"] == "storm"
        assert found["E"]["storm"] == found["C"]["storm"] is not None


async def test_a_storm_is_over_when_it_is_quiet(tmp_path):
    async with triggers_world(tmp_path, triggers=STORM) as world:
        for number in range(6):
            await world.fire(payload(alert(pod=str(number)), group=str(number)))
        storm = await summary(world)
        over = await world.until(storm["id"], lambda found: found["state"] == "done")
        shown = await until(world, lambda found: found["state"] == "ready")
        metrics = (await world.outside.get("/metrics", headers=dict(world.http.headers))).text

        assert 'switchgear_trigger_storms_total{trigger="alertmanager"}' in metrics
        assert over["timeline"][-1]["name"] == "storm.over"
        assert over["timeline"][-1]["body"] == {"count": 2}
        assert shown["incidents"]["left_over"] == 2


async def test_a_run_that_has_not_acted_is_ended_when_all_is_resolved(tmp_path):
    async with triggers_world(tmp_path, triggers=ALERTS % "    on_resolved: cancel") as world:
        first = (await world.fire(payload(alert(summary="endless")))).json()["incident"]
        going = await world.until(first, lambda found: found["run_phase"] == "running")
        await world.fire(payload(alert(status="resolved")))
        over = await world.until(first, lambda found: found["run_phase"] is None)
        run = await world.run(going["run"])

    names = [moment["name"] for moment in over["timeline"]]
    assert run["status"] == "cancelled"
    assert {"alerts.resolved", "run.cancelled_by_resolution", "run.cancelled"} <= set(names)
    assert (over["state"], over["ended_at"] is not None) == ("resolved", True)


async def test_a_run_that_waits_for_leave_is_ended_and_its_question_with_it(tmp_path):
    async with triggers_world(tmp_path, triggers=ALERTS % "    on_resolved: cancel") as world:
        first = (await world.fire(payload(alert(summary="count the pods")))).json()["incident"]
        waiting = await world.until(first, lambda found: found["run_phase"] == "waiting")
        await world.fire(payload(alert(summary="count the pods", status="resolved")))
        await world.until(first, lambda found: found["run_phase"] is None)
        (asked,) = (await world.run(waiting["run"]))["approvals"]

    assert asked["state"] == "cancelled"


async def test_a_run_goes_on_where_a_resolution_is_only_written_down(tmp_path):
    async with triggers_world(tmp_path, triggers=ALERTS % "    on_resolved: append") as world:
        first = (await world.fire(payload(alert(summary="count the pods")))).json()["incident"]
        await world.until(first, lambda found: found["run_phase"] == "waiting")
        await world.fire(payload(alert(summary="count the pods", status="resolved")))
        found = await world.until(first, lambda found: found["firing"] == 0)

    assert (found["run_phase"], found["state"], found["ended_at"]) == ("waiting", "resolved", None)


async def test_an_alert_that_flaps_is_held_and_then_has_one_run_if_it_fires(tmp_path):
    async with triggers_world(tmp_path, triggers=ALERTS % "    flapping: {times: 2, window: 3}") as world:
        for _ in range(3):
            first = (await world.fire(payload(alert()))).json()["incident"]
            await world.fire(payload(alert(status="resolved")))
        await world.fire(payload(alert()))
        shown = await until(world, lambda one: one["state"] == "flapping")
        held = [one for one in await world.incidents() if one["held"] == "flapping"]
        before = {run["id"] for run in await world.runs()}
        after = await world.until(held[0]["id"], lambda one: one["held"] is None and one["run_phase"] is None)

    assert (shown["incidents"]["flapping"], len(held)) == (1, 1)
    assert after["run"] not in before
    assert first


SCHEDULE = """
  clock:
    kind: schedule
    agent: triage
    task: %s
    cron: "* * * * *"
    missed: %s
"""


async def ticked(world, *, ago):
    """Have the schedule believe that it was last looked at so many seconds ago; give its incidents when it has looked again."""
    desk = world.gateway.application.triggers
    with anyio.fail_after(PATIENCE):
        while (before := await desk.means.store.schedule("clock")) is None:
            await anyio.sleep(0.05)
        earlier = Schedule(trigger="clock", spec=before.spec, last=time.time() - ago)
        while not await desk.means.store.advance(earlier, await desk.means.store.schedule("clock")):
            await anyio.sleep(0.01)
        desk._ticking._next.clear()
        desk.wake()
        while (await desk.means.store.schedule("clock")).last < time.time() - 61:
            await anyio.sleep(0.05)
    return await world.incidents(trigger="clock")


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("once", 1)])
async def test_what_was_missed_is_forgotten_or_made_up_for_once(tmp_path, missed, runs):
    async with triggers_world(tmp_path, triggers=SCHEDULE % ("Look.", missed)) as world:
        found = await ticked(world, ago=3600)

        # An hour has sixty times; the present minute is on time, and no missed one.
        assert runs <= len(found) <= 1


async def test_what_the_operator_wrote_is_followed_without_asking(tmp_path):
    async with triggers_world(tmp_path, triggers=SCHEDULE % ("Please count the pods.", "skip")) as world:
        fired = (await world.http.post("/admin/triggers/clock/fire")).json()
        done = await world.until(fired["incident"], lambda found: found["state"] == "done")
        run = await world.run(done["run"])

    assert run["approvals"] == []
    assert [call["state"] for call in run["calls"]] == ["done"]
    assert [whose for whose, _ in texts(run)] == ["trusted"]


async def test_a_schedule_skips_a_time_while_its_run_waits(tmp_path):
    async with triggers_world(tmp_path, triggers=SCHEDULE % ("Go on in an endless way.", "once")) as world:
        first = (await world.http.post("/admin/triggers/clock/fire")).json()["incident"]
        await world.until(first, lambda found: found["run_phase"] == "running")
        again = await ticked(world, ago=3600)
        metrics = (await world.outside.get("/metrics", headers=dict(world.http.headers))).text

    assert [one["id"] for one in again] == [first]
    assert 'switchgear_trigger_deliveries_total{trigger="clock",outcome="skipped"}' in metrics
