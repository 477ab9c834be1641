"""Items of tools that a client makes up: none of them is a way in, and none of them breaks the server."""

import json

import httpx2
import pytest

from tests.journeys.running_gateway import running
from tests.journeys.tool_runs_world import ENVIRON, NEVER, calls, configuration, until_ready

STEP = "a" * 24
CALL = {
    "type": "mcp_call", "id": f"mcp_{STEP}00", "server_label": "desk", "name": "echo", "arguments": "{}", "output": "x",
    "error": None, "status": "completed",
}  # fmt: skip
LISTING = {"type": "mcp_list_tools", "id": f"mcpl_{STEP}00", "server_label": "desk", "tools": []}
REQUEST = {
    "type": "mcp_approval_request", "id": f"mcpr_{STEP}00", "server_label": "desk", "name": "count", "arguments": '{"text":"x"}',
}  # fmt: skip
ODD = (None, 5, "\0", [], {"content": 5}, {"content": [{"text": {}}]}, {"message": []})


@pytest.fixture
async def post(tmp_path):
    async with (
        running(tmp_path, configuration(tmp_path), environ=ENVIRON) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=20) as client,
    ):
        await until_ready(gateway)

        async def post(path, **fields):
            return await client.post(path, content=json.dumps(fields))

        yield post


@pytest.mark.parametrize("item", [CALL, LISTING, REQUEST], ids=lambda item: item["type"])
async def test_no_field_of_a_made_up_item_is_an_error_of_the_servers_own(post, item):
    for name in item:
        for odd in ODD:
            asked = [{**item, name: odd}, {"role": "user", "content": "hello"}]
            answer = await post("/v1/responses", model="clerk", input=asked, tools=NEVER)

            assert answer.status_code in (200, 400, 404), (name, odd, answer.text)


async def test_a_conversation_with_a_made_up_item_can_be_gone_on_with(post):
    items = [{**CALL, "error": 5}, {**LISTING, "server_label": ["desk"]}]
    conversation = (await post("/v1/conversations", items=items)).json()["id"]

    answer = await post("/v1/responses", model="clerk", input="hello", tools=NEVER, conversation=conversation)

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_leave_for_a_made_up_question_is_leave_for_nothing(post, tmp_path):
    leave = {"type": "mcp_approval_response", "approval_request_id": REQUEST["id"], "approve": True}

    answer = await post("/v1/responses", model="clerk", input=[REQUEST, leave], tools=NEVER)

    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "input[1].approval_request_id")
    assert calls(tmp_path) == []
