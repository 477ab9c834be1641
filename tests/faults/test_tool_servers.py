"""Servers of tools that die, hang, lie or come back as others: nothing is done twice, and none is another's trouble."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest
from structlog.testing import capture_logs

from gateway.config.secret import Secret
from gateway.config.tool_settings import StdioServerSettings, ToolHubSettings
from gateway.core.errors import NotFound
from gateway.tools.hub import ToolLost, ToolNotReached, ToolWithdrawn
from tests.tool_world import (
    RAW,
    allowed,
    call,
    free_port,
    http,
    hub_over,
    noted,
    ready,
    stdio,
    tool_of,
    until,
    web,
)

ROOT = Path(__file__).resolve().parents[2]
HOST = """
import sys, anyio
from pathlib import Path
from tests.tool_world import call, hub_over, ready, stdio

async def main():
    async with hub_over({"docs": stdio(sys.argv[1])}) as hub:
        await ready(hub, "docs")
        grandchild = (await call(hub, "docs", "spawn")).text
        Path(sys.argv[1], "grandchild").write_text(grandchild)
        await anyio.sleep_forever()

anyio.run(main)
"""


def lives(pid):
    """Whether a process runs; one that has ended and whose parent does not ask how does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_of(folder):
    return noted(folder, "started")[-1]["pid"]


async def test_a_program_that_is_killed_is_noticed_at_once_and_started_again(tmp_path):
    """Nobody calls it meanwhile: the client's library would notice at the next call only."""
    async with hub_over({"docs": stdio(tmp_path)}) as hub:
        await ready(hub, "docs")
        os.kill(pid_of(tmp_path), signal.SIGKILL)

        await until(lambda: hub.server("docs").state != "ready", 1)
        assert "SIGKILL" in hub.server("docs").reason
        await ready(hub, "docs")
        assert (await call(hub, "docs", "echo", {"text": "again"})).text == "again"
        assert len(noted(tmp_path, "started")) == 2


async def test_a_call_that_its_server_died_of_is_lost_and_made_once(tmp_path):
    async with hub_over({"docs": stdio(tmp_path)}) as hub:
        with pytest.raises(ToolLost, match="status 7"):
            await call(hub, "docs", "die")

        await ready(hub, "docs")
    assert [one["tool"] for one in noted(tmp_path, "calls.jsonl")] == ["die"]


async def test_a_call_that_may_be_repeated_is_made_once_more_with_the_same_key(tmp_path):
    async with hub_over({"docs": stdio(tmp_path, tools=allowed("die", effect="idempotent"))}) as hub:
        with pytest.raises(ToolLost):
            await call(hub, "docs", "die", key="key-9")

    assert [one["key"] for one in noted(tmp_path, "calls.jsonl")] == ["key-9", "key-9"]


async def test_a_program_that_dies_at_once_counts_as_failed_and_hides_no_other(tmp_path):
    broken = StdioServerSettings(command="/no/such/program", tools=allowed("echo"))
    async with hub_over({"bad": broken, "docs": stdio(tmp_path)}) as hub:
        await ready(hub, "docs")
        await until(lambda: hub.server("bad").state == "failed")

        assert (await call(hub, "docs", "echo", {"text": "a"})).text == "a"
        assert "cannot be started" in hub.server("bad").reason
        with anyio.fail_after(0.5), pytest.raises(ToolNotReached, match="cannot be started"):
            await hub.tools("bad")
        restarts = hub.server("bad").restarts
        hub.restart("bad")
        await until(lambda: hub.server("bad").restarts == restarts + 1)


async def test_a_server_that_never_answers_delays_no_other(tmp_path):
    servers = {"mute": stdio(tmp_path, program=RAW, mode="silent", start_timeout=1.0), "docs": stdio(tmp_path)}
    async with hub_over(servers) as hub:
        await ready(hub, "docs")

        await until(lambda: "not ready after 1 s" in hub.server("mute").reason)


