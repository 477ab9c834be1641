"""MCP clients search knowledge bases at /mcp, with the official client, in both revisions. Promised by docs/knowledge.md."""

import hashlib

import anyio
import jsonschema
import pytest
from mcp import MCPError

from tests.journeys.knowledge_world import NAMES, TEXTS, knowledge_world
from tests.journeys.mcp_world import MODES, client_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
async def world(tmp_path):
    async with knowledge_world(tmp_path) as world:
        yield world


async def test_the_tools_say_what_they_are(world, mode):
    async with client_of(world.gateway.url, mode, key=world.key) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == NAMES | {"approval_status"}
    assert tools["search_knowledge"].input_schema["properties"]["bases"]["items"] == {
        "enum": ["handbook", "vault", "wiki"]
    }
    for name in NAMES:
        assert tools[name].annotations.read_only_hint is True
        assert tools[name].output_schema["type"] == "object"


async def test_a_search_gives_passages_with_their_citations_and_reading_gives_the_rest(world, mode):
    async with client_of(world.gateway.url, mode, key=world.key) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = await client.call_tool("search_knowledge", {"query": "second engineer", "bases": ["handbook"]})
        (passage,) = found.structured_content["passages"]
        where = {name: passage[name] for name in ("base", "file", "offset")}
        read = await client.call_tool("read_knowledge", where)

    text = TEXTS["handbook/on-call.md"]
    assert (passage["file"], passage["headings"]) == ("on-call.md", ["On call", "Escalation"])
    assert passage["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert read.structured_content["text"] == text[11:]
    assert read.structured_content["next_offset"] is None
    jsonschema.validate(found.structured_content, tools["search_knowledge"].output_schema)
    jsonschema.validate(read.structured_content, tools["read_knowledge"].output_schema)


async def test_a_call_is_recorded_and_audited_as_any_other(world):
    async with client_of(world.gateway.url, key=world.key) as client:
        await client.call_tool("search_knowledge", {"query": "escalation"})
    (record,) = [record for record in world.gateway.records if record.operation == "tool_call"]
    with anyio.fail_after(20):
        while True:
            said = (await world.http.get("/admin/audit", params={"action": "mcp.tool_called"})).json()["data"]
            if said:
                break
            await anyio.sleep(0.02)
    run = (await world.http.get(f"/admin/runs/{record.run}")).json()

    assert (record.model, record.status, record.error) == ("knowledge/search_knowledge", 200, None)
    assert "knowledge/search_knowledge" in str(said[0])
    assert run["id"] == record.run


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_knowledge", {}),
        ("search_knowledge", {"query": ""}),
        ("search_knowledge", {"query": "x" * 2001}),
        ("search_knowledge", {"query": 7}),
        ("search_knowledge", {"query": "x", "limit": -1}),
        ("search_knowledge", {"query": "x", "limit": 10**30}),
        ("search_knowledge", {"query": "x", "limit": 1.5}),
        ("search_knowledge", {"query": "x", "bases": []}),
        ("search_knowledge", {"query": "x", "bases": ["none"]}),
        ("search_knowledge", {"query": "x", "bases": "handbook"}),
        ("search_knowledge", {"query": "x", "bases": [["handbook"]]}),
        ("search_knowledge", {"query": "x", "more": 1}),
        ("read_knowledge", {"base": "handbook"}),
        ("read_knowledge", {"base": "none", "file": "on-call.md"}),
        ("read_knowledge", {"base": ["handbook"], "file": "on-call.md"}),
        ("read_knowledge", {"base": "handbook", "file": "on-call.md", "offset": -1}),
        ("read_knowledge", {"base": "handbook", "file": "../vault/codes.txt"}),
        ("read_knowledge", {"base": "handbook", "file": "/etc/passwd"}),
        ("read_knowledge", {"base": "handbook", "file": "on-call.md\u0000"}),
    ],
)
async def test_what_makes_no_sense_is_an_error_that_says_so(world, tool, arguments):
    async with client_of(world.gateway.url, key=world.key) as client:
        answer = await client.call_tool(tool, arguments)

    assert answer.is_error
    assert answer.structured_content is None
    assert "555" not in answer.content[0].text


async def test_a_question_of_a_megabyte_is_refused_before_anything_is_done(world):
    async with client_of(world.gateway.url, key=world.key) as client:
        with pytest.raises(MCPError, match="bytes"):
            await client.call_tool("search_knowledge", {"query": "x" * 1024 * 1024})


@pytest.mark.parametrize(
    "query", ["(a+)+$" * 300, "a" * 2000, "\\" * 2000, "*" * 2000, "\u0301" * 2000, "\u202e555\u0000"]
)
async def test_a_question_is_words_and_nothing_else(world, query):
    async with client_of(world.gateway.url, key=world.key) as client:
        with anyio.fail_after(10):
            answer = await client.call_tool("search_knowledge", {"query": query})

    assert not answer.is_error


async def test_a_tool_has_its_limit_and_its_approval_by_its_name(world):
    config = world.folder / "switchgear.yaml"
    limited = "knowledge: [handbook], approval: {knowledge/read_knowledge: always}, limits: {tools: {knowledge/search_knowledge: 1}}"
    config.write_text(config.read_text().replace("knowledge: [handbook, wiki, vault]", limited))
    assert (await world.reload())["status"] in ("applied", "unchanged")
    async with client_of(world.gateway.url, key=world.key) as client:
        first = await client.call_tool("search_knowledge", {"query": "escalation"})
        second = await client.call_tool("search_knowledge", {"query": "escalation"})
        read = await client.call_tool("read_knowledge", {"base": "handbook", "file": "on-call.md"})

    assert (first.is_error, second.is_error) == (False, True)
    assert "1 calls of knowledge/search_knowledge in a minute" in second.content[0].text
    assert read.structured_content["status"] == "waiting_for_approval"


async def test_searches_go_on_while_the_texts_are_read_anew(world):
    found = []

    async def search(client):
        for _ in range(10):
            answer = await client.call_tool(
                "search_knowledge", {"query": "escalation", "bases": ["handbook"], "limit": 20}
            )
            found.append({each["file"] for each in answer.structured_content["passages"]})

    async with client_of(world.gateway.url, key=world.key) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(search, client)
        for number in range(5):
            (world.folder / "handbook" / f"new{number}.md").write_text("# escalation\n")
            assert (await world.reload())["status"] in ("applied", "unchanged")

    # Each saw one state of the folder, whole.
    states = [{"on-call.md", *(f"new{number}.md" for number in range(many))} for many in range(6)]
    assert len(found) == 10
    assert all(files in states for files in found)
