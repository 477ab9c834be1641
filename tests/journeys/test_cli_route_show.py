"""`switchgear route show`: where one call went, from the moment it is made, as an operator asks for it."""

import json

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.journeys.command_line import Workplace
from tests.journeys.running_gateway import running

CONFIG = """
server: {port: 0}
database: {kind: sqlite, path: data.db}
access: {bootstrap_key_file: first.key}
providers:
  script: {kind: scripted, document: script.yaml}
  down: {kind: openai_compatible, base_url: "http://127.0.0.1:1/v1"}
models:
  talk: {targets: [{provider: down, model: gone}, {provider: script, model: talker}]}
  slow: script/slow
"""
SCRIPT = """
models:
  talker: {answers: [{say: Here I am., usage: {input: 11, output: 5}}]}
  slow: {answers: [{say: At last., delay: 1.5}]}
"""
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def place(tmp_path):
    """A gateway, a client with its first key, and the command line."""
    workplace = Workplace(tmp_path)
    workplace.write("script.yaml", SCRIPT)
    async with running(workplace.directory, CONFIG) as gateway:
        key = (workplace.directory / "first.key").read_text().strip()
        workplace.env["SWITCHGEAR_ADMIN_KEY"] = key

        async def show(*args):
            command = ("route", "show", *args, "--url", gateway.url)
            return await anyio.to_thread.run_sync(lambda: workplace.run(*command))

        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=10) as http:
            yield gateway, http, show


async def test_a_call_that_has_just_ended_is_shown_with_what_was_decided(place):
    gateway, http, show = place
    answer = await http.post("/v1/chat/completions", json={"model": "talk", **HELLO})
    told = await http.get(f"/admin/calls/{answer.headers['x-switchgear-call-id']}")
    done = await show(answer.headers["x-switchgear-call-id"])
    [record] = gateway.records

    assert told.status_code == 200
    assert told.json()["route"] == list(record.route) == ["down/gone", "script/talker"]
    assert [one["target"] for one in told.json()["decision"]["considered"]] == [
        one.target for one in record.decision.considered
    ]
    assert done.returncode == 0, done.stderr
    head, tried, decided, titles, first, second = done.stdout.splitlines()
    assert head.startswith(f"{record.id} talk generate: status 200 in ")
    assert head.endswith("11 tokens in and 5 out")
    assert tried == "tried: down/gone, script/talker"
    assert decided == "decided by: fallback"
    assert titles.split() == ["target", "verdict", "score", "why"]
    assert [first.split()[:2], second.split()[:2]] == [["down/gone", "chosen"], ["script/talker", "next"]]


async def test_a_call_in_flight_is_said_to_be_so(place):
    gateway, http, show = place
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.post("/v1/chat/completions", json={"model": "slow", **HELLO}))
        with anyio.fail_after(2):
            while not gateway.application.edge.in_progress:
                await anyio.sleep(0.01)
        [relay] = gateway.application.edge.in_progress.values()
        told = (await http.get(f"/admin/calls/{relay.call.id}")).json()
        tasks.cancel_scope.cancel()

    assert (told["state"], told["model"], told["stream"]) == ("in_progress", "slow", False)
    with anyio.fail_after(5):
        while (told := (await http.get(f"/admin/calls/{told['id']}")).json())["state"] == "in_progress":
            await anyio.sleep(0.02)
    assert (told["state"], told["status"]) == ("finished", 499)
    done = await show(told["id"], "--json")
    assert json.loads(done.stdout)["error"] == told["error"]


async def test_a_call_that_there_is_not_is_told_in_a_line(place):
    _, _, show = place
    done = await show("call_0123456789")

    assert done.returncode == 1
    assert "no such call" in done.stderr
    assert "Traceback" not in done.stderr
