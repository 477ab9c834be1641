"""What a caller of /mcp may use: what policies and his key's lists forbid is not there for him, in the list or in a call."""

import pytest
from mcp import MCPError

from tests.journeys.mcp_world import MODES, client_of, gateway_with, key_of, operating, wire
from tests.journeys.tool_runs_world import calls

pytestmark = pytest.mark.anyio
MCP = "{servers: {desk: [echo, fail, structured]}}"
POLICIES = """
permit(principal, action, resource);

@id("no-structure")
forbid(principal, action == Action::"use_tool", resource == Tool::"desk/structured");

@id("no-gossip")
forbid(principal, action == Action::"call_tool", resource == Tool::"desk/echo") when { context.args has text && context.args.text == "gossip" };
"""


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


async def test_a_tool_that_a_policy_forbids_is_not_there(tmp_path, mode):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "tools.cedar").write_text(POLICIES)
    more = "policies: {folder: policies}"
    async with (
        gateway_with(tmp_path, MCP, more=more) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        allowed = wire(await client.call_tool("desk__echo", {"text": "tea"}))
        gossip = wire(await client.call_tool("desk__echo", {"text": "gossip"}))
        with pytest.raises(MCPError) as refused:
            await client.call_tool("desk__structured", {})

    assert names == ["approval_status", "desk__echo", "desk__fail"]
    assert allowed["isError"] is False
    assert gossip["isError"] is True
    assert "no-gossip" in gossip["content"][0]["text"]
    assert refused.value.code == -32602
    assert [call["arguments"] for call in calls(tmp_path)] == [{"text": "tea"}]


async def test_a_key_with_a_list_of_tools_has_those_alone(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway:
        key = await key_of(tmp_path, gateway.url, "ada", tools=["desk/echo"])
        async with client_of(gateway.url, mode, key=key) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            with pytest.raises(MCPError):
                await client.call_tool("desk__fail", {})

    assert names == ["approval_status", "desk__echo"]
    assert calls(tmp_path) == []


async def test_a_reload_changes_what_is_offered(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        path = tmp_path / "switchgear.yaml"
        path.write_text(path.read_text().replace(f"mcp: {MCP}", "mcp: {servers: {desk: [fail]}}"))
        async with operating(tmp_path, gateway.url) as http:
            reloaded = await http.post("/admin/reload")
            assert reloaded.status_code == 200, reloaded.text
        names = [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
        with pytest.raises(MCPError):
            await client.call_tool("desk__echo", {"text": "tea"})

    assert names == ["approval_status", "desk__fail"]


async def test_without_a_key_nobody_is_let_in_once_there_are_keys(tmp_path):
    async with gateway_with(tmp_path, MCP) as gateway:
        await key_of(tmp_path, gateway.url, "ada")
        async with operating(tmp_path, gateway.url) as http:
            del http.headers["authorization"]
            refused = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert refused.status_code == 401
