"""MCP clients before two replicas behind one address: any of them answers any request, and one that is killed takes no call with it."""

import itertools
import signal
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from tests.journeys.mcp_world import MODES, PATIENCE, PEPPER, answer, configuration, waiting, wire
from tests.journeys.running_gateway import served_process
from tests.journeys.tool_runs_world import calls
from tests.tool_world import noted

pytestmark = pytest.mark.anyio
MCP = "{servers: {desk: [echo, count, hang]}, clients: trusted, approval: {desk/count: always}}"
KEY = {"switchgear/idempotency-key": "the-one-call"}


class Address:
    """One address before several: each connection goes to the next that is there."""

    def __init__(self, ports):
        self.ports = list(ports)
        self.seen = []
        self.url = ""
        self._turn = itertools.count()

    async def _relay(self, client):
        async with client:
            port = self.ports[next(self._turn) % len(self.ports)]
            self.seen.append(port)
            async with await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as tasks:
                tasks.start_soon(_copy, client, server, tasks.cancel_scope)
                tasks.start_soon(_copy, server, client, tasks.cancel_scope)

    @asynccontextmanager
    async def open(self):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        self.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._relay)
            yield self
            tasks.cancel_scope.cancel()


async def _copy(source, sink, scope):
    try:
        async for piece in source:
            await sink.send(piece)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    scope.cancel()


@asynccontextmanager
async def client_of(url, mode, **more):
    """The official client; each of its requests has a connection of its own, and so comes to another replica."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(timeout=PATIENCE, limits=limits) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, **more) as client,
    ):
        yield client


@asynccontextmanager
async def replicas(folder, server):
    """Two of them on one PostgreSQL, both with their tools."""
    environ = {**PEPPER, "DATABASE_URL": server.new_database()}
    config = configuration(folder, MCP, database="{kind: postgres, url: env:DATABASE_URL}")
    config = config.replace("hang: {effect: read", "hang: {effect: once")
    async with served_process(folder, config, environ) as one, served_process(folder, config, environ) as two:
        for each in (one, two):
            await listed(each.url)
        yield one, two


async def listed(url):
    """Wait until the tools are there."""
    with anyio.fail_after(PATIENCE):
        async with client_of(url, "auto") as client:
            while "desk__echo" not in [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]:
                await anyio.sleep(0.1)


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_asked_of_one_replica_is_approved_at_another_and_fetched_at_any(tmp_path, postgres_server, mode):
    async with (
        replicas(tmp_path, postgres_server) as (one, two),
        Address([one.port, two.port]).open() as address,
        client_of(address.url, mode) as client,
    ):
        names = [[tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools] for _ in range(2)]
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        await answer(tmp_path, two.url, told["approval_id"])
        done = [wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20})) for _ in range(2)]

    assert set(address.seen) == {one.port, two.port}
    assert names[0] == names[1]
    assert done[0] == done[1]
    assert done[0]["content"] == [{"type": "text", "text": "once"}]
    assert [call["tool"] for call in calls(tmp_path)] == ["count"]


async def test_a_state_that_one_replica_sealed_is_taken_by_the_other(tmp_path, postgres_server):
    async with replicas(tmp_path, postgres_server) as (one, two), Address([one.port, two.port]).open() as address:

        async def visit(context, params):
            address.ports = [two.port]
            await answer(tmp_path, two.url, params.url.rsplit("/", 1)[1])
            return ElicitResult(action="accept")

        async with client_of(address.url, "auto", elicitation_callback=visit) as client:
            address.ports = [one.port]
            result = wire(await client.call_tool("desk__count", {"text": "once"}))

    assert result["content"] == [{"type": "text", "text": "once"}]
    assert len(calls(tmp_path)) == 1


async def test_a_call_is_cancelled_at_whatever_replica_its_client_says_so(tmp_path, postgres_server):
    async with (
        replicas(tmp_path, postgres_server) as (one, two),
        Address([one.port, two.port]).open() as address,
        client_of(address.url, "legacy") as client,
    ):
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                address.ports = [one.port]
                tasks.start_soon(client.call_tool, "desk__hang", {})
                while not calls(tmp_path, "hang"):
                    await anyio.sleep(0.01)
                address.ports = [two.port]
                tasks.cancel_scope.cancel()
            while not noted(tmp_path / "notes", "cancelled.jsonl"):
                await anyio.sleep(0.01)

    assert len(calls(tmp_path, "hang")) == 1


async def test_a_call_that_waits_outlives_the_replica_that_was_asked(tmp_path, postgres_server):
    async with replicas(tmp_path, postgres_server) as (one, two):
        async with client_of(one.url, "auto") as client:
            told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
            one.signal(signal.SIGKILL)
            await one.exit_code(PATIENCE)
            await answer(tmp_path, two.url, told["approval_id"])
        async with client_of(two.url, "auto") as client:
            done = wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20}))

    assert done["content"] == [{"type": "text", "text": "once"}]
    assert len(calls(tmp_path)) == 1


async def test_what_may_not_be_done_twice_and_was_begun_by_who_was_killed_waits_for_a_person(tmp_path, postgres_server):
    async with replicas(tmp_path, postgres_server) as (one, two):
        with anyio.move_on_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_call_lost, one.url)
                while not calls(tmp_path, "hang"):
                    await anyio.sleep(0.01)
                one.signal(signal.SIGKILL)
                await one.exit_code(PATIENCE)
                tasks.cancel_scope.cancel()
        async with client_of(two.url, "auto") as client:
            again = wire(await client.call_tool("desk__hang", {}, meta=KEY))
            [asked] = await waiting(tmp_path, two.url)
            await answer(tmp_path, two.url, asked["id"], "deny", reason="It was done.")
            done = wire(
                await client.call_tool("approval_status", {"id": again["structuredContent"]["run_id"], "wait": 20})
            )

    assert again["structuredContent"]["status"] == "waiting_for_approval"
    assert asked["kind"] == "outcome"
    assert "is not made again" in done["content"][0]["text"]
    assert "It was done." in done["content"][0]["text"]
    assert len(calls(tmp_path, "hang")) == 1


async def _call_lost(url):
    """Call, and never hear of it: who answers is killed."""
    try:
        async with client_of(url, "auto") as client:
            await client.call_tool("desk__hang", {}, meta=KEY)
    except* (httpx2.TransportError, MCPError):
        pass
