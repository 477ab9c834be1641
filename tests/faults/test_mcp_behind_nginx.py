"""The Python client before two replicas behind a real nginx: any of them answers any request, and one that is killed takes no call with it."""

import signal

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import PromptsListChanged
from mcp_types import ElicitResult

from tests.faults.mcp_replicas import KEY, two_replicas
from tests.journeys.mcp_world import MODES, PATIENCE, answer, client_of, waiting, wire
from tests.journeys.tool_runs_world import calls
from tests.nginx_server import nginx_before

pytestmark = pytest.mark.anyio
STEPS = [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
SOON = 15.0
"""Seconds in which a client has to hear that its call came to nothing: far less than it waits for an answer."""


@pytest.fixture(name="nginx_server")
def _nginx_server():
    return nginx_before


@pytest.fixture
async def site(tmp_path, postgres_server, nginx_server):
    async with two_replicas(tmp_path, postgres_server, nginx_server) as there:
        yield there


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_begun_at_one_goes_on_at_the_other(site, mode):
    async with client_of(site.url, mode) as client:
        names = [[tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools] for _ in range(2)]
        echoed = [(await client.call_tool("desk__echo", {"text": "tea"})).content[0].text for _ in range(4)]
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        await answer(site.folder, site.two.url, told["approval_id"])
        done = [wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20})) for _ in range(2)]

    assert site.both_answered
    assert names[0] == names[1]
    assert echoed == ["tea"] * 4
    assert done[0] == done[1]
    assert done[0]["content"] == [{"type": "text", "text": "once"}]
    assert len(calls(site.folder, "count")) == 1


async def test_the_client_is_sent_to_the_approval_by_one_and_asks_the_other_again(site):
    async def visit(context, params):
        await answer(site.folder, site.one.url, params.url.rsplit("/", 1)[1])
        return ElicitResult(action="accept")

    async with client_of(site.url, elicitation_callback=visit) as client:
        done = [wire(await client.call_tool("desk__count", {"text": f"{turn}"})) for turn in range(3)]

    assert site.both_answered
    assert [each["content"][0]["text"] for each in done] == ["0", "1", "2"]
    assert len(calls(site.folder, "count")) == 3


@pytest.mark.parametrize("mode", MODES)
async def test_progress_is_heard_at_one_of_a_call_that_the_other_makes(site, mode):
    """Who answers last begins what follows: `two` makes the call, and `one` is asked how it stands."""
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    async with client_of(site.one.url, mode) as client, anyio.create_task_group() as tasks:
        told = wire(await client.call_tool("advance", {"word": "on"}, progress_callback=hear))["structuredContent"]
        tasks.start_soon(answer, site.folder, site.two.url, told["approval_id"])
        done = wire(
            await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20}, progress_callback=hear)
        )
        with anyio.fail_after(SOON):
            while len(heard) < len(STEPS):
                await anyio.sleep(0.01)

    assert done["structuredContent"]["status"] == "completed"
    assert heard == STEPS


async def test_a_changed_list_is_heard_at_whatever_replica_the_client_listens(site):
    async with (
        client_of(site.url) as listener,
        client_of(site.url) as other,
        listener.listen(prompts_list_changed=True) as changes,
    ):
        await other.call_tool("change", {"word": "later"})
        with anyio.fail_after(SOON):
            async for change in changes:
                if isinstance(change, PromptsListChanged):
                    break
        names = [prompt.name for prompt in (await listener.list_prompts(cache_mode="bypass")).prompts]

    assert "later" in names


@pytest.mark.parametrize("mode", MODES)
async def test_a_replica_that_is_killed_in_the_midst_of_a_call_has_its_client_told_at_once_and_nothing_done_twice(
    site, mode
):
    took = await _lost(site, mode)
    async with client_of(site.url) as client:
        again = wire(await client.call_tool("desk__hang", {}, meta=KEY))
        [asked] = await waiting(site.folder, site.url)
        await answer(site.folder, site.url, asked["id"], "deny", reason="It was done.")
        name = again["structuredContent"]["run_id"]
        done = wire(await client.call_tool("approval_status", {"id": name, "wait": 20}))

    assert took < SOON
    assert again["structuredContent"]["status"] == "waiting_for_approval"
    assert asked["kind"] == "outcome"
    assert "is not made again" in done["content"][0]["text"]
    assert len(calls(site.folder, "hang")) == 1


async def _busy(site):
    while (found := site.busy()) is None:
        await anyio.sleep(0.01)
    return found


async def _lost(site, mode):
    """Call, have who answers killed, and hear of it; give the seconds that took."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(timeout=PATIENCE, limits=limits) as http,
        Client(streamable_http_client(f"{site.url}/mcp", http_client=http), mode=mode) as client,
        anyio.create_task_group() as tasks,
    ):
        told = []

        async def call():
            with pytest.raises(MCPError) as lost:
                await client.call_tool("desk__hang", {}, meta=KEY)
            told.append(lost.value)

        tasks.start_soon(call)
        with anyio.fail_after(PATIENCE):
            while not calls(site.folder, "hang"):
                await anyio.sleep(0.01)
            killed = await _busy(site)
            killed.signal(signal.SIGKILL)
            await killed.exit_code(PATIENCE)
            at = anyio.current_time()
            while not told:
                await anyio.sleep(0.01)
        return anyio.current_time() - at


@pytest.mark.parametrize("mode", MODES)
async def test_a_replica_that_goes_down_says_so_to_who_has_heard_of_progress_already(site, mode):
    """An answer that has begun and only ends is none to every client: some wait on."""
    heard = anyio.Event()

    async def hear(progress, total, message):
        heard.set()

    async def go_down():
        await heard.wait()
        (await _busy(site)).signal(signal.SIGTERM)

    async with client_of(site.url, mode) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(go_down)
        with anyio.fail_after(SOON), pytest.raises(MCPError, match="shutting down"):
            await client.call_tool("change", {"word": "stall"}, progress_callback=hear)
        after = wire(await client.call_tool("desk__echo", {"text": "on"}))

    assert after["content"] == [{"type": "text", "text": "on"}]
