"""MCP clients and the tools behind /mcp: both revisions on one route, with the official client and real servers of tools."""

import anyio
import httpx2
import pytest
from mcp import MCPError

from tests.journeys.mcp_world import MODES, client_of, gateway_with, operating, wire
from tests.journeys.tool_runs_world import calls
from tests.tool_world import free_port, noted, web

pytestmark = pytest.mark.anyio
TRUSTED = "{servers: {desk: [echo, count, hang, blocks, structured, fail, raise, with.dots]}, clients: trusted}"
MODERN = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
}


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


async def test_a_client_of_either_revision_lists_the_tools_by_name_in_pages(tmp_path, mode):
    mcp = "{servers: {desk: [hang, echo, with.dots]}, page: 2}"
    async with gateway_with(tmp_path, mcp) as gateway, client_of(gateway.url, mode) as client:
        first = await client.list_tools()
        second = await client.list_tools(cursor=first.next_cursor)

        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    names = [tool.name for tool in (*first.tools, *second.tools)]
    assert names[:3] == ["approval_status", "desk__echo", "desk__hang"]
    assert [name.startswith("desk__with_dots__") for name in names[3:]] == [True]
    assert second.next_cursor is None
    echo = first.tools[1]
    assert echo.description == "Gives the text back."
    assert echo.input_schema["required"] == ["text"]
    if mode == "auto":
        assert (first.ttl_ms, first.cache_scope) == (60_000, "private")


async def test_results_come_through_as_the_tool_gave_them(tmp_path, mode):
    async with gateway_with(tmp_path) as gateway, client_of(gateway.url, mode) as client:
        await client.list_tools()
        blocks = wire(await client.call_tool("desk__blocks", {}))
        structured = wire(await client.call_tool("desk__structured", {}))
        failed = wire(await client.call_tool("desk__fail", {}))
        [dotted] = [tool.name for tool in (await client.list_tools()).tools if "dots" in tool.name]
        named = wire(await client.call_tool(dotted, {}))

    assert [block["type"] for block in blocks["content"]] == ["text", "image", "resource_link"]
    assert blocks["content"][1]["data"] == "A" * 4000
    assert structured["structuredContent"] == {"n": 3}
    assert failed == {"content": [{"type": "text", "text": "fail"}], "isError": True}
    assert named["content"] == [{"type": "text", "text": "with.dots"}]


async def test_wrong_arguments_are_told_as_a_result_and_reach_no_server(tmp_path, mode):
    async with gateway_with(tmp_path) as gateway, client_of(gateway.url, mode) as client:
        wrong = await client.call_tool("desk__echo", {"text": 3})
        none = await client.call_tool("desk__echo")

    assert wrong.is_error
    assert 'not of type "string"' in wrong.content[0].text
    assert none.is_error
    assert calls(tmp_path) == []


async def test_what_a_tool_raises_does_not_reach_the_client(tmp_path, mode):
    async with gateway_with(tmp_path) as gateway, client_of(gateway.url, mode) as client:
        raised = await client.call_tool("desk__raise", {})

    assert raised.is_error
    assert "Traceback" not in raised.content[0].text


async def test_a_tool_that_is_not_offered_is_unknown(tmp_path, mode):
    async with (
        gateway_with(tmp_path, "{servers: {desk: [echo]}}") as gateway,
        client_of(gateway.url, mode) as client,
    ):
        with pytest.raises(MCPError) as refused:
            await client.call_tool("desk__count", {"text": "tea"})

    assert (refused.value.code, refused.value.message) == (-32602, "Unknown tool: desk__count")
    assert calls(tmp_path) == []


async def test_a_client_that_gives_up_a_call_ends_it_at_the_server_within_a_second(tmp_path, mode):
    async with gateway_with(tmp_path, TRUSTED) as gateway, client_of(gateway.url, mode) as client:
        with anyio.move_on_after(10) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "desk__hang", {})
                while not calls(tmp_path, "hang"):
                    await anyio.sleep(0.01)
                left = anyio.current_time()
                tasks.cancel_scope.cancel()
            while not noted(tmp_path / "notes", "cancelled.jsonl"):
                await anyio.sleep(0.01)
            took = anyio.current_time() - left

    assert not scope.cancelled_caught
    assert took < 1.5


