"""All of /mcp together: the door, tools, what servers offer besides, progress and changes, in a gateway as it runs."""

import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.journeys.mcp_world import MODES, client_of, gateway_with

pytestmark = pytest.mark.anyio
OFFERING = Path(__file__).resolve().parents[1] / "mcp_offering_double.py"
MCP = """
  servers: {memos: [advance]}
  offers: [memos]
  prefixes: {memos: ""}
  clients: trusted
  public_hosts: [gateway.example]
"""


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def servers(tmp_path):
    (tmp_path / "memos").mkdir()
    return f"""
    memos:
      kind: stdio
      command: "{sys.executable}"
      args: ["{OFFERING}", stdio, "{tmp_path}/memos"]
      tools: {{advance: {{effect: read}}}}
      resources: ["memo://one"]
      resource_templates: [note]
      prompts: [greet]
"""


async def test_a_client_hears_how_far_the_server_of_its_tool_is(tmp_path, servers, mode):
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("memos",)) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        await client.call_tool("advance", {"word": "on"}, progress_callback=hear)
        with anyio.fail_after(5):
            while len(heard) < 3:
                await anyio.sleep(0.01)

    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


async def test_resources_and_prompts_are_there_beside_the_tools(tmp_path, servers, mode):
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("memos",)) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        with anyio.fail_after(20):
            while not (resources := (await client.list_resources(cache_mode="bypass")).resources):
                await anyio.sleep(0.05)
        read = await client.read_resource(resources[0].uri)
        tools = [tool.name for tool in (await client.list_tools()).tools]

    assert [str(resource.uri) for resource in resources] == ["memo://one"]
    assert read.contents
    assert tools == ["advance", "approval_status"]


async def test_a_foreign_host_and_a_foreign_page_are_kept_out(tmp_path, servers):
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("memos",)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as http,
    ):
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        statuses = [
            (await http.post("/mcp", json=body, headers=headers)).status_code
            for headers in (
                {"host": "elsewhere.example"},
                {"origin": "https://elsewhere.example"},
                {"host": "gateway.example", "accept": "application/json, text/event-stream"},
            )
        ]

    assert statuses == [421, 403, 200]
