"""Sessions of 2025-11-25 that no server keeps: any replica takes the answer to a question, nobody else's is taken, and none twice; and a session's stream."""

import json
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.journeys.mcp_world import (
    PATIENCE,
    PEPPER,
    client_of,
    configuration,
    gateway_with,
    key_of,
    operating,
    waiting,
)
from tests.journeys.running_gateway import served_process
from tests.tool_world import noted

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).resolve().parents[1]
HEADERS = {"accept": "application/json, text/event-stream"}
VERSION = {"mcp-protocol-version": "2025-11-25"}
MCP = "{servers: {office: [book, twice]}, clients: trusted}"


def office(folder):
    (folder / "office").mkdir(exist_ok=True)
    return f"""
    office:
      kind: stdio
      command: "{sys.executable}"
      args: ["{TESTS}/mcp_asking_double.py", stdio, "{folder}/office"]
      tools:
        book: {{effect: once}}
        twice: {{effect: once}}
"""


def http_of(url, key=""):
    headers = {**HEADERS, **({"authorization": f"Bearer {key}"} if key else {})}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE)


async def begin(http, **capabilities):
    """Begin a session as a client that has these capabilities; give its headers."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "clientInfo": {"name": "ada's editor", "version": "1"},
    }
    begun = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    assert begun.status_code == 200, begun.text
    return {**VERSION, "mcp-session-id": begun.headers["mcp-session-id"]}


@asynccontextmanager
async def calling(http, session, tool="office__book", asked=1):
    """Call a tool, and give the messages of the answer's stream as they come."""
    call = {"jsonrpc": "2.0", "id": asked, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    async with http.stream("POST", "/mcp", json=call, headers=session) as response:
        assert response.status_code == 200
        yield messages(response)


async def messages(response):
    async for line in response.aiter_lines():
        if line.startswith("data:") and line[5:].strip():
            yield json.loads(line[5:])


def filled(question, **fields):
    return {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": fields}}


async def test_the_answer_to_a_question_may_come_to_another_replica_and_twice(tmp_path):
    servers = office(tmp_path)
    async with (
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as here,
        gateway_with(tmp_path, MCP, servers=servers, ready=("office",)) as there,
        http_of(here.url) as near,
        http_of(there.url) as far,
    ):
        session = await begin(near, elicitation={})
        with anyio.fail_after(30):
            async with calling(near, session) as said:
                question = await anext(said)
                answered = [
                    (await far.post("/mcp", json=filled(question, seats=2), headers=session)).status_code
                    for _ in range(2)
                ]
                last = await anext(said)

    assert question["method"] == "elicitation/create"
    assert "office/book" in question["params"]["message"]
    assert answered == [202, 202]
    assert last["id"] == 1
    assert last["result"]["isError"] is False
    assert noted(tmp_path / "office", "booked.jsonl") == [{"seats": 2}]


async def test_nobody_else_answers_and_no_session_but_the_one_that_was_asked(tmp_path):
    async with gateway_with(tmp_path, MCP, servers=office(tmp_path), ready=("office",)) as gateway:
        ada, bob = await key_of(tmp_path, gateway.url, "ada"), await key_of(tmp_path, gateway.url, "bob")
        async with http_of(gateway.url, ada) as hers, http_of(gateway.url, bob) as his:
            session, other = await begin(hers, elicitation={}), await begin(hers, elicitation={})
            own = await begin(his, elicitation={})
            forged = {**session, "mcp-session-id": session["mcp-session-id"][:-2] + "AA"}
            with anyio.fail_after(30):
                async with calling(hers, session) as said:
                    question = await anext(said)
                    answer = filled(question, seats=9)
                    refused = {
                        "his, with her session": (await his.post("/mcp", json=answer, headers=session)).status_code,
                        "his own session": (await his.post("/mcp", json=answer, headers=own)).status_code,
                        "another of hers": (await hers.post("/mcp", json=answer, headers=other)).status_code,
                        "a forged one": (await hers.post("/mcp", json=answer, headers=forged)).status_code,
                        "a made-up question": (
                            await hers.post("/mcp", json=answer | {"id": "mcpr_1"}, headers=session)
                        ).status_code,
                        "no session": (await hers.post("/mcp", json=answer, headers=VERSION)).status_code,
                    }
                    none_yet = noted(tmp_path / "office", "booked.jsonl")
                    await hers.post("/mcp", json=filled(question, seats=1), headers=session)
                    last = await anext(said)

    # 404 has a client begin anew; it is for sessions alone. Without one an answer is taken, and belongs to nothing.
    assert refused == {
        "his, with her session": 404,
        "his own session": 400,
        "another of hers": 400,
        "a forged one": 404,
        "a made-up question": 400,
        "no session": 202,
    }
    assert none_yet == []
    assert last["result"]["isError"] is False
    assert noted(tmp_path / "office", "booked.jsonl") == [{"seats": 1}]


async def test_an_answer_that_is_none_ends_the_question_and_not_with_a_yes(tmp_path):
    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path), ready=("office",)) as gateway,
        http_of(gateway.url) as http,
    ):
        session = await begin(http, elicitation={})
        with anyio.fail_after(30):
            async with calling(http, session) as said:
                question = await anext(said)
                taken = await http.post("/mcp", json=filled(question, seats=99), headers=session)
                last = await anext(said)

    assert taken.status_code == 202
    assert "nothing was booked" in last["result"]["content"][0]["text"]
    assert noted(tmp_path / "office", "booked.jsonl") == []


