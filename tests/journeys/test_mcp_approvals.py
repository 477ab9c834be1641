"""Calls of MCP clients that people have to agree to: the client is sent to them where it can, and asks again; else it is told, and asks how the call stands."""

import anyio
import pytest
from mcp import MCPError
from mcp_types import ElicitResult

from tests.journeys.mcp_world import MODES, answer, client_of, gateway_with, key_of, operating, waiting, wire
from tests.journeys.tool_runs_world import calls

pytestmark = pytest.mark.anyio
MCP = "{servers: {desk: [echo, count, structured]}, approval: {desk/structured: always}}"


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


async def test_a_client_that_cannot_visit_pages_is_told_that_its_call_waits(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        told = wire(await client.call_tool("desk__count", {"text": "once"}))
        [asked] = await waiting(tmp_path, gateway.url)

    said = told["structuredContent"]
    assert told["isError"] is False
    assert (said["status"], said["approval_id"], said["run_id"]) == ("waiting_for_approval", asked["id"], asked["run"])
    assert said["url"] == f"https://gateway.example/admin/approvals/{asked['id']}"
    assert said["expires_at"] > 0
    assert "has not been made" in told["content"][0]["text"]
    assert calls(tmp_path) == []


async def test_what_waits_of_a_tool_that_promises_a_form_is_an_error_for_clients_that_hold_results_against_it(
    tmp_path, mode
):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        await client.list_tools()
        told = wire(await client.call_tool("desk__structured", {}))

    assert told["isError"] is True
    assert told["structuredContent"]["status"] == "waiting_for_approval"


async def test_the_result_is_given_once_people_have_agreed(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        before = wire(await client.call_tool("approval_status", {"id": told["approval_id"]}))
        await answer(tmp_path, gateway.url, told["approval_id"])
        after = wire(await client.call_tool("approval_status", {"id": told["approval_id"], "wait": 20}))
        again = wire(await client.call_tool("approval_status", {"id": told["run_id"]}))

    assert before["structuredContent"]["status"] == "waiting_for_approval"
    assert after["content"] == [{"type": "text", "text": "once"}]
    assert after["structuredContent"]["status"] == "completed"
    assert again == after
    assert [call["tool"] for call in calls(tmp_path)] == ["count"]


async def test_a_client_that_asks_again_for_what_waits_does_not_ask_people_twice(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        first = wire(await client.call_tool("desk__count", {"text": "once"}))
        second = wire(await client.call_tool("desk__count", {"text": "once"}))
        other = wire(await client.call_tool("desk__count", {"text": "twice"}))
        asked = await waiting(tmp_path, gateway.url)

    assert second == first
    assert other["structuredContent"]["approval_id"] != first["structuredContent"]["approval_id"]
    assert len(asked) == 2


async def test_a_denial_and_its_reason_are_the_result(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        await answer(tmp_path, gateway.url, told["approval_id"], "deny", reason="Not on a Friday.")
        after = wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20}))

    assert after["isError"] is True
    assert "Not on a Friday." in after["content"][0]["text"]
    assert calls(tmp_path) == []


async def test_arguments_that_people_have_edited_are_those_that_are_used(tmp_path):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url) as client:
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        async with operating(tmp_path, gateway.url) as http:
            edited = await http.post(
                f"/admin/approvals/{told['approval_id']}/edit", json={"arguments": {"text": "less"}, "version": 1}
            )
            assert edited.status_code == 200, edited.text
        after = wire(await client.call_tool("approval_status", {"id": told["run_id"], "wait": 20}))

    assert after["content"] == [{"type": "text", "text": "less"}]
    assert [call["arguments"] for call in calls(tmp_path)] == [{"text": "less"}]