async def test_a_server_that_is_away_hides_no_other(tmp_path, mode):
    away = f"""
    gone:
      kind: http
      url: http://127.0.0.1:{free_port()}/mcp
      tools: {{echo: {{effect: read}}}}
"""
    mcp = "{servers: {desk: [echo], gone: [echo]}}"
    async with (
        gateway_with(tmp_path, mcp, servers=away) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        listed = await client.list_tools()
        refused = await client.call_tool("gone__echo", {"text": "tea"})
        made = await client.call_tool("desk__echo", {"text": "tea"})

    assert [tool.name for tool in listed.tools] == ["approval_status", "desk__echo"]
    assert refused.is_error
    assert made.content[0].text == "tea"


async def test_tools_of_a_server_behind_http_are_called_through(tmp_path, mode):
    (tmp_path / "web").mkdir()
    port = free_port()
    server = f"""
    far:
      kind: http
      url: http://127.0.0.1:{port}/mcp
      tools: {{echo: {{effect: read}}}}
"""
    mcp = '{servers: {desk: [echo], far: [echo]}, prefixes: {far: ""}}'
    with web(tmp_path / "web", port):
        async with (
            gateway_with(tmp_path, mcp, servers=server, ready=("desk", "far")) as gateway,
            client_of(gateway.url, mode) as client,
        ):
            names = [tool.name for tool in (await client.list_tools()).tools]
            far = await client.call_tool("echo", {"text": "from afar"})

    assert names == ["approval_status", "desk__echo", "echo"]
    assert far.content[0].text == "from afar"
    assert [call["tool"] for call in noted(tmp_path / "web", "calls.jsonl")] == ["echo"]
    assert calls(tmp_path) == []


async def test_a_call_has_a_record_and_an_entry_of_the_audit_log(tmp_path):
    async with gateway_with(tmp_path) as gateway, client_of(gateway.url) as client:
        gateway.forget()
        await client.call_tool("desk__echo", {"text": "tea"})
        [record] = gateway.records
        async with operating(tmp_path, gateway.url) as http:
            with anyio.fail_after(10):
                found = []
                while not found:
                    answered = await http.get("/admin/audit", params={"action": "mcp.tool_called"})
                    found = answered.json()["data"]

    assert (record.operation, record.dialect, record.model, record.status) == ("tool_call", "mcp", "desk/echo", 200)
    assert record.run
    assert found[0]["details"] == {"run": record.run, "outcome": "ok"}


async def post(gateway, body, headers=None):
    async with httpx2.AsyncClient(base_url=gateway.url) as http:
        return await http.post(
            "/mcp", content=body, headers={"content-type": "application/json", **(headers or MODERN)}
        )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"[]", 400, -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', 400, -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}', 400, None),
    ],
)
async def test_what_is_no_request_of_mcp_is_refused_as_json_rpc_says(tmp_path, body, status, code):
    async with gateway_with(tmp_path) as gateway:
        refused = await post(gateway, body)

    assert refused.status_code == status
    assert code in (None, refused.json()["error"]["code"])


async def test_nothing_is_at_the_path_where_it_is_not_configured(tmp_path):
    async with gateway_with(tmp_path, "null") as gateway:
        absent = await post(gateway, b"{}")

    assert absent.status_code == 404


async def test_other_methods_of_http_are_refused(tmp_path):
    async with gateway_with(tmp_path) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        got = await http.get("/mcp", headers={"accept": "text/event-stream"})
        deleted = await http.delete("/mcp")

    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    assert deleted.status_code == 405


async def test_arguments_that_are_too_large_are_refused(tmp_path, mode):
    mcp = "{servers: {desk: [echo]}, limits: {argument_bytes: 300}}"
    async with gateway_with(tmp_path, mcp) as gateway, client_of(gateway.url, mode) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("desk__echo", {"text": "x" * 300})

    assert refused.value.code == -32602
    assert calls(tmp_path) == []


async def test_more_calls_in_a_minute_than_allowed_are_refused_and_not_made(tmp_path, mode):
    mcp = "{servers: {desk: [echo, fail]}, limits: {tools: {desk/echo: 2}}}"
    async with gateway_with(tmp_path, mcp) as gateway, client_of(gateway.url, mode) as client:
        made = [await client.call_tool("desk__echo", {"text": "tea"}) for _ in range(3)]
        other = await client.call_tool("desk__fail", {})

    assert [result.is_error for result in made] == [False, False, True]
    assert "in a minute" in made[2].content[0].text
    assert other.content[0].text == "fail"
    assert len(calls(tmp_path, "echo")) == 2
