"""What tools ask for in the midst of a call reaches the user of an MCP client, and the answer the tool: forms, and pages to visit."""

import sys
from pathlib import Path

import anyio
import pytest
from mcp_types import ElicitResult

from tests.journeys.mcp_world import answer, client_of, gateway_with, waiting, wire
from tests.tool_world import noted

pytestmark = pytest.mark.anyio
ASKING = Path(__file__).resolve().parents[1] / "mcp_asking_double.py"
MCP = "{servers: {office: [book, pay, twice]}, clients: trusted}"


@pytest.fixture(params=["auto", "legacy"])
def servers(request, tmp_path):
    """A server of tools of either revision."""
    (tmp_path / "office").mkdir()
    return f"""
    office:
      kind: stdio
      command: "{sys.executable}"
      args: ["{ASKING}", stdio, "{tmp_path}/office"]
      protocol: {request.param}
      tools:
        book: {{effect: once}}
        pay: {{effect: once}}
        twice: {{effect: once}}
"""


async def test_a_form_is_filled_in_by_the_clients_user_and_the_tool_goes_on(tmp_path, servers):
    asked = []

    async def fill(context, params):
        asked.append(params)
        return ElicitResult(action="accept", content={"seats": 2, "window": True})

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, elicitation_callback=fill) as client,
    ):
        booked = wire(await client.call_tool("office__book", {}))

    assert [params.mode for params in asked] == ["form"]
    assert asked[0].requested_schema["required"] == ["seats"]
    assert booked["isError"] is False
    assert len(noted(tmp_path / "office", "booked.jsonl")) == 1


async def test_a_tool_that_asks_twice_is_answered_twice_without_delay(tmp_path, servers):
    async def fill(context, params):
        fields = params.requested_schema["properties"]
        return ElicitResult(action="accept", content={"name": "Ada"} if "name" in fields else {"seats": 2})

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, elicitation_callback=fill) as client,
    ):
        with anyio.fail_after(15):
            done = wire(await client.call_tool("office__twice", {}))

    assert done["content"] == [{"type": "text", "text": "Ada has 2"}]


async def test_a_page_of_the_tools_own_is_visited(tmp_path, servers):
    visited = []

    async def visit(context, params):
        visited.append(params.url)
        (tmp_path / "office" / "paid").touch()
        return ElicitResult(action="accept")

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, elicitation_callback=visit) as client,
    ):
        paid = wire(await client.call_tool("office__pay", {}))

    assert visited == ["https://bank.example/pay"]
    assert paid["isError"] is False


async def test_an_answer_that_does_not_fit_the_form_is_told_and_the_question_stays(tmp_path, servers):
    async def fill(context, params):
        return ElicitResult(action="accept", content={"seats": 99})

    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, elicitation_callback=fill) as client,
    ):
        wrong = wire(await client.call_tool("office__book", {}))
        left = await waiting(tmp_path, gateway.url)

    assert wrong["isError"] is True
    assert "not what is asked for" in wrong["content"][0]["text"]
    assert [each["kind"] for each in left] == ["question"]
    assert noted(tmp_path / "office", "booked.jsonl") == []


async def test_a_client_that_cannot_ask_its_user_is_told_that_the_call_waits(tmp_path, servers):
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as gateway,
        client_of(gateway.url, "legacy") as client,
    ):
        told = wire(await client.call_tool("office__book", {}))["structuredContent"]
        [asked] = await waiting(tmp_path, gateway.url)
        await answer(tmp_path, gateway.url, asked["id"], reason='{"seats": 2}')
        done = wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20}))

    assert told["status"] == "waiting_for_approval"
    assert done["structuredContent"]["status"] == "completed"
    assert len(noted(tmp_path / "office", "booked.jsonl")) == 1
