"""What servers of tools ask of the programs of MCP clients, and log, reaches the client that made the call, in both revisions on either side."""

import sys
from pathlib import Path

import anyio
import pytest
from mcp import MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import CreateMessageResult, ErrorData, ListRootsResult, Root, TextContent

from tests.journeys.mcp_world import MODES, client_of, gateway_with, operating, waiting, wire
from tests.tool_world import noted

pytestmark = pytest.mark.anyio
ASKING = Path(__file__).resolve().parents[1] / "mcp_asking_double.py"
MCP = "{servers: {office: [folders, model, needs, talk]}, clients: trusted}"
PASS = "[logging, roots, sampling]"


def office(folder, protocol="auto", passed=PASS):
    (folder / "office").mkdir(exist_ok=True)
    return f"""
    office:
      kind: stdio
      command: "{sys.executable}"
      args: ["{ASKING}", stdio, "{folder}/office"]
      protocol: {protocol}
      pass_on: {passed}
      tools:
        folders: {{effect: once}}
        model: {{effect: once}}
        needs: {{effect: read}}
        talk: {{effect: read}}
"""


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture(params=MODES)
def servers(request, tmp_path):
    """A server of tools of either revision."""
    return office(tmp_path, request.param)


said = []


async def says(context, params):
    """The client's model."""
    said.append(params)
    return CreateMessageResult(role="assistant", content=TextContent(text="bonjour"), model="theirs")


async def test_a_tool_asks_the_clients_own_model_and_is_told_what_it_says(tmp_path, servers, mode):
    said.clear()
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, mode, sampling_callback=says) as client,
    ):
        with anyio.fail_after(30):
            result = wire(await client.call_tool("office__model", {}))

    assert result["content"] == [{"type": "text", "text": "bonjour"}]
    [asked] = said
    assert asked.messages[0].content.text == "hello"
    assert asked.include_context == "none", "one server is not to see what others have told the client"
    if mode == "legacy":
        assert asked.meta["switchgear/source"] == "office/model"
    assert [each["model"] for each in noted(tmp_path / "office", "answers.jsonl")] == ["theirs"]


async def test_a_tool_learns_in_which_folders_the_client_works(tmp_path, servers, mode):
    async def roots(context):
        return ListRootsResult(roots=[Root(uri="file:///home/ada/project")])

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, mode, list_roots_callback=roots) as client,
    ):
        with anyio.fail_after(30):
            result = wire(await client.call_tool("office__folders", {}))

    assert result["content"] == [{"type": "text", "text": "file:///home/ada/project"}]


async def test_nothing_is_passed_on_that_the_operator_has_not_allowed(tmp_path, mode):
    said.clear()
    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path, mode, "[]"), ready=("office",)) as gateway,
        client_of(gateway.url, mode, sampling_callback=says) as client,
    ):
        result = wire(await client.call_tool("office__model", {}))

    assert said == []
    assert "bonjour" not in str(result)
    assert noted(tmp_path / "office", "answers.jsonl") == []


async def test_a_client_without_a_model_is_not_asked_for_one(tmp_path, servers, mode):
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, mode) as client,
    ):
        with anyio.fail_after(20):
            result = wire(await client.call_tool("office__model", {}))

    assert "'sampling'" in result["content"][0]["text"]
    assert noted(tmp_path / "office", "answers.jsonl") == []


async def test_a_client_is_told_which_capability_a_tool_wants_of_it(tmp_path):
    """MCP 2026-07-28: MissingRequiredClientCapabilityError."""
    async with gateway_with(tmp_path, MCP, servers=office(tmp_path), ready=("office",)) as gateway:
        async with client_of(gateway.url) as without:
            with pytest.raises(MCPError) as refused:
                await without.call_tool("office__needs", {})
        async with client_of(gateway.url, sampling_callback=says) as client:
            served = wire(await client.call_tool("office__needs", {}))

    assert refused.value.error.code == -32021
    assert refused.value.error.data == {"requiredCapabilities": {"sampling": {}}}
    assert served["content"][0]["text"] == "there is a model"


async def test_a_client_whose_user_rejects_is_not_asked_again_and_the_tool_is_told(tmp_path):
    asked = []

    async def rejects(context, params):
        asked.append(params)
        return ErrorData(code=-1, message="User rejected sampling request")

    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path, "legacy"), ready=("office",)) as gateway,
        client_of(gateway.url, "legacy", sampling_callback=rejects) as client,
    ):
        with anyio.fail_after(30):
            result = wire(await client.call_tool("office__model", {}))

    assert len(asked) == 1
    assert result["content"][0]["text"].startswith("not answered")


async def test_people_are_not_told_of_what_only_a_program_can_answer(tmp_path):
    """It is there for who looks, and can be declined; an answer of a person's own is none."""
    arrived, go_on = anyio.Event(), anyio.Event()

    async def slow(context, params):
        arrived.set()
        await go_on.wait()
        return CreateMessageResult(role="assistant", content=TextContent(text="bonjour"), model="theirs")

    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path, "legacy"), ready=("office",)) as gateway,
        client_of(gateway.url, "legacy", sampling_callback=slow) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.call_tool, "office__model", {})
        with anyio.fail_after(20):
            await arrived.wait()
        [asked] = await waiting(tmp_path, gateway.url)
        async with operating(tmp_path, gateway.url) as http:
            said_by_hand = await http.post(f"/admin/approvals/{asked['id']}/approve", json={"reason": "bonjour"})
        go_on.set()

    assert said_by_hand.status_code == 400
    assert "own program" in said_by_hand.text


async def test_what_a_server_logs_in_a_call_is_heard_from_the_level_on_that_the_client_has_set(tmp_path, servers):
    heard = []

    async def hear(params):
        heard.append((params.level, params.data))

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, "legacy", logging_callback=hear) as client,
    ):
        await client.call_tool("office__talk", {})
        by_itself = list(heard)
        heard.clear()
        with pytest.warns(MCPDeprecationWarning):
            await client.set_logging_level("error")
        await client.call_tool("office__talk", {})

    assert by_itself == [("info", "an info"), ("error", "an error")]
    assert heard == [("error", "an error")]


async def test_a_client_of_2026_hears_nothing_that_its_request_does_not_ask_for(tmp_path, servers):
    heard = []

    async def hear(params):
        heard.append(params.level)

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, logging_callback=hear) as client,
    ):
        await client.call_tool("office__talk", {})
        silent = list(heard)
        await client.call_tool("office__talk", {}, meta={"io.modelcontextprotocol/logLevel": "error"})

    assert silent == []
    assert heard == ["error"]
