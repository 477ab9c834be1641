"""kill -9 after a conversation was handed over, by itself and as a step of a workflow, with a real server of tools.

The right agent goes on, as it was: its folder has changed by then. No step is done twice, and nothing that must be done once.
"""

import signal
import sqlite3

import anyio
import httpx2
import pytest

from tests.faults.killed_runs import PATIENCE, TERMINAL, events_of, until_listed
from tests.journeys.running_gateway import served_process
from tests.journeys.tool_runs_world import ENVIRON, calls, configuration

SCRIPT = """
  front:
    answers:
      - {call: [{tool: transfer_to_helper, arguments: {}}]}
  first:
    answers:
      - {say: "First."}
"""
HELPER = "model: clerk\ndescription: Helps.\ntools: {desk: [echo, count, hang]}\n"
FLOW = 'workflow: {sequence: [opener, {agent: front, input: "{{input}}"}]}\n'
AGENTS = {
    "front": "model: front\nhandoffs: [helper]\n",
    "helper": HELPER,
    "opener": "model: first\n",
    "flow": FLOW,
}


def write(folder, name, definition):
    place = folder / "agents" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "agent.yaml").write_text(definition)
    (place / "instructions.md").write_text("Be brief.")


def agents(folder):
    """A configuration with these agents."""
    config = configuration(folder)
    script = folder / "script.yaml"
    script.write_text(script.read_text() + SCRIPT)
    for name, definition in AGENTS.items():
        write(folder, name, definition)
    models = "agents: {folder: agents}\nmodels: {front: script/front, first: script/first, clerk:"
    return config.replace("models: {clerk:", models)


def of_runs(folder, words):
    """Something of all runs of agents."""
    with sqlite3.connect(folder / "runs.db") as database:
        return database.execute(words).fetchall()


@pytest.mark.parametrize("model", ["front", "flow"])
@pytest.mark.parametrize(("text", "at"), [("Please wait.", "hang"), ("Please read it.", "echo")])
async def test_the_right_agent_goes_on_and_no_step_is_done_twice(tmp_path, model, text, at):
    config = agents(tmp_path)
    body = {"model": f"agent/{model}", "input": text, "background": True}
    with anyio.fail_after(2 * PATIENCE):
        async with (
            served_process(tmp_path, config, ENVIRON) as first,
            httpx2.AsyncClient(base_url=first.url, timeout=PATIENCE) as http,
        ):
            await until_listed(http)
            before = len(calls(tmp_path, at))
            made = (await http.post("/v1/responses", json=body)).json()["id"]
            while len(calls(tmp_path, at)) == before:
                await anyio.sleep(0.01)
            first.signal(signal.SIGKILL)
            await first.exit_code(PATIENCE)
        write(tmp_path, "helper", "model: first\ndescription: Is another now.\n")
        async with (
            served_process(tmp_path, config, ENVIRON) as second,
            httpx2.AsyncClient(base_url=second.url, timeout=PATIENCE) as http,
        ):
            events = await events_of(http, made)
            document = (await http.get(f"/v1/responses/{made}")).json()

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    transfers = of_runs(tmp_path, "select state from tool_calls where tool = 'transfer_to_helper'")
    assert transfers == [("done",)]
    begun = [agent for (agent,) in of_runs(tmp_path, "select agent from runs where agent <> '' order by created_at")]
    assert begun == ([] if model == "front" else ["flow", "opener"]) + ["front"]
    asked = [item["name"] for item in document["output"] if item["type"] == "mcp_approval_request"]
    if at == "hang":
        # Whether it was done is not known: a person is asked, and nothing is done again.
        assert (asked, len(calls(tmp_path, at))) == (["hang"], before + 1)
        assert of_runs(tmp_path, "select agent from approvals") == [("helper",)]
    else:
        assert asked == []
        assert document["output"][-1]["content"][0]["text"].startswith("It says: ")
