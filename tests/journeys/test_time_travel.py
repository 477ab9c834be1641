"""Who operates a gateway goes back in what an agent did: on the command line and over HTTP, with a real server of tools that notes its calls."""

import json
import os
import subprocess
import sys

import anyio
import pytest

from tests.journeys.agents_world import CLERK, ROOT, agents_world


@pytest.fixture
async def world(tmp_path):
    async with agents_world(tmp_path) as world:
        yield world


async def switchgear(world, *args, code=0):
    """Run a command against the gateway; what it printed."""
    key = (world.folder / "data" / "first.key").read_text().strip()
    done = await anyio.run_process(
        [sys.executable, "-m", "gateway", *args],
        cwd=world.folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SWITCHGEAR_ADMIN_KEY": key,
            "SWITCHGEAR_URL": world.gateway.url,
        },
        check=False,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == code, done.stdout.decode()
    return done.stdout.decode()


async def echoed(world):
    """A run of the agent that has read with its tool."""
    answer = await world.openai.responses.create(model="agent/clerk", input="echo it", background=True)
    ended = await world.ended(answer.id)
    assert ended.output_text == "I look. The tool said: hello"
    assert world.tool_calls() == ["echo"]
    return answer.id


async def shown(world, run):
    return (await world.http.get(f"/admin/runs/{run}")).json()


async def test_a_run_is_forked_on_the_command_line_and_goes_on_live(world):
    run = await echoed(world)
    made = json.loads(await switchgear(world, "run", "fork", run, "--at", "1", "--input", "count, please", "--json"))
    await world.ended(made["id"])

    fork = await shown(world, made["id"])
    assert (fork["forked_from"], fork["replay_of"]) == (run, None)
    assert fork["lineage"] == {"at": 1, "after": None, "changed": ["input"], "loose": False}
    assert (fork["version"], fork["user"]) == ((await shown(world, run))["version"], (await shown(world, run))["user"])
    # What the agent read before is there, and its tool was not asked again.
    assert "mcp_call" in [item["body"]["type"] for item in fork["items"] if item["place"] == "input"]
    assert world.tool_calls() == ["echo"]
    printed = await switchgear(world, "run", "show", made["id"])
    assert run in printed
    audit = (await world.http.get("/admin/audit", params={"action": "run.forked"})).json()["data"]
    assert [(entry["about"]["id"], entry["details"]["made"]) for entry in audit] == [(run, made["id"])]


async def test_an_agent_whose_folder_has_changed_is_forked_as_it_was(world):
    run = await echoed(world)
    world.write("clerk", "model: thinker\n", "Be long.")
    await world.reload()
    made = (await world.http.post(f"/admin/runs/{run}/fork", json={"at": 0})).json()
    await world.ended(made["id"])

    fork = await shown(world, made["id"])
    assert fork["version"] == (await shown(world, run))["version"]
    assert world.tool_calls() == ["echo", "echo"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "either `at`"),
        ({"at": 1, "after": 1}, 400, "either `at`"),
        ({"at": 9}, 400, "2 steps"),
        ({"at": 2}, 400, "had answered"),
        ({"at": 1, "model": "nobody"}, 404, "nobody"),
        ({"at": 1, "models": "thinker"}, 400, "Did you mean 'model'?"),
    ],
)
async def test_a_fork_that_cannot_be_made_says_why(world, body, status, says):
    run = await echoed(world)

    answer = await world.http.post(f"/admin/runs/{run}/fork", json=body)

    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]


async def test_a_run_that_there_is_not_is_not_forked(world):
    assert (await world.http.post("/admin/runs/resp_none/fork", json={"at": 0})).status_code == 404
    assert "There is no such run" in await switchgear(world, "run", "fork", "resp_none", "--at", "0", code=1)


async def test_a_run_is_replayed_on_the_command_line_and_no_tool_is_called(world):
    run = await echoed(world)

    printed = await switchgear(world, "run", "replay", run)

    assert "the same" in printed
    assert world.tool_calls() == ["echo"]
    (line,) = [
        line for line in (await switchgear(world, "run", "list")).splitlines() if run not in line and "resp_" in line
    ]
    assert "replay" in line
    (replay,) = [one for one in (await world.http.get("/admin/runs")).json()["data"] if one["replay_of"] == run]
    assert (replay["status"], replay["forked_from"]) == ("completed", None)
    calls = (await world.http.get("/admin/audit", params={"action": "run.replayed"})).json()["data"]
    assert [entry["details"]["made"] for entry in calls] == [replay["id"]]