async def test_a_client_that_leaves_while_it_is_asked_has_the_call_given_up(tmp_path):
    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path), ready=("office",)) as gateway,
        http_of(gateway.url) as http,
    ):
        session = await begin(http, elicitation={})
        async with calling(http, session) as said:
            question = await anext(said)
            [asked_for] = await pending(gateway, tmp_path)
        with anyio.fail_after(20):
            while await pending(gateway, tmp_path):
                await anyio.sleep(0.05)
        late = await http.post("/mcp", json=filled(question, seats=2), headers=session)
        told = await called(http, session, "approval_status", {"id": asked_for["id"], "wait": 1})

    assert late.status_code == 202
    assert told["structuredContent"]["status"] == "cancelled"
    assert noted(tmp_path / "office", "booked.jsonl") == []


async def test_who_begins_anew_and_calls_again_is_asked_the_same_in_the_new_session(tmp_path):
    async with (
        gateway_with(tmp_path, MCP, servers=office(tmp_path), ready=("office",)) as gateway,
        http_of(gateway.url) as http,
    ):
        first, second = await begin(http, elicitation={}), await begin(http, elicitation={})
        with anyio.fail_after(30):
            async with calling(http, first) as said, calling(http, second) as again:
                before, now = await anext(said), await anext(again)
                [one] = await pending(gateway, tmp_path)
                wrong = await http.post("/mcp", json=filled(before, seats=9), headers=second)
                right = await http.post("/mcp", json=filled(now, seats=2), headers=second)
                both = [await anext(said), await anext(again)]

    assert one["kind"] == "question"
    assert (wrong.status_code, right.status_code) == (400, 202)
    assert [message["result"]["isError"] for message in both] == [False, False]
    assert noted(tmp_path / "office", "booked.jsonl") == [{"seats": 2}]


async def pending(gateway, folder):
    key = (folder / "first.key").read_text().strip()
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
        return (await http.get(f"{gateway.url}/admin/approvals", params={"state": "pending"})).json()["data"]


