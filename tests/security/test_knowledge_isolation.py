"""What somebody may not read in knowledge bases is not there for him: in no list, no result, no error, by no way in. Promised by docs/knowledge.md."""

import pytest
from mcp import MCPError

from tests.journeys.knowledge_world import NAMES, calls_of, knowledge_world
from tests.journeys.mcp_world import client_of

pytestmark = pytest.mark.anyio
POLICIES = """
permit(principal, action, resource);

@id("no-vault")
forbid(principal, action == Action::"use_tool", resource == Tool::"knowledge/vault");
"""
HIDDEN = "code is 555"


async def names_and_bases(client):
    """The tools that a client is shown, and the bases that these name."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    shown = tools.get("search_knowledge")
    return set(tools), [] if shown is None else shown.input_schema["properties"]["bases"]["items"]["enum"]


async def reached(world, key):
    """All that a key can get out of the vault, by every way in, as one text."""
    said = []
    async with client_of(world.gateway.url, key=key) as client:
        said.append(str(await names_and_bases(client)))
        for tool, arguments in (
            ("search_knowledge", {"query": "escalation code"}),
            ("search_knowledge", {"query": "escalation code", "bases": ["vault"]}),
            ("read_knowledge", {"base": "vault", "file": "codes.txt"}),
        ):
            try:
                answer = await client.call_tool(tool, arguments)
                said.append(answer.content[0].text + str(answer.structured_content))
            except MCPError as error:
                said.append(str(error))
    openai = world.client(key)
    tools = [{"type": "mcp", "server_label": "knowledge", "require_approval": "never"}]
    for request in (
        {"model": "agent/keeper", "input": "look up escalation"},
        {"model": "agent/keeper", "input": "in the vault"},
        {"model": "thinker", "input": "look up escalation", "tools": tools},
        {"model": "thinker", "input": "in the vault", "tools": tools},
    ):
        response = await openai.responses.create(**request)
        # A model's own arguments say what it asked for.
        said += [f"{call.output}{call.error}" for call in calls_of(response)]
        said.append(response.output_text)
    await openai.close()
    return "\n".join(said)


async def test_another_tenants_people_reach_nothing_of_a_tenants_base(tmp_path):
    async with knowledge_world(tmp_path, vault=", readers: {tenants: [default]}") as world:
        tenant = await world.made("tenants", name="acme")
        theirs = (await world.made("keys", name="theirs", tenant=tenant["id"]))["key"]
        ours = (await world.made("keys", name="ours"))["key"]
        foreign, own = await reached(world, theirs), await reached(world, ours)

    assert HIDDEN not in foreign
    assert "second engineer" in foreign
    assert "'vault'" not in foreign.replace("no knowledge base 'vault' here", "")
    assert HIDDEN in own


async def test_a_base_of_one_team_is_not_there_for_another(tmp_path):
    async with knowledge_world(tmp_path, vault=", readers: {teams: [nobody]}") as world:
        key = (await world.made("keys", name="ours"))["key"]
        said = await reached(world, key)

    assert HIDDEN not in said


async def test_a_role_that_a_base_does_not_name_reads_nothing_of_it(tmp_path):
    async with knowledge_world(tmp_path, vault=", readers: {roles: [owner]}") as world:
        key = (await world.made("keys", name="ours"))["key"]
        said, first = await reached(world, key), await reached(world, world.key)

    assert HIDDEN not in said
    assert HIDDEN in first


async def test_a_policy_hides_one_base_and_leaves_the_others(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.cedar").write_text(POLICIES)
    async with knowledge_world(tmp_path, more="policies: {folder: policies}") as world:
        said = await reached(world, world.key)

    assert HIDDEN not in said
    assert "second engineer" in said


@pytest.mark.parametrize(
    ("tools", "names", "bases"),
    [
        (["knowledge/search_knowledge", "knowledge/wiki"], {"approval_status", "search_knowledge"}, ["wiki"]),
        (["knowledge/*"], {"approval_status", *NAMES}, ["handbook", "vault", "wiki"]),
        (["knowledge/search_knowledge", "knowledge/read_knowledge"], {"approval_status"}, []),
        (["desk/*"], {"approval_status"}, []),
    ],
)
async def test_a_keys_list_of_tools_says_which_bases_there_are(tmp_path, tools, names, bases):
    async with knowledge_world(tmp_path) as world:
        key = (await world.made("keys", name="few", tools=tools))["key"]
        async with client_of(world.gateway.url, key=key) as client:
            shown = await names_and_bases(client)
            if not bases:
                with pytest.raises(MCPError):
                    await client.call_tool("search_knowledge", {"query": "escalation"})

    assert shown == (names, bases)


async def test_only_bases_of_the_section_are_there_for_clients(tmp_path):
    async with knowledge_world(tmp_path) as world:
        config = tmp_path / "switchgear.yaml"
        config.write_text(
            config.read_text().replace("mcp: {knowledge: [handbook, wiki, vault]}", "mcp: {knowledge: [wiki]}")
        )
        assert (await world.reload())["status"] in ("applied", "unchanged")
        async with client_of(world.gateway.url, key=world.key) as client:
            shown = await names_and_bases(client)
            found = await client.call_tool("search_knowledge", {"query": "escalation"})
            refused = await client.call_tool("search_knowledge", {"query": "escalation", "bases": ["vault"]})

    assert shown[1] == ["wiki"]
    assert [passage["base"] for passage in found.structured_content["passages"]] == ["wiki"]
    assert refused.is_error
    assert HIDDEN not in refused.content[0].text
