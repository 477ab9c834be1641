"""What MCP clients have at /mcp besides tools, through the whole gateway, with the official client in both revisions."""

import sys

import anyio
import pytest
from mcp import MCPError
from mcp_types import PromptReference

from tests.journeys.mcp_world import MODES, client_of, gateway_with
from tests.tool_world import OFFERING

SERVERS = """
    wiki:
      kind: stdio
      command: "{python}"
      args: ["{program}", stdio, "{folder}"]
      tools:
        advance: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        change: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
        link: {{effect: read, outward: false, gives: {{integrity: trusted}}}}
      resources: ["memo://one"]
      resource_templates: [note]
      prompts: [greet, later]
"""
MCP = "{servers: {desk: [echo], wiki: [advance, change, link]}, offers: [wiki]}"
ONE = "switchgear://wiki/memo://one"


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def gateway(folder, mcp=MCP):
    notes = folder / "wiki"
    notes.mkdir()
    servers = SERVERS.format(python=sys.executable, program=OFFERING, folder=notes)
    return gateway_with(folder, mcp, servers=servers, ready=("desk", "wiki"))


async def test_resources_prompts_and_completion_of_all_servers_are_at_one_door(tmp_path, mode):
    async with gateway(tmp_path) as running, client_of(running.url, mode) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        read = await client.read_resource(ONE)
        [prompt] = (await client.list_prompts()).prompts
        given = await client.get_prompt(prompt.name, {"name": "Bob"})
        completed = await client.complete(PromptReference(name=prompt.name), {"name": "name", "value": "rom"})
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("switchgear://wiki/memo://two")

    assert [one.uri for one in resources] == [ONE]
    assert [one.uri_template for one in templates] == ["switchgear://wiki/memo://notes/{id}"]
    assert read.contents[0].text == "this is memo://one"
    assert prompt.name == "wiki__greet"
    assert given.messages[1].content.resource.uri == ONE
    assert completed.completion.values == ["rome"]


async def test_a_server_may_keep_its_names_and_uris(tmp_path, mode):
    mcp = "{servers: {wiki: [link]}, prefixes: {wiki: ''}, offers: [wiki]}"
    async with gateway(tmp_path, mcp) as running, client_of(running.url, mode) as client:
        assert [one.uri for one in (await client.list_resources()).resources] == ["memo://one"]
        assert [one.name for one in (await client.list_prompts()).prompts] == ["greet"]
        assert (await client.read_resource("memo://notes/7")).contents[0].uri == "memo://notes/7"


async def test_links_in_a_tools_result_can_be_read_where_that_is_allowed(tmp_path, mode):
    async with gateway(tmp_path) as running, client_of(running.url, mode) as client:
        said = await client.call_tool("wiki__link", {})
        links = [block.uri for block in said.content]
        read = await client.read_resource(links[0])

    assert links == ["switchgear://wiki/memo://notes/7", "memo://hidden/7"]
    assert read.contents[0].text == "this is memo://notes/7"


async def test_how_far_a_tool_is_reaches_the_client(tmp_path, mode):
    heard = []

    async def advancing(progress, total, message):
        heard.append((progress, total, message))

    async with gateway(tmp_path) as running, client_of(running.url, mode) as client:
        await client.call_tool("wiki__advance", {}, progress_callback=advancing)

    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


async def test_a_change_at_a_server_reaches_clients_that_listen(tmp_path):
    async with gateway(tmp_path) as running, client_of(running.url, "auto") as client:
        await client.list_prompts()
        async with client.listen(prompts_list_changed=True) as events:
            await client.call_tool("wiki__change", {"word": "later"})
            with anyio.fail_after(30):
                await anext(events)
            names = [one.name for one in (await client.list_prompts(cache_mode="refresh")).prompts]

    assert names == ["wiki__greet", "wiki__later"]


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_a_server_may_have_prompts_and_no_tools(tmp_path, mode, protocol):
    notes = tmp_path / "wiki"
    notes.mkdir()
    (notes / "toolless").touch()
    server = f"""
    wiki:
      kind: stdio
      command: "{sys.executable}"
      args: ["{OFFERING}", stdio, "{notes}"]
      protocol: {protocol}
      prompts: [greet]
"""
    served = gateway_with(tmp_path, "{servers: {desk: [echo]}, offers: [wiki]}", servers=server, ready=("desk", "wiki"))
    async with served as running, client_of(running.url, mode) as client:
        given = await client.get_prompt("wiki__greet", {"name": "Bob"})
        tools = [tool.name for tool in (await client.list_tools()).tools]

    assert given.messages[0].content.text == "Greet Bob."
    assert tools == ["approval_status", "desk__echo"]


async def test_reads_are_counted_and_in_the_audit_log(tmp_path):
    async with gateway(tmp_path) as running, client_of(running.url, "auto") as client:
        await client.read_resource(ONE)
        asked = running.application.tools.counts.asked.values()

    assert asked == {("wiki", "resources/read", "ok"): 1}


async def test_what_is_told_of_changes_is_promised_in_either_revision(tmp_path, mode):
    async with gateway(tmp_path) as there, client_of(there.url, mode) as client:
        said = client.server_capabilities

    assert said.resources.subscribe
    assert said.resources.list_changed
