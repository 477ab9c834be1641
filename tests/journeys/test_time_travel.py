"""Who operates a gateway goes back in what an agent did: on the command line and over HTTP, with a real server of tools that notes its calls."""

import json
import os
import subprocess
import sys

import anyio
import pytest

from tests.journeys.agents_world import ROOT, agents_world


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