async def test_a_call_that_waits_can_be_given_up(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway, client_of(gateway.url, mode) as client:
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        ended = wire(await client.call_tool("approval_status", {"id": told["run_id"], "cancel": True}))
        async with operating(tmp_path, gateway.url) as http:
            late = await http.post(f"/admin/approvals/{told['approval_id']}/approve", json={})

    assert ended["structuredContent"]["status"] == "cancelled"
    assert late.status_code == 409
    assert calls(tmp_path) == []


async def test_what_is_somebody_elses_is_not_found(tmp_path, mode):
    async with gateway_with(tmp_path, MCP) as gateway:
        ada, eve = [await key_of(tmp_path, gateway.url, name) for name in ("ada", "eve")]
        async with client_of(gateway.url, mode, key=ada) as client:
            told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        async with client_of(gateway.url, mode, key=eve) as client:
            foreign = [
                wire(await client.call_tool("approval_status", {"id": told[name], "cancel": True}))
                for name in ("approval_id", "run_id")
            ]
            nobody = wire(await client.call_tool("approval_status", {"id": "resp_000000000000000000000000"}))
        async with client_of(gateway.url, mode, key=ada) as client:
            own = wire(await client.call_tool("approval_status", {"id": told["run_id"]}))

    texts = [result["content"][0]["text"] for result in (*foreign, nobody)]
    assert all(text.startswith("There is no call ") for text in texts)
    assert own["structuredContent"]["status"] == "waiting_for_approval"


async def test_a_client_that_can_visit_pages_is_sent_there_and_gets_the_result_when_it_asks_again(tmp_path):
    visited = []

    async def visit(context, params):
        visited.append(params)
        await answer(tmp_path, gateway.url, params.url.rsplit("/", 1)[1])
        return ElicitResult(action="accept")

    async with (
        gateway_with(tmp_path, MCP) as gateway,
        client_of(gateway.url, elicitation_callback=visit) as client,
    ):
        result = wire(await client.call_tool("desk__count", {"text": "once"}))

    assert result["content"] == [{"type": "text", "text": "once"}]
    assert [params.mode for params in visited] == ["url"]
    assert visited[0].url.startswith("https://gateway.example/admin/approvals/mcpr_")
    assert [call["tool"] for call in calls(tmp_path)] == ["count"]


async def test_a_client_that_asks_again_before_people_have_answered_is_sent_there_again(tmp_path):
    mcp = "{servers: {desk: [count]}, wait: 0.3}"
    async with (
        gateway_with(tmp_path, mcp) as gateway,
        client_of(gateway.url, elicitation_callback=never) as client,
    ):
        first = await required(client, {"text": "once"})
        second = await required(client, {"text": "once"}, state=first.request_state)
        await answer(tmp_path, gateway.url, next(iter(second.input_requests)))
        with anyio.fail_after(20):
            done = second
            while done.result_type == "input_required":
                done = await required(client, {"text": "once"}, state=second.request_state)
        asked = [*first.input_requests, *second.input_requests]

    assert len(set(asked)) == 1
    assert done.content[0].text == "once"
    assert len(calls(tmp_path)) == 1


async def test_a_user_who_declines_has_the_call_given_up(tmp_path):
    async def decline(context, params):
        return ElicitResult(action="decline")

    async with (
        gateway_with(tmp_path, MCP) as gateway,
        client_of(gateway.url, elicitation_callback=decline) as client,
    ):
        refused = wire(await client.call_tool("desk__count", {"text": "once"}))
        async with operating(tmp_path, gateway.url) as http:
            left = (await http.get("/admin/approvals", params={"state": "pending"})).json()["data"]

    assert refused["isError"] is True
    assert left == []
    assert calls(tmp_path) == []


async def test_a_state_of_another_call_or_of_another_caller_is_refused(tmp_path):
    async with gateway_with(tmp_path, "{servers: {desk: [count]}, wait: 0}") as gateway:
        ada, eve = [await key_of(tmp_path, gateway.url, name) for name in ("ada", "eve")]
        async with client_of(gateway.url, key=ada, elicitation_callback=never) as client:
            first = await required(client, {"text": "once"})
            for arguments, state in (
                ({"text": "twice"}, first.request_state),
                ({"text": "once"}, first.request_state[:-2] + "AA"),
                ({"text": "once"}, "x"),
            ):
                with pytest.raises(MCPError) as refused:
                    await required(client, arguments, state=state)
                assert refused.value.code == -32602
        async with client_of(gateway.url, key=eve, elicitation_callback=never) as client:
            with pytest.raises(MCPError):
                await required(client, {"text": "once"}, state=first.request_state)

    assert calls(tmp_path) == []


async def never(context, params):
    """Says that this client can visit pages; these tests do it themselves."""
    raise AssertionError


async def required(client, arguments, *, state=None):
    """Ask once, and give the answer whatever it is."""
    return await client.session.call_tool("desk__count", arguments, request_state=state, allow_input_required=True)


async def test_a_client_whose_people_do_not_answer_is_told_how_to_ask_later_before_it_gives_up(tmp_path):
    visited = []

    async def visit(context, params):
        visited.append(params.url)
        return ElicitResult(action="accept")

    mcp = MCP.replace("{servers", "{wait: 0.05, servers", 1)
    async with (
        gateway_with(tmp_path, mcp) as gateway,
        client_of(gateway.url, elicitation_callback=visit) as client,
    ):
        told = wire(await client.call_tool("desk__count", {"text": "once"}))["structuredContent"]
        await answer(tmp_path, gateway.url, told["approval_id"])
        done = {"structuredContent": {"status": ""}}
        with anyio.fail_after(20):
            while done["structuredContent"]["status"] != "completed":
                done = wire(await client.call_tool("approval_status", {"id": told["approval_id"], "wait": 20}))

    assert len(visited) > 5
    assert told["status"] == "waiting_for_approval"
    assert done["content"] == [{"type": "text", "text": "once"}]
    assert [call["tool"] for call in calls(tmp_path)] == ["count"]
