"""`switchgear mcp` between the official client on standard input and output and a server over HTTP: in both revisions, both ways, and through outages."""

import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import stdio_client
from mcp_types import ElicitResult, ToolListChangedNotification
from starlette.responses import PlainTextResponse

from tests.mcp_bridge_world import KEY, ROOT, UpstreamDouble, command
from tests.mcp_door_world import listening
from tests.tool_world import free_port, until

BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])
SERVERS = pytest.mark.parametrize("stateless", [True, False])


@asynccontextmanager
async def bridged(upstream, mode, errlog=None, more=(), **client):
    """A client of the command."""
    async with Client(
        stdio_client(command(upstream.url, *more), errlog=errlog or sys.stderr), mode=mode, **client
    ) as opened:
        yield opened


@BOTH
@SERVERS
async def test_an_assistant_that_starts_a_program_reaches_the_gateways_tools(mode, stateless):
    upstream = UpstreamDouble(stateless=stateless)
    async with upstream.there(), bridged(upstream, mode) as client:
        listed = await client.list_tools()
        answer = await client.call_tool("echo", {"text": "grün\n☃"})

    assert [tool.name for tool in listed.tools] == ["echo", "steps", "hang", "ask"]
    assert answer.content[0].text == "grün\n☃"


async def test_the_headers_that_the_newer_revision_wants_are_made_from_the_message():
    """MCP 2026-07-28: Mcp-Method, Mcp-Name, and Mcp-Param-… for arguments that a tool marks."""
    upstream = UpstreamDouble(as_json=True)
    async with upstream.there(), bridged(upstream, "auto") as client:
        await client.list_tools()
        await client.call_tool("echo", {"text": "grün"})

    [(_, headers)] = upstream.calls
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert (headers["mcp-method"], headers["mcp-name"]) == ("tools/call", "echo")
    assert headers["mcp-param-text"] == "=?base64?Z3LDvG4=?="


@BOTH
async def test_progress_comes_through_before_the_answer(mode):
    upstream, heard = UpstreamDouble(), []

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    async with upstream.there(), bridged(upstream, mode) as client:
        await client.call_tool("steps", {}, progress_callback=hear)

    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@BOTH
@SERVERS
async def test_a_call_that_the_assistant_gives_up_is_cancelled_behind_the_gateway(mode, stateless):
    """MCP, Cancellation: a notification on standard input; to HTTP it is the end of the answer's stream."""
    upstream = UpstreamDouble(stateless=stateless)
    async with upstream.there(), bridged(upstream, mode) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "hang", {})
            with anyio.fail_after(20):
                await upstream.began.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            await upstream.cancelled.wait()

        assert (await client.call_tool("echo", {"text": "on"})).content[0].text == "on"


async def test_a_server_asks_in_the_midst_of_a_call_and_says_things_unasked():
    """MCP 2025-11-25: requests of the server, and the stream of GET."""
    upstream, heard = UpstreamDouble(stateless=False), []

    async def answer(context, params):
        return ElicitResult(action="accept", content={"a": "this"})

    async def hear(message):
        heard.append(message)

    callbacks = {"elicitation_callback": answer, "message_handler": hear}
    async with upstream.there(), bridged(upstream, "legacy", **callbacks) as client:
        result = await client.call_tool("ask", {})
        await until(lambda: any(isinstance(one, ToolListChangedNotification) for one in heard), 20)

    assert result.content[0].text == "accept {'a': 'this'}"


@BOTH
@SERVERS
async def test_a_gateway_that_is_away_costs_the_requests_of_that_time_and_no_more(mode, stateless, tmp_path):
    upstream = UpstreamDouble(stateless=stateless)
    with (tmp_path / "err").open("w+") as errors:
        async with anyio.create_task_group() as tasks:
            back, gone, over = anyio.Event(), anyio.Event(), anyio.Event()

            async def live(begin, end):
                await begin.wait()
                async with upstream.there():
                    begun.set()
                    await end.wait()

            now, begun = anyio.Event(), anyio.Event()
            now.set()
            tasks.start_soon(live, now, gone)
            await begun.wait()
            async with bridged(upstream, mode, errors) as client:
                await client.call_tool("echo", {})
                gone.set()
                await until(lambda: not reachable(upstream.port), 20)

                with pytest.raises(MCPError, match="cannot be reached"):
                    await client.call_tool("echo", {})

                begun = anyio.Event()
                back.set()
                tasks.start_soon(live, back, over)
                await begun.wait()
                answer = await client.call_tool("echo", {"text": "again"})
            over.set()

        told = (tmp_path / "err").read_text()
    assert answer.content[0].text == "again"
    assert "cannot be reached" in told
    assert "answers again" in told or "begun anew" in told
    assert KEY not in told


def reachable(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spoken(url, *lines, key=KEY, **more):
    """Say lines to the command, and end; give what it said by line, and what it told people."""
    parameters = command(url, **more)
    ran = subprocess.run(
        [parameters.command, *parameters.args],
        input=b"".join(line + b"\n" for line in lines),
        env=parameters.env | {"SWITCHGEAR_API_KEY": key},
        cwd=parameters.cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr.decode()


async def said(*given, **more):
    return await anyio.to_thread.run_sync(lambda: spoken(*given, **more))


PING = b'{"jsonrpc": "2.0", "id": "a", "method": "tools/list"}'


async def test_only_messages_are_on_standard_output_whatever_comes_in():
    upstream = UpstreamDouble()
    async with upstream.there():
        answers, told = await said(
            upstream.url, b"noise", b"[]", b"", b"x" * (9 << 20), b'{"id":1,"id":', PING, b'{"half'
        )

    refused = [answer["error"]["code"] for answer in answers if answer["id"] is None]
    assert refused == [-32700, -32700, -32600, -32700, -32700]
    assert [len(answer["result"]["tools"]) for answer in answers if answer["id"] == "a"] == [4]
    assert "too long" in told


async def test_a_wrong_key_is_told_to_the_assistant_and_to_its_user():
    upstream = UpstreamDouble()
    async with upstream.there():
        [answer], told = await said(upstream.url, PING, key="wrong")

    assert answer["id"] == "a"
    assert "no such key" in answer["error"]["message"]
    assert "SWITCHGEAR_API_KEY" in answer["error"]["message"]
    assert "401" in told


async def test_what_answers_elsewhere_is_no_message():
    port = free_port()
    async with listening(PlainTextResponse('<html>{"id": 1}</html>'), port):
        [answer], told = await said(f"http://127.0.0.1:{port}", PING)

    assert answer["id"] == "a"
    assert "no MCP server" in answer["error"]["message"]
    assert "no MCP server" in told


async def test_an_answer_of_millions_of_bytes_comes_whole():
    upstream, large = UpstreamDouble(), "☃" * 1_000_000
    async with upstream.there(), bridged(upstream, "legacy") as client:
        answer = await client.call_tool("echo", {"text": large})

    assert answer.content[0].text == large


def test_a_key_comes_from_a_file(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "mcp", "--key-file", str(tmp_path / "none")],
        input=b"",
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 1
    assert b"cannot be read" in ran.stderr
    assert ran.stdout == b""