async def test_a_replay_of_another_agent_folder_parts_and_says_where(world):
    run = await echoed(world)
    folder = world.folder / "candidate"
    folder.mkdir()
    (folder / "agent.yaml").write_text("model: thinker\n")
    (folder / "instructions.md").write_text("Be long.")

    found = json.loads(await switchgear(world, "run", "replay", run, "--agent-folder", str(folder), "--json", code=1))

    # Without its tool, the model asks for what there is not, and answers what it is told about that.
    assert (found["same"], found["parted"]["kind"]) == (False, "call")
    assert world.tool_calls() == ["echo"]
    assert (await world.openai.models.retrieve("agent/clerk")).id == "agent/clerk"
    again = await world.openai.responses.create(model="agent/clerk", input="echo it")
    assert (await shown(world, again.id))["version"] == (await shown(world, run))["version"]


async def test_a_replay_by_other_policies_says_what_they_decide_and_costs_are_the_replays(world):
    run = await echoed(world)
    policy = world.folder / "new.cedar"
    policy.write_text('@id("no") forbid (principal, action == Action::"call_tool", resource == Tool::"desk/echo");')

    printed = await switchgear(world, "run", "replay", run, "--policy", str(policy), code=1)

    assert "step 1, call 1, desk/echo: decision: allow -> deny" in printed
    assert world.tool_calls() == ["echo"]
    (replay,) = [one for one in (await world.http.get("/admin/runs")).json()["data"] if one["replay_of"] == run]
    assert replay["lineage"]["changed"] == ["policies"]
    assert replay["spent"]["nano"] > 0


async def test_what_waits_for_people_is_replayed_without_asking_them(world):
    answer = await world.openai.responses.create(model="agent/clerk", input="count it", background=True)
    await world.ended(answer.id)

    assert "the same" in await switchgear(world, "run", "replay", answer.id)
    approvals = (await world.http.get("/admin/approvals")).json()["data"]
    assert [one["run"] for one in approvals] == [answer.id]
    assert world.tool_calls() == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"model": "nobody"}, 404, "nobody"),
        ({"policies": {"a.cedar": "permit (;"}}, 400, "a.cedar:1"),
        ({"agent": {"agent.yaml": "modell: thinker\n"}}, 400, "agent.yaml:1"),
        ({"agent": {"instructions.md": "x"}}, 400, "there is no agent.yaml"),
        ({"agent": {"../agent.yaml": "x"}}, 400, "not allowed"),
        ({"lose": True}, 400, "Did you mean 'loose'?"),
    ],
)
async def test_a_replay_that_cannot_be_made_says_why(world, body, status, says):
    run = await echoed(world)

    answer = await world.http.post(f"/admin/runs/{run}/replay", json=body)

    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]


async def test_what_is_no_replay_has_no_comparison(world):
    run = await echoed(world)

    answer = await world.http.get(f"/admin/runs/{run}/comparison")

    assert (answer.status_code, answer.json()["error"]["message"]) == (409, f"The run '{run}' is no replay.")


GUARDED = """
protection:
  guardrails: {short: {kind: length, characters: 5000, match: {models: [thinker]}}}
"""


@pytest.mark.parametrize("how", [("fork", {"at": 0}), ("replay", {})])
async def test_an_agent_gets_no_model_that_its_guardrails_do_not_stand_around(world, how):
    config = world.folder / "switchgear.yaml"
    text = config.read_text()
    config.write_text(
        text.replace("models: {thinker: play/thinker}", "models: {thinker: play/thinker, bare: play/thinker}") + GUARDED
    )
    world.write("clerk", CLERK + "guardrails: [short]\n")
    assert "error" not in await world.reload()
    run = await echoed(world)
    kind, body = how

    refused = await world.http.post(f"/admin/runs/{run}/{kind}", json={**body, "model": "bare"})

    assert refused.status_code == 400, refused.text
    assert "guardrail 'short'" in refused.json()["error"]["message"]
