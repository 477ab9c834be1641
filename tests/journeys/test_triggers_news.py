"""A run that goes on is told what joins its incident, or is resolved, before its model is asked again; what strangers sent stays theirs. Promised by docs/triggers.md."""

import anyio
import pytest

from tests.journeys import triggers_world as worlds
from tests.journeys.triggers_world import PATIENCE, alert, data_of, payload, texts, triggers_world

SCRIPT = """
models:
  thinker:
    answers:
      - {when: {contains: while you were working on it, tool_result: ""}, say: "I was told: {tool_result}"}
      - {when: {turn: 0}, delay: 1, call: [{tool: desk__count, arguments: {text: one}}]}
      - {when: {contains: while you were working on it}, say: "I was told."}
      - {say: "Nothing new."}
"""
TRIGGERS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
    %s
"""
READS = ("count: {effect: once}", "count: {effect: read, outward: false}")
A, B = alert(pod="a", fingerprint="aa"), alert(pod="b", fingerprint="bb")


@pytest.fixture
def slow(monkeypatch):
    """A model that thinks for a second before it asks for a tool, which only reads."""
    monkeypatch.setattr(worlds, "SCRIPT", SCRIPT)
    monkeypatch.setattr(worlds, "CONFIG", worlds.CONFIG.replace(*READS))


def told(run):
    """The input of a run after its task and its first data: labels, and the data."""
    return [(label, data_of(text)) for label, text in texts(run)[2:]]


async def first_run(world):
    name = (await world.fire(payload(A))).json()["incident"]
    await world.until(name, lambda one: one["run_phase"] == "running")
    return name


async def over(world, name):
    found = await world.until(name, lambda one: one["runs"] and one["run_phase"] is None and one["due_at"] is None)
    return found, await world.run(found["run"])


@pytest.mark.usefixtures("slow")
async def test_a_live_run_is_told_of_alerts_that_join_and_no_other_run_is_begun_for_them(tmp_path):
    async with triggers_world(tmp_path, triggers=TRIGGERS % "") as world:
        name = await first_run(world)
        await world.fire(payload(A, B))
        found, run = await over(world, name)

    ((label, data),) = told(run)
    assert label == "untrusted"
    assert [one["labels"]["pod"] for one in data["alerts"]] == ["b"]
    assert (data["firing"], data["all_resolved"]) == (2, False)
    assert found["runs"] == 1
    assert "I was told" in str(run["items"][-1]["body"])
    assert [one["name"] for one in found["timeline"] if one["name"] == "news.told"] == ["news.told"]


@pytest.mark.usefixtures("slow")
async def test_a_live_run_is_told_that_all_is_resolved(tmp_path):
    async with triggers_world(tmp_path, triggers=TRIGGERS % "on_resolved: append") as world:
        name = await first_run(world)
        await world.fire(payload({**A, "status": "resolved"}))
        found, run = await over(world, name)

    ((_, data),) = told(run)
    assert (data["all_resolved"], data["resolved"], len(data["resolved_alerts"])) == (True, 1, 1)
    assert (found["state"], found["runs"]) == ("resolved", 1)


@pytest.mark.usefixtures("slow")
async def test_where_news_are_for_later_the_live_run_reads_what_it_read_and_the_next_is_told(tmp_path):
    async with triggers_world(tmp_path, triggers=TRIGGERS % "on_new_alerts: later") as world:
        name = await first_run(world)
        first = (await world.incident(name))["run"]
        await world.fire(payload(A, B))
        found = await world.until(name, lambda one: one["runs"] == 2 and one["run_phase"] is None)

        assert told(await world.run(first)) == []
        assert found["run"] != first


async def test_who_waited_for_people_is_told_when_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(worlds, "SCRIPT", SCRIPT)
    async with triggers_world(tmp_path, triggers=TRIGGERS % "") as world:
        name = (await world.fire(payload(A))).json()["incident"]
        waiting = await world.until(name, lambda one: one["run_phase"] == "waiting")
        await world.fire(payload(A, B))
        asked = (await world.http.get("/admin/approvals")).json()["data"]
        await world.http.post(f"/admin/approvals/{asked[0]['id']}/approve", json={})
        with anyio.fail_after(PATIENCE):
            found, run = await over(world, name)

    assert found["run"] != waiting["run"]
    assert found["runs"] == 1
    assert [one["labels"]["pod"] for _, text in texts(run) if "while you were" in text for one in data_of(text)["alerts"]] == ["b"]  # fmt: skip


@pytest.mark.usefixtures("slow")
async def test_a_client_that_names_an_incident_is_told_nothing_of_it(tmp_path):
    async with triggers_world(tmp_path, triggers=TRIGGERS % "") as world:
        name = await first_run(world)
        body = {"model": "agent/triage", "input": "Look.", "background": True, "metadata": {"incident": name}}
        asked = (await world.http.post("/v1/responses", json=body)).json()
        await world.fire(payload(A, B))
        await over(world, name)
        with anyio.fail_after(PATIENCE):
            while (await world.run(asked["id"]))["status"] in ("queued", "in_progress"):
                await anyio.sleep(0.05)

        assert len(texts(await world.run(asked["id"]))) == 1