async def test_a_server_without_a_list_says_so_and_hides_no_other(tmp_path):
    servers = {"odd": stdio(tmp_path, program=RAW, mode="none"), "docs": stdio(tmp_path)}
    async with hub_over(servers) as hub:
        await ready(hub, "docs")

        await until(lambda: "list of tools cannot be read" in hub.server("odd").reason)
        assert len(await hub.tools("docs")) == 13


async def test_an_odd_tool_in_a_list_hides_no_other(tmp_path):
    server = stdio(tmp_path, program=RAW, mode="odd", tools=allowed("echo", "zebra"))
    with capture_logs() as logs:
        async with hub_over({"docs": server}) as hub:
            await ready(hub, "docs")

            assert (await call(hub, "docs", "echo")).text == "raw"
            assert hub.server("docs").missing == ("zebra",)
    odd = [(one["tool"], one["why"].partition(":")[0]) for one in logs if one["event"] == "tool.odd"]
    assert odd == [("7", "inputSchema"), ("None", ""), ("zebra", "inputSchema.type")]


async def test_half_of_a_character_in_an_answer_loses_that_character_alone(tmp_path):
    async with hub_over({"docs": stdio(tmp_path, program=RAW, mode="halved", tools=allowed("echo"))}) as hub:
        with anyio.fail_after(15):
            output = await call(hub, "docs", "echo")

    assert (output.text, output.is_error) == ("half of a pair: \ufffd", False)


@pytest.mark.parametrize("mode", ["deep", "bare"])
async def test_who_waits_for_an_answer_that_cannot_be_read_is_told_at_once(tmp_path, mode):
    """It came, so whatever there was to do is done: nobody waits for the tool's time to be up, and nobody tries again."""
    async with hub_over({"docs": stdio(tmp_path, program=RAW, mode=mode, tools=allowed("echo"))}) as hub:
        with anyio.fail_after(15):
            output = await call(hub, "docs", "echo")

    assert output.is_error
    assert "cannot be read" in output.text


async def test_a_server_cannot_say_that_it_was_not_asked(tmp_path):
    """Only the gateway knows what left. A server that sends the gateway's own code for a refused authorization has had the call."""
    async with hub_over({"docs": stdio(tmp_path, program=RAW, mode="posing", tools=allowed("echo"))}) as hub:
        with anyio.fail_after(15):
            output = await call(hub, "docs", "echo")

    assert output.is_error
    assert "refused the call" in output.text


async def test_a_list_that_does_not_end_is_cut(tmp_path):
    endless = stdio(tmp_path, program=RAW, mode="endless", tools=allowed("tool_3", "tool_70"))
    async with hub_over({"docs": endless}) as hub:
        await ready(hub, "docs")

        assert [tool.name for tool in await hub.tools("docs")] == ["tool_3"]
        assert hub.server("docs").missing == ("tool_70",)


async def test_a_schema_that_nobody_can_judge_by_keeps_its_tool_out_alone(tmp_path):
    """It refers to an address: nothing is fetched."""
    server = stdio(tmp_path, program=RAW, mode="unusable", tools=allowed("echo", "broken"))
    async with hub_over({"docs": server}) as hub:
        await ready(hub, "docs")

        assert [tool.name for tool in await hub.tools("docs")] == ["echo"]
        assert "cannot be used" in hub.server("docs").quarantined["broken"]


async def test_what_a_program_prints_is_logged_without_its_secrets_and_is_no_message(tmp_path):
    env = {"KEY": Secret("sk-canary-canary", source="env:KEY")}
    with capture_logs() as logs:
        async with hub_over({"docs": stdio(tmp_path, program=RAW, mode="talkative", env=env)}) as hub:
            assert (await call(hub, "docs", "echo")).text == "raw"
            await until(lambda: any(one["event"] == "tool_server.said" for one in logs))

    (line,) = [one["line"] for one in logs if one["event"] == "tool_server.said"]
    assert line == "[31mthe key is ***"
    assert "canary" not in str(logs)


