"""kill -9 in the middle of a tool call, with a real server of tools that notes its calls: never more than one of what must be done once."""

import json
import signal

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import served_process
from tests.journeys.tool_runs_world import ENVIRON, NEVER, calls, configuration

TERMINAL = ("response.completed", "response.incomplete", "response.failed")
PATIENCE = 120


async def events_of(http, response, *, until=""):
    """The events of a response, to its end or to the first one named `until`."""
    found = []
    async with http.stream("GET", f"/v1/responses/{response}?stream=true") as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                if found[-1]["type"] in (*TERMINAL, until):
                    break
    return found


async def until_listed(http):
    """Wait until the server of tools has started: what is asked before that is answered without it."""
    body = {"model": "clerk", "input": "hi", "tools": NEVER}
    while (await http.post("/v1/responses", json=body)).json()["output"][0]["error"] is not None:
        await anyio.sleep(0.1)


@pytest.mark.parametrize(
    ("text", "at", "tool"),
    [
        ("Please wait.", "response.mcp_call.in_progress", "hang"),
        ("Please do both.", "response.mcp_list_tools.completed", "count"),
        ("Please do both.", "response.mcp_call.completed", "count"),
    ],
)
async def test_what_must_be_done_once_is_never_done_twice(tmp_path, text, at, tool):
    config = configuration(tmp_path)
    body = {"model": "clerk", "input": text, "tools": NEVER, "background": True}
    with anyio.fail_after(2 * PATIENCE):
        async with (
            served_process(tmp_path, config, ENVIRON) as first,
            httpx2.AsyncClient(base_url=first.url, timeout=PATIENCE) as http,
        ):
            await until_listed(http)
            made = (await http.post("/v1/responses", json=body)).json()["id"]
            await events_of(http, made, until=at)
            if tool == "hang":
                while not calls(tmp_path, tool):
                    await anyio.sleep(0.01)
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
    assert document == events[-1]["response"]
    assert len(calls(tmp_path, tool)) <= 1
    if tool == "hang":
        assert [item["type"] for item in document["output"]][-2:] == ["mcp_call", "mcp_approval_request"]
    else:
        asked = [item for item in document["output"] if item["type"] == "mcp_approval_request"]
        assert asked or len(calls(tmp_path, tool)) == 1, document["output"]
