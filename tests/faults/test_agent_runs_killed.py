"""kill -9 while an agent waits for another, with a real server of tools: one child, never a second call of what must be done once, and an end."""

import signal
import sqlite3

import anyio
import httpx2
import pytest

from tests.faults.killed_runs import PATIENCE, TERMINAL, events_of, until_listed
from tests.journeys.running_gateway import served_process
from tests.journeys.tool_runs_world import ENVIRON, calls, configuration

BOSS = """
answers:
  - {when: {after_tool: agents__helper}, say: "The helper said: {tool_result}"}
  - {call: [{tool: agents__helper, arguments: {input: "Please INPUT."}}]}
"""


def agents(folder, text):
    """A configuration with an agent that has another do what `text` says."""
    config = configuration(folder)
    script = folder / "script.yaml"
    boss = "".join(f"    {line}\n" for line in BOSS.replace("INPUT", text).strip().splitlines())
    script.write_text(f"{script.read_text()}  boss:\n{boss}")
    for name, definition in (
        ("boss", "model: boss\nagents: [helper]\n"),
        ("helper", "model: clerk\ntools: {desk: [echo, count, hang]}\n"),
    ):
        place = folder / "agents" / name
        place.mkdir(parents=True)
        (place / "agent.yaml").write_text(definition)
        (place / "instructions.md").write_text("Be brief.")
    return config.replace("models: {clerk:", "agents: {folder: agents}\nmodels: {boss: script/boss, clerk:")


def runs(folder):
    """(id, agent, parent, status) of all runs of agents."""
    with sqlite3.connect(folder / "runs.db") as database:
        return database.execute("select id, agent, parent, status from runs where agent <> ''").fetchall()


async def until(holds):
    while not holds():
        await anyio.sleep(0.01)


@pytest.mark.parametrize(("text", "at"), [("wait", "hang"), ("change it", "count"), ("read it", "echo")])
async def test_who_goes_on_finds_the_child_and_begins_no_second(tmp_path, text, at):
    config = agents(tmp_path, text)
    body = {"model": "agent/boss", "input": "Go.", "background": True}
    with anyio.fail_after(2 * PATIENCE):
        async with (
            served_process(tmp_path, config, ENVIRON) as first,
            httpx2.AsyncClient(base_url=first.url, timeout=PATIENCE) as http,
        ):
            await until_listed(http)
            before = len(calls(tmp_path, at))
            made = (await http.post("/v1/responses", json=body)).json()["id"]
            await until(lambda: len(calls(tmp_path, at)) > before)
            first.signal(signal.SIGKILL)
            await first.exit_code(PATIENCE)
        async with (
            served_process(tmp_path, config, ENVIRON) as second,
            httpx2.AsyncClient(base_url=second.url, timeout=PATIENCE) as http,
        ):
            events = await events_of(http, made)
            document = (await http.get(f"/v1/responses/{made}")).json()

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    children = [run for run in runs(tmp_path) if run[1] == "helper"]
    assert [(parent, len(children)) for _, _, parent, _ in children] == [(made, 1)]
    [shown] = [item for item in document["output"] if item["type"] == "mcp_call"]
    if at != "echo":
        assert len(calls(tmp_path, at)) == before + 1
    asked = [item for item in document["output"] if item["type"] == "mcp_approval_request"]
    if asked:
        # Whether it was done is not known: a person is asked, and both wait.
        assert [(item["server_label"], item["name"]) for item in asked] == [("desk", at)]
        assert {run[3] for run in runs(tmp_path)} == {"waiting"}
        assert shown["approval_request_id"] == asked[0]["id"]
    else:
        assert {run[3] for run in runs(tmp_path)} == {"completed"}
        assert document["output"][-1]["content"][0]["text"].startswith("The helper said: ")
