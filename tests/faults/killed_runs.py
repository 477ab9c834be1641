"""What the tests ask of gateways that are killed in the middle of runs with tools."""

import json

import anyio

from tests.journeys.tool_runs_world import NEVER

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
