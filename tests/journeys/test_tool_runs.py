"""The official openai client has tools run by the server, as with OpenAI: listed, called, approved, denied, resumed after every event."""

import openai
import pytest

from tests.journeys.running_gateway import running
from tests.journeys.tool_runs_world import ALWAYS, ENVIRON, NEVER, calls, configuration, until_ready


@pytest.fixture
async def client(tmp_path):
    async with (
        running(tmp_path, configuration(tmp_path), environ=ENVIRON) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=20) as client,
    ):
        await until_ready(gateway)
        yield client


def kinds(response):
    return [item.type for item in response.output]


async def test_the_server_calls_a_tool_and_the_model_answers(client, tmp_path):
    response = await client.responses.create(model="clerk", input="Please read it.", tools=NEVER)

    assert kinds(response) == ["mcp_list_tools", "mcp_call", "message"]
    listed, call, _ = response.output
    assert [tool.name for tool in listed.tools] == ["count", "echo", "hang"]
    assert (call.server_label, call.name, call.arguments, call.output) == ("desk", "echo", '{"text":"tea"}', "tea")
    assert call.status == "completed"
    assert response.output_text == "It says: tea."
    assert [noted["tool"] for noted in calls(tmp_path)] == ["echo"]


async def test_a_stream_can_be_gone_on_with_after_each_of_its_events(client):
    """`starting_after` any number gives the rest, gapless and identical (facts: responses)."""
    stream = await client.responses.create(model="clerk", input="Please read it.", tools=NEVER, stream=True)
    events = [event async for event in stream]
    response = events[-1].response

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "response.mcp_call.completed" in [event.type for event in events]
    for after in range(len(events)):
        again = await client.responses.retrieve(response.id, stream=True, starting_after=after)
        assert [event.model_dump() async for event in again] == [event.model_dump() for event in events[after + 1 :]]


async def test_the_streaming_helper_understands_all_of_it(client):
    async with client.responses.stream(model="clerk", input="Please read it.", tools=NEVER) as stream:
        async for _ in stream:
            pass
        response = await stream.get_final_response()

    assert response.output_text == "It says: tea."


@pytest.mark.parametrize("background", [False, True])
async def test_a_call_waits_for_leave_and_is_made_when_it_is_given(client, tmp_path, background):
    asked = await client.responses.create(model="clerk", input="Please change it.", tools=ALWAYS)
    assert (asked.status, kinds(asked)) == ("completed", ["mcp_list_tools", "mcp_approval_request"])
    assert calls(tmp_path) == []

    answer = {"type": "mcp_approval_response", "approval_request_id": asked.output[-1].id, "approve": True}
    after = await client.responses.create(
        model="clerk", input=[answer], previous_response_id=asked.id, tools=ALWAYS, background=background
    )
    while after.status in ("queued", "in_progress"):
        after = await client.responses.retrieve(after.id)

    assert kinds(after) == ["mcp_call", "message"]
    assert after.output[0].approval_request_id == asked.output[-1].id
    assert after.output_text == "Done: once"
    assert len(calls(tmp_path, "count")) == 1

    with pytest.raises(openai.ConflictError) as refused:
        await client.responses.create(model="clerk", input=[answer], previous_response_id=asked.id, tools=ALWAYS)
    assert after.id in refused.value.message
    assert len(calls(tmp_path, "count")) == 1


async def test_a_denial_reaches_the_model_and_not_the_tool(client, tmp_path):
    asked = await client.responses.create(model="clerk", input="Please change it.", tools=ALWAYS)
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": asked.output[-1].id,
        "approve": False,
        "reason": "Not today.",
    }
    after = await client.responses.create(model="clerk", input=[answer], previous_response_id=asked.id, tools=ALWAYS)

    assert "Not today." in after.output_text
    assert calls(tmp_path) == []


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "mcp", "server_label": "disk"}], "tools[0].server_label"),
        ([*NEVER, {"type": "mcp", "server_label": "desk"}], "tools[1].server_label"),
        ([{**NEVER[0], "allowed_tools": ["ecko"]}], "tools[0].allowed_tools"),
        ([{**NEVER[0], "headers": {"a": "b"}}], "tools[0].headers"),
        ([{**NEVER[0], "server_url": "https://elsewhere.example/mcp"}], "tools[0].server_url"),
        ([{**NEVER[0], "require_approval": "sometimes"}], "tools[0].require_approval"),
        ([*NEVER, {"type": "function", "name": "desk__echo", "parameters": {}}], "tools[1].name"),
    ],
)
async def test_a_request_that_cannot_be_planned_is_refused_by_its_field(client, tools, param):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="clerk", input="hi", tools=tools)

    assert refused.value.body["param"] == param


async def test_what_is_not_kept_has_no_tools_of_the_server(client):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="clerk", input="hi", tools=NEVER, store=False)

    assert refused.value.body["param"] == "store"