async def test_a_question_outlives_the_replica_that_asked_it_and_the_call_is_made_once(tmp_path):
    """kill -9 while the client is asked: its answer comes to the next process, and the tool is called with it."""
    config = configuration(tmp_path, MCP, servers=office(tmp_path))
    async with served_process(tmp_path, config, PEPPER) as first, http_of(first.url) as http:
        session = await begin(http, elicitation={})
        with anyio.fail_after(PATIENCE):
            async with calling(http, session) as said:
                question = await anext(said)
                first.signal(signal.SIGKILL)
                await first.exit_code(PATIENCE)
    async with served_process(tmp_path, config, PEPPER) as second, http_of(second.url) as http:
        with anyio.fail_after(PATIENCE):
            await waiting(tmp_path, second.url)
            async with operating(tmp_path, second.url) as admin:
                # A call for which its server is not there in time ends, and is no riddle.
                while any(one["state"] != "ready" for one in (await admin.get("/admin/tools")).json()["data"]):
                    await anyio.sleep(0.05)
            taken = await http.post("/mcp", json=filled(question, seats=3), headers=session)
            while not noted(tmp_path / "office", "booked.jsonl"):
                await anyio.sleep(0.05)
            again = await http.post("/mcp", json=filled(question, seats=4), headers=session)

    assert (taken.status_code, again.status_code) == (202, 202)
    assert noted(tmp_path / "office", "booked.jsonl") == [{"seats": 3}]


def memos(folder, protocol):
    (folder / "memos").mkdir(exist_ok=True)
    return f"""
    memos:
      kind: stdio
      command: "{sys.executable}"
      args: ["{TESTS}/mcp_offering_double.py", stdio, "{folder}/memos"]
      protocol: {protocol}
      tools: {{change: {{effect: read}}}}
      resources: ["memo://one", "memo://two"]
"""


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_a_session_hears_of_the_resources_that_it_watches_and_of_no_other(tmp_path, protocol):
    mcp = "{servers: {memos: [change]}, prefixes: {memos: ''}, offers: [memos], clients: trusted}"
    servers = memos(tmp_path, protocol)
    async with (
        gateway_with(tmp_path, mcp, servers=servers, ready=("memos",)) as here,
        gateway_with(tmp_path, mcp, servers=servers, ready=("memos",)) as there,
        http_of(here.url) as http,
        http_of(there.url) as far,
        client_of(here.url, "legacy") as other,
    ):
        session = await begin(http)
        with anyio.fail_after(40):
            async with http.stream("GET", "/mcp", headers=session) as stream:
                assert stream.status_code == 200
                # It is said to another replica than the one that has the stream.
                assert await asked(far, session, "resources/subscribe", "memo://one") == {}
                await until_watched(here, {"memo://one"})
                if protocol == "legacy":
                    while not noted(tmp_path / "memos", "watched.jsonl"):
                        await anyio.sleep(0.02)
                heard = await first_heard(stream, other)
                assert await asked(http, session, "resources/unsubscribe", "memo://one") == {}
                await until_watched(here, set())
            unknown = await http.post(
                "/mcp",
                headers=session,
                json={"jsonrpc": "2.0", "id": 9, "method": "resources/subscribe", "params": {"uri": "memo://three"}},
            )

    assert heard == {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "memo://one"}}
    assert "-32002" in unknown.text


async def first_heard(stream, other):
    """Have both resources change until one of them is heard of: a server that was just asked to tell may not listen yet."""
    heard = []

    async def hear(scope):
        async for message in messages(stream):
            if message["method"] == "notifications/resources/updated":
                heard.append(message)
                scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hear, tasks.cancel_scope)
        while True:
            await other.call_tool("change", {"word": "memo://two"})
            await other.call_tool("change", {"word": "memo://one"})
            await anyio.sleep(0.2)
    return heard[0]


async def called(http, session, tool, arguments):
    return await result_of(http, session, "tools/call", {"name": tool, "arguments": arguments})


async def asked(http, session, method, uri):
    return await result_of(http, session, method, {"uri": uri})


async def result_of(http, session, method, params):
    message = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
    said = await http.post("/mcp", headers=session, json=message)
    [line] = [line for line in said.text.splitlines() if line.startswith("data:") and line[5:].strip()]
    return json.loads(line[5:])["result"]


async def until_watched(gateway, uris):
    while gateway.application.tools.offers.watched("memos").uris != uris:
        await anyio.sleep(0.02)
