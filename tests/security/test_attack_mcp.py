"""Clients of /mcp against each other: what one has begun, is asked about, or may see is nothing that another gets at, and no call's result is that of another."""

import json

import httpx2
import pytest

from tests.journeys.mcp_world import gateway_with, key_of, waiting
from tests.journeys.tool_runs_world import calls

MCP = "{servers: {desk: [echo, count, structured]}, agents: [], approval: {desk/structured: always}}"
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}


@pytest.fixture
async def gateway(tmp_path):
    async with gateway_with(tmp_path, MCP) as gateway:
        yield gateway


def message(tool, arguments, *, request=1, key=""):
    params = {"name": tool, "arguments": arguments}
    if key:
        params["_meta"] = {"switchgear/idempotency-key": key}
    return {"jsonrpc": "2.0", "id": request, "method": "tools/call", "params": params}


async def post(gateway, body, *, key="", session="", **headers):
    """A request as it stands, of a revision before 2026-07-28; gives status and the answer, whichever way it comes."""
    more = {"authorization": f"Bearer {key}"} if key else {}
    more |= {"mcp-session-id": session} if session else {}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx2.AsyncClient(timeout=60) as http:
        said = await http.post(f"{gateway.url}/mcp", content=content, headers=HEADERS | more | headers)
    text = said.text
    if said.headers.get("content-type", "").startswith("text/event-stream"):
        text = next(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {"))
    return said.status_code, json.loads(text) if text else {}


async def begin(gateway, *, key=""):
    """Begin a session; gives its name."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "attacker", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    more = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(timeout=60) as http:
        said = await http.post(f"{gateway.url}/mcp", json=body, headers=HEADERS | more)
    return said.headers["mcp-session-id"]


@pytest.mark.parametrize("way", ["key", "session"])
async def test_no_call_is_answered_with_the_result_of_another(gateway, tmp_path, way):
    """A key that was used before, or an id of a request that a client counts anew: several clients may share one key of ours."""
    same = {"key": "k"} if way == "key" else {}
    sent = {} if way == "key" else {"session": await begin(gateway)}
    _, first = await post(gateway, message("desk__echo", {"text": "the first"}, **same), **sent)
    _, again = await post(gateway, message("desk__echo", {"text": "the first"}, **same), **sent)
    _, other = await post(gateway, message("desk__echo", {"text": "the second"}, **same), **sent)
    _, tool = await post(gateway, message("desk__count", {"text": "the first"}, **same), **sent)

    assert first["result"]["content"][0]["text"] == again["result"]["content"][0]["text"] == "the first"
    assert [one["error"]["code"] for one in (other, tool)] == [-32602, -32602]
    assert "Another call was made before" in other["error"]["message"]
    assert [call["tool"] for call in calls(tmp_path)] == ["echo"]


async def test_nobody_uses_anothers_key_session_or_state(gateway, tmp_path):
    ada, bob = [await key_of(tmp_path, gateway.url, name) for name in ("ada", "bob")]
    one = message("desk__count", {"text": "ada's"}, key="k")
    session = await begin(gateway, key=ada)
    _, waits = await post(gateway, one, key=ada, session=session)
    told = waits["result"]["structuredContent"]
    foreign, _ = await post(gateway, one, key=bob, session=session)
    _, theirs = await post(gateway, one, key=bob)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    await post(gateway, cancel, key=bob, session=session)
    await post(gateway, cancel, key=bob, session=await begin(gateway, key=bob))
    asked = [
        (await post(gateway, message("approval_status", {"id": name, "cancel": True}), key=bob))[1]
        for name in (
            told["run_id"],
            told["approval_id"],
            told["run_id"].upper(),
            f"{told['run_id']}\u200b",
            "../" + told["run_id"],
        )
    ]
    left = await waiting(tmp_path, gateway.url)
    _, still = await post(gateway, message("approval_status", {"id": told["run_id"]}), key=ada)

    assert foreign == 404
    assert theirs["result"]["structuredContent"]["run_id"] != told["run_id"]
    assert all(one["result"]["isError"] and "There is no call" in one["result"]["content"][0]["text"] for one in asked)
    assert told["approval_id"] in [one["id"] for one in left]
    assert still["result"]["structuredContent"]["status"] == "waiting_for_approval"


@pytest.mark.parametrize(
    "name",
    [
        "desk__c\u043eunt",
        "desk__count\u200b",
        "DESK__COUNT",
        "desk_count",
        "desk__count ",
        "desk/count",
        "desk__hang",
        "__count",
        "desk__",
        "count",
        "",
    ],
)
async def test_a_name_that_only_looks_like_a_tool_is_none(gateway, tmp_path, name):
    _, said = await post(gateway, message(name, {"text": "x"}))

    assert said["error"]["code"] == -32602
    assert calls(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        [message("desk__count", {"text": "x"})],
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"desk__count","arguments":{"text":"x"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__echo","arguments":{"text":"x"},"name":"desk__count"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__count","arguments":{"text":NaN}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__count","arguments":{"text":"\\ud800"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"desk__count","arguments":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}}",
        {**message("desk__count", {"text": "x"}), "id": True},
        {**message("desk__count", {"text": "x"}), "id": {"a": 1}},
        {**message("desk__count", {"text": "x"}), "jsonrpc": "1.0"},
        {**message("desk__count", {"text": "x"}), "params": [{"name": "desk__count"}]},
        b"\xff\xfe",
    ],
    ids=lambda body: repr(body)[:60],
)  # fmt: skip
async def test_what_two_readers_read_differently_is_read_by_none(gateway, tmp_path, body):
    status, said = await post(gateway, body)

    assert status == 400, said
    assert said["error"]["code"] in (-32700, -32600)
    assert calls(tmp_path) == []


async def test_a_header_that_says_another_tool_than_the_body_makes_no_call(gateway, tmp_path):
    """2026-07-28: whoever looks at headers alone, a proxy perhaps, must see the call that is made."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "evil", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = message("desk__count", {"text": "x"})
    body["params"]["_meta"] = meta
    version = {"mcp-protocol-version": "2026-07-28"}
    for headers in (
        {"mcp-method": "tools/call", "mcp-name": "desk__echo"},
        {"mcp-method": "tools/list", "mcp-name": "desk__count"},
        {"mcp-method": "tools/call"},
    ):
        status, said = await post(gateway, body, **version, **headers)
        assert status == 400, (headers, said)

    assert calls(tmp_path) == []