async def test_programs_and_what_they_started_end_with_a_gateway_that_is_killed(tmp_path):
    command = [sys.executable, "-c", HOST, str(tmp_path)]
    async with await anyio.open_process(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as host:
        try:
            await until(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
            child, grandchild = pid_of(tmp_path), int((tmp_path / "grandchild").read_text())
            assert lives(child)
            assert lives(grandchild)
        finally:
            host.kill()

    await until(lambda: not lives(child) and not lives(grandchild), 5)


async def test_programs_and_what_they_started_end_with_the_hub(tmp_path):
    async with hub_over({"docs": stdio(tmp_path)}) as hub:
        grandchild = int((await call(hub, "docs", "spawn")).text)
        child = pid_of(tmp_path)

    await until(lambda: not lives(child) and not lives(grandchild), 1)


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_a_server_that_is_started_again_behind_its_address_is_called_on(tmp_path, protocol):
    """Its session is gone (404): the client's library ends there; the call was not begun, so it is made again."""
    port = free_port()
    tools = allowed("echo", "count", effect="once")
    with web(tmp_path, port):
        running = hub_over({"docs": http(port, protocol=protocol, tools=tools)})
        hub = await running.__aenter__()
        await call(hub, "docs", "echo", {"text": "a"})
    with web(tmp_path, port):
        assert (await call(hub, "docs", "count", {"text": "b"})).text == "b"
        await running.__aexit__(None, None, None)

    assert [one["tool"] for one in noted(tmp_path, "calls.jsonl")] == ["echo", "count"]


async def test_a_server_that_comes_back_with_another_definition_is_not_called(tmp_path):
    port = free_port()
    with web(tmp_path, port):
        running = hub_over({"docs": http(port, protocol="legacy")})
        hub = await running.__aenter__()
        tool = await tool_of(hub, "docs", "echo")
    (tmp_path / "definition").write_text("Gives the text to somebody else.")
    with web(tmp_path, port):
        with pytest.raises(ToolWithdrawn):
            await call(hub, "docs", "echo", {"text": "b"}, tool=tool)
        await running.__aexit__(None, None, None)

    assert noted(tmp_path, "calls.jsonl") == []


async def test_a_server_that_is_away_is_not_reached_and_nothing_is_said_to_be_lost(tmp_path):
    port = free_port()
    with web(tmp_path, port):
        running = hub_over({"docs": http(port)})
        hub = await running.__aenter__()
        tool = await tool_of(hub, "docs", "die")

    with pytest.raises(ToolNotReached, match="Nothing was done"):
        await call(hub, "docs", "die", tool=tool)
    await running.__aexit__(None, None, None)


async def test_new_settings_leave_what_is_the_same_and_let_calls_end(tmp_path):
    same, old = tmp_path / "same", tmp_path / "old"
    same.mkdir()
    old.mkdir()
    outcome = []

    async with hub_over({"same": stdio(same), "old": stdio(old, tools=allowed("hang", "echo", timeout=3.0))}) as hub:
        await ready(hub, "same", "old")
        tool = await tool_of(hub, "old", "hang")

        async def hang():
            with pytest.raises(ToolLost):
                await call(hub, "old", "hang", tool=tool)
            outcome.append("its own time was up")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            await until(lambda: noted(old, "calls.jsonl"))
            hub.configure(ToolHubSettings(servers={"same": stdio(same)}))

            assert [info.name for info in hub.servers()] == ["same"]
            with pytest.raises(NotFound):
                await hub.tools("old")
            with pytest.raises(ToolWithdrawn):
                await call(hub, "old", "hang", tool=tool)
            assert lives(pid_of(old))
        assert outcome == ["its own time was up"]
        await until(lambda: not lives(pid_of(old)), 5)
        assert hub.server("same").restarts == 0
        assert len(noted(same, "started")) == 1
