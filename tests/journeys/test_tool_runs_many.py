"""Very many runs with tools at once: those that wait for people cost nothing, and those that stream all come to their end."""

import asyncio
import json

import anyio
import httpx2
import psutil

from tests.journeys.running_gateway import running
from tests.journeys.tool_runs_world import ALWAYS, ENVIRON, NEVER, calls, configuration, until_ready

PATIENCE = 120
WAITING = 500
STREAMS = 100
AT_ONCE = 16


async def test_five_hundred_runs_that_wait_for_people_cost_no_task_and_no_connection(tmp_path):
    """An approval is data, not a suspended coroutine: `../facts/journal.md`, invariant 7."""
    async with (
        running(tmp_path, configuration(tmp_path), environ=ENVIRON) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=PATIENCE) as http,
    ):
        await until_ready(gateway)
        body = {"model": "clerk", "input": "change it", "tools": ALWAYS}
        await http.post("/v1/responses", json=body)
        await _until_idle(gateway)
        tasks, files = len(asyncio.all_tasks()), await _open_files(http)

        waiting = await _many(http, {**body, "background": True}, WAITING)
        await _until_idle(gateway)
        documents = [(await http.get(f"/v1/responses/{name}")).json() for name in waiting]
        tasks_now, files_now = len(asyncio.all_tasks()), await _open_files(http)
        live = (await http.get("/metrics")).text

        request = documents[-1]["output"][-1]
        answered = await http.post(
            "/v1/responses",
            json={
                "model": "clerk",
                "previous_response_id": waiting[-1],
                "input": [
                    {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True},
                ],
                "tools": ALWAYS,
            },
        )

    assert {document["output"][-1]["type"] for document in documents} == {"mcp_approval_request"}
    assert tasks_now <= tasks
    # What many who ask at once have had opened, connections to the database among it, stays open for the next: not one for each run.
    assert files_now <= files + 10
    assert "switchgear_runs_live 0" in live
    assert answered.json()["output"][-1]["content"][0]["text"] == "Done: once"
    assert len(calls(tmp_path, "count")) == 1


async def test_a_hundred_streams_with_tools_at_once_all_end_whole(tmp_path):
    async with (
        running(tmp_path, configuration(tmp_path), environ=ENVIRON) as gateway,
        httpx2.AsyncClient(
            base_url=gateway.url, timeout=PATIENCE, limits=httpx2.Limits(max_connections=STREAMS)
        ) as http,
    ):
        await until_ready(gateway)
        streams: list[list[dict]] = []

        async def stream() -> None:
            body = {"model": "clerk", "input": "do both", "tools": NEVER, "stream": True}
            async with http.stream("POST", "/v1/responses", json=body) as answer:
                lines = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
            streams.append([json.loads(line) for line in lines])

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(STREAMS):
                    tasks.start_soon(stream)
        await _until_idle(gateway)

    for events in streams:
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1]["type"] == "response.completed"
        assert events[-1]["response"]["output"][-1]["content"][0]["text"] in ("Done: once", "It says: tea.")
    assert len(calls(tmp_path, "count")) == STREAMS


async def _many(http: httpx2.AsyncClient, body: dict, count: int) -> list[str]:
    """Begin so many runs, a few at a time, and give their ids when each has come as far as it can."""
    names: list[str] = []
    room = anyio.CapacityLimiter(AT_ONCE)

    async def begin() -> None:
        async with room:
            name = (await http.post("/v1/responses", json=body)).json()["id"]
            while (await http.get(f"/v1/responses/{name}")).json()["status"] in ("queued", "in_progress"):
                await anyio.sleep(0.02)
            names.append(name)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(begin)
    return names


async def _open_files(http: httpx2.AsyncClient) -> int:
    """Files and sockets of this process besides those of its own client, after one request: the client keeps what it needs for one."""
    await http.get("/metrics")
    held = [found for found in psutil.Process().net_connections() if found.raddr]
    return psutil.Process().num_fds() - len(held)


async def _until_idle(gateway) -> None:
    with anyio.fail_after(PATIENCE):
        while not gateway.idle:
            await anyio.sleep(0.01)
