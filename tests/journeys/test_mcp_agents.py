"""Agents as tools of MCP clients: answered with what they say, heard while they work, left to work in the background, held up by people's approvals."""

import anyio
import pytest

from tests.journeys.mcp_world import MODES, answer, client_of, gateway_with, waiting, wire
from tests.journeys.tool_runs_world import calls

pytestmark = pytest.mark.anyio
SCRIPT = """
models:
  clerk:
    answers:
      - {when: {contains: a form}, say: '{"city": "Bern"}'}
      - {when: {contains: endless}, say: "one two three", pace: 60}
      - {when: {contains: slowly}, say: "one two three four five six", pace: 0.15}
      - {when: {contains: count, turn: 0}, call: [{tool: desk__count, arguments: {text: one}}]}
      - {when: {contains: echo, turn: 0}, say: "I look. ", call: [{tool: desk__echo, arguments: {text: hello}}]}
      - {when: {tool_result: ""}, say: "The tool said: {tool_result}"}
      - {say: "You said: {input}"}
"""
TALKER = "model: clerk\ndescription: Talks.\n"
CLERK = "model: clerk\ntools: {desk: [echo, count]}\napproval: {desk/count: always}\n"
FORMED = """
model: clerk
output: {schema: {type: object, properties: {city: {type: string}}, required: [city], additionalProperties: false}}
"""
MCP = "{servers: {desk: [echo]}, agents: [talker, clerk, formed]}"
MORE = "agents: {folder: agents}"


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    for name, definition in (("talker", TALKER), ("clerk", CLERK), ("formed", FORMED)):
        place = tmp_path / "agents" / name
        place.mkdir(parents=True)
        (place / "agent.yaml").write_text(definition)
        (place / "instructions.md").write_text("Be brief.")
    return tmp_path


async def test_an_agent_is_a_tool_that_answers_with_its_last_words(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        talked = wire(await client.call_tool("agent_talker", {"input": "tea"}))
        looked = wire(await client.call_tool("agent_clerk", {"input": "please echo"}))

    assert {"agent_clerk", "agent_formed", "agent_status", "agent_talker"} < set(listed)
    assert listed["agent_talker"].description == "Talks."
    assert talked == {"content": [{"type": "text", "text": "You said: tea"}], "isError": False}
    assert looked["content"] == [{"type": "text", "text": "The tool said: hello"}]
    assert [call["tool"] for call in calls(folder)] == ["echo"]


async def test_an_agent_with_an_output_form_answers_with_structured_content(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        answered = wire(await client.call_tool("agent_formed", {"input": "a form"}))

    assert listed["agent_formed"].output_schema["required"] == ["city"]
    assert answered["structuredContent"] == {"city": "Bern"}


async def test_a_client_hears_the_text_grow_and_the_tools_that_are_called(folder, mode):
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, message))

    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        slowly = await client.call_tool("agent_talker", {"input": "slowly"}, progress_callback=hear)
        text, heard[:] = list(heard), []
        await client.call_tool("agent_clerk", {"input": "please echo"}, progress_callback=hear)
        with anyio.fail_after(5):
            while not any(message == "desk/echo" for _, message in heard):
                await anyio.sleep(0.01)

    assert slowly.content[0].text == "one two three four five six"
    assert len(text) > 1
    assert "one two three four five six".startswith("".join(message for _, message in text))
    assert [progress for progress, _ in text] == sorted({progress for progress, _ in text})


async def test_an_agent_in_the_background_is_asked_for_later(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        begun = wire(await client.call_tool("agent_talker", {"input": "slowly", "background": True}))
        name = begun["structuredContent"]["run_id"]
        done = wire(await client.call_tool("agent_status", {"id": name, "wait": 20}))
        endless = wire(await client.call_tool("agent_talker", {"input": "endless", "background": True}))
        ended = wire(
            await client.call_tool("agent_status", {"id": endless["structuredContent"]["run_id"], "cancel": True})
        )

    assert begun["structuredContent"] == {"status": "running", "run_id": name}
    assert done["content"][0]["text"] == "one two three four five six"
    assert done["structuredContent"]["status"] == "completed"
    assert ended["structuredContent"]["status"] == "cancelled"


async def test_what_an_agent_needs_people_for_is_told_and_answered_as_for_any_call(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        told = wire(await client.call_tool("agent_clerk", {"input": "count it"}))["structuredContent"]
        [asked] = await waiting(folder, gateway.url)
        await answer(folder, gateway.url, asked["id"])
        done = wire(await client.call_tool("approval_status", {"id": told["approval_id"], "wait": 20}))

    assert (told["status"], told["approval_id"]) == ("waiting_for_approval", asked["id"])
    assert done["content"] == [{"type": "text", "text": "The tool said: one"}]
    assert [call["tool"] for call in calls(folder)] == ["count"]


async def test_an_agent_whose_client_leaves_is_ended(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        with anyio.move_on_after(1.0):
            await client.call_tool("agent_talker", {"input": "endless"})
        with anyio.fail_after(10):
            while gateway.application.runs.executor._held:
                await anyio.sleep(0.02)


async def test_what_a_client_says_to_an_agent_counts_as_untrusted_unless_it_is_said_otherwise(folder):
    # The agent's tool `count` changes something: with untrusted input a person is asked about it, by the built-in rule.
    (folder / "agents" / "clerk" / "agent.yaml").write_text(CLERK.replace("approval: {desk/count: always}\n", ""))
    trusted = MCP.replace("{servers", "{clients: trusted, servers", 1)
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url) as client:
        untrusted = wire(await client.call_tool("agent_clerk", {"input": "count it"}))
    async with gateway_with(folder, trusted, more=MORE) as gateway, client_of(gateway.url) as client:
        done = wire(await client.call_tool("agent_clerk", {"input": "count it"}))

    assert untrusted["structuredContent"]["status"] == "waiting_for_approval"
    assert done["content"][0]["text"] == "The tool said: one"


async def test_wrong_arguments_for_an_agent_are_a_result(folder, mode):
    async with gateway_with(folder, MCP, more=MORE) as gateway, client_of(gateway.url, mode) as client:
        wrong = [
            wire(await client.call_tool("agent_talker", arguments))
            for arguments in ({}, {"input": ""}, {"input": 3}, {"input": "tea", "other": 1})
        ]

    assert [result["isError"] for result in wrong] == [True] * 4
