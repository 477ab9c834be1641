"""What MCP clients have here besides tools, with the official client in both revisions, over real servers behind a hub."""

import anyio
import mcp_types as types
import msgspec
import pytest
from mcp import MCPError

from tests.mcp_offers_world import folder, site_over
from tests.tool_world import OFFERING, allowed, call, hub_over, noted, ready, stdio, until

MODES = ("auto", "legacy")
NAMED = {
    "resources": ("memo://two", "memo://one", "memo://picture", "memo://broken", "memo://hang"),
    "resource_templates": ("note", "file"),
    "prompts": ("greet", "later"),
}
ONE = "switchgear://docs/memo://one"


@pytest.fixture
def docs(tmp_path):
    """The settings of a server that offers things, whatever it is called; `docs.notes` is where the first takes its notes."""
    made = []

    def server(**fields):
        own = folder(tmp_path, f"server{len(made)}")
        made.append(own)
        return stdio(own, program=OFFERING, **({"tools": allowed("change")} | NAMED | fields))

    server.folders = made
    return server


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


async def test_a_client_lists_what_it_may_read_and_reads_it_by_the_uri_that_it_was_given(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client(mode) as client:
        listed = await client.list_resources()
        read = await client.read_resource(ONE)

        assert [one.uri for one in listed.resources] == [f"switchgear://docs/memo://{name}" for name in ("broken", "hang", "one", "picture", "two")]  # fmt: skip
        assert listed.resources[2].mime_type == "text/plain"
        assert [(part.uri, part.text) for part in read.contents] == [(ONE, "this is memo://one")]
        assert read.meta["switchgear/source"] == "docs/memo://one"
        assert read.meta["switchgear/integrity"] == "untrusted"
        assert site.audit.entries == [("mcp.resource_read", "resource", "docs/memo://one", "ok")]


async def test_a_template_expanded_by_the_client_leads_to_the_servers_own_expansion(docs, mode):
    """The specification leaves it to clients to expand a template: what they make of ours must be what they would make of the server's."""
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client(mode) as client:
        found = await client.list_resource_templates()
        written = {one.name: one.uri_template for one in found.resource_templates}
        read = await client.read_resource(written["note"].replace("{id}", "a%2Fb%20c"))

        assert written == {
            "file": "switchgear://docs/memo://files/{+path}",
            "note": "switchgear://docs/memo://notes/{id}",
        }
        assert read.contents[0].text == "this is memo://notes/a%2Fb%20c"


async def test_two_servers_with_the_same_uri_and_the_same_prompt_are_told_apart(docs, mode):
    async with hub_over({"a": docs(), "b": docs()}) as hub, site_over(hub, servers=("a", "b")) as site:
        await ready(hub, "a", "b")
        async with site.client(mode) as client:
            uris = [one.uri for one in (await client.list_resources()).resources]
            prompts = [one.name for one in (await client.list_prompts()).prompts]
            await client.read_resource("switchgear://b/memo://two")

    assert len(uris) == len(set(uris)) == 10
    assert uris == sorted(uris)
    assert prompts == ["a__greet", "b__greet"]
    assert [one["uri"] for one in noted(docs.folders[1], "asked.jsonl")] == ["memo://two"]
    assert noted(docs.folders[0], "asked.jsonl") == []


async def test_pages_hold_everything_once_and_a_cursor_is_good_in_every_replica(docs, mode):
    servers = {"a": docs(), "b": docs()}
    async with hub_over(servers) as hub, hub_over(servers) as other:
        await ready(hub, "a", "b")
        await ready(other, "a", "b")
        async with (
            site_over(hub, servers=("a", "b"), page=3) as first,
            site_over(other, servers=("a", "b"), page=3) as second,
            first.client(mode) as here,
            second.client(mode) as there,
        ):
            found, cursor = [], None
            for client in (here, there, here, there):
                page = await client.list_resources(cursor=cursor)
                found += [one.uri for one in page.resources]
                cursor = page.next_cursor

            assert cursor is None
            assert len(found) == len(set(found)) == 10
            with pytest.raises(MCPError, match="cursor") as odd:
                await here.list_resources(cursor="no cursor")
            assert odd.value.code == types.INVALID_PARAMS


async def test_a_prompt_is_given_with_its_resources_as_clients_can_read_them(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client(mode) as client:
        [prompt] = (await client.list_prompts()).prompts
        given = await client.get_prompt(prompt.name, {"name": "Bob"})

        assert (prompt.name, prompt.title, prompt.arguments[0].name) == ("docs__greet", "Greet", "name")
        assert given.messages[0].content.text == "Greet Bob."
        assert given.messages[1].content.resource.uri == ONE
        assert given.meta["switchgear/source"] == "docs/greet"
        with pytest.raises(MCPError, match="'name' is missing") as lacking:
            await client.get_prompt(prompt.name)
        assert lacking.value.code == types.INVALID_PARAMS


async def test_arguments_are_completed_by_the_server_that_has_them(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client(mode) as client:
        for ref in (
            types.PromptReference(name="docs__greet"),
            types.ResourceTemplateReference(uri="switchgear://docs/memo://notes/{id}"),
        ):
            completed = await client.complete(ref, {"name": "name", "value": "par"})

            assert completed.completion.values == ["paris", "park", "party"]
        for ref in (
            types.PromptReference(name="docs__hidden"),
            types.ResourceTemplateReference(uri="switchgear://docs/memo://hidden/{id}"),
            types.ResourceTemplateReference(uri="switchgear://others/memo://notes/{id}"),
        ):
            with pytest.raises(MCPError) as unknown:
                await client.complete(ref, {"name": "name", "value": "par"})
            assert unknown.value.code == types.INVALID_PARAMS


@pytest.mark.parametrize(
    "uri",
    [
        "memo://one",
        "switchgear://docs/memo://zeta",
        "switchgear://others/memo://one",
        "switchgear://unseen/memo://one",
        "switchgear://docs",
        "switchgear:///memo://one",
        "switchgear://docs/switchgear://docs/memo://one",
        "switchgear://docs/memo://files/%2e%2e/secret",
    ],
)
async def test_what_is_not_there_is_said_in_the_words_of_the_revision(docs, uri):
    async with hub_over({"docs": docs(), "unseen": docs()}) as hub, site_over(hub) as site:
        await ready(hub, "docs", "unseen")
        for mode, code in (("auto", -32602), ("legacy", -32002)):
            async with site.client(mode) as client:
                with pytest.raises(MCPError) as missing:
                    await client.read_resource(uri)

                assert (missing.value.code, missing.value.data) == (code, {"uri": uri})
        assert noted(docs.folders[0], "asked.jsonl") == []
        assert noted(docs.folders[1], "asked.jsonl") == []


async def test_one_server_may_keep_its_uris_and_the_names_of_its_prompts(docs, mode):
    def outer(server, name):
        return name if server == "docs" else f"{server}__{name}"

    async with (
        hub_over({"docs": docs(), "b": docs()}) as hub,
        site_over(hub, servers=("docs", "b"), bare="docs", outer=outer) as site,
    ):
        await ready(hub, "docs", "b")
        async with site.client(mode) as client:
            uris = [one.uri for one in (await client.list_resources()).resources]
            read = await client.read_resource("memo://one")
            names = [one.name for one in (await client.list_prompts()).prompts]

    assert "memo://one" in uris
    assert "switchgear://b/memo://one" in uris
    assert read.contents[0].uri == "memo://one"
    assert names == ["b__greet", "greet"]


POLICY = """
@id("not-for-bob")
forbid (principal, action == Action::"read_resource", resource == Resource::"docs/memo://two") when { principal.id == "bob" };
@id("no-notes-for-bob")
forbid (principal, action == Action::"read_resource", resource) when { principal.id == "bob" && resource.id like "docs/memo://notes/*" };
@id("no-prompts-for-bob")
forbid (principal, action == Action::"use_prompt", resource in Server::"docs") when { principal.id == "bob" };
@id("one-needs-a-yes") @effect("require_approval") @approvers("sre")
forbid (principal, action == Action::"read_resource", resource == Resource::"docs/memo://one") when { principal.id == "bob" };
"""


async def test_what_policies_forbid_is_not_there_for_whom_they_forbid_it(docs, mode):
    """Nobody can be asked about a read: what would need an approval is not there either."""
    async with hub_over({"docs": docs()}) as hub, site_over(hub, policies=POLICY) as site:
        async with site.client(mode, "bob") as bob:
            assert [one.uri.removeprefix(ONE[:-3]) for one in (await bob.list_resources()).resources] == [
                "broken",
                "hang",
                "picture",
            ]
            assert [one.name for one in (await bob.list_resource_templates()).resource_templates] == ["file"]
            assert (await bob.list_prompts()).prompts == []
            for uri in ("memo://two", "memo://one", "memo://notes/7"):
                with pytest.raises(MCPError, match="no such resource"):
                    await bob.read_resource(f"switchgear://docs/{uri}")
            with pytest.raises(MCPError, match="no such prompt"):
                await bob.get_prompt("docs__greet", {"name": "x"})
        async with site.client(mode, "ada") as ada:
            assert len((await ada.list_resources()).resources) == 5

        assert noted(docs.folders[0], "asked.jsonl") == []
        assert site.audit.entries[0] == ("mcp.resource_read", "resource", "docs/memo://two", "not_found")


async def test_a_keys_own_list_of_tools_holds_for_what_else_servers_offer(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site:
        async with site.client(mode, tools="others/* docs/memo://one") as client:
            assert [one.uri for one in (await client.list_resources()).resources] == [ONE]
            assert (await client.list_prompts()).prompts == []
        async with site.client(mode, tools="docs/*") as client:
            assert len((await client.list_prompts()).prompts) == 1


async def test_what_a_server_raises_is_its_own_business(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client(mode) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource("switchgear://docs/memo://broken")

        assert refused.value.code == types.INTERNAL_ERROR


async def test_a_client_that_leaves_ends_the_read_at_the_server(docs, mode):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site:
        await ready(hub, "docs")
        async with site.client(mode) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.read_resource, "switchgear://docs/memo://hang")
            await until(lambda: noted(docs.folders[0], "asked.jsonl"), seconds=20)
            tasks.cancel_scope.cancel()

        await until(lambda: noted(docs.folders[0], "cancelled.jsonl"), seconds=10)


async def test_a_server_that_is_down_hides_no_other(docs, mode):
    down = docs(command="/no/such/program")
    async with hub_over({"docs": docs(), "down": down}) as hub, site_over(hub, servers=("docs", "down")) as site:
        await ready(hub, "docs")
        await until(lambda: hub.server("down").state != "starting")
        async with site.client(mode) as client:
            with anyio.fail_after(20):
                assert len((await client.list_resources()).resources) == 5
                with pytest.raises(MCPError, match="does not run"):
                    await client.read_resource("switchgear://down/memo://one")


async def test_lists_say_how_long_they_hold_and_for_whom(docs):
    async with hub_over({"docs": docs()}) as hub, site_over(hub, ttl=7) as site, site.client("auto") as client:
        for page in (
            await client.list_resources(),
            await client.list_resource_templates(),
            await client.list_prompts(),
        ):
            assert (page.ttl_ms, page.cache_scope) == (7000, "private")
        read = await client.read_resource(ONE)

        assert read.cache_scope == "private"


async def test_who_listens_hears_of_a_change_at_a_server_and_of_a_new_configuration(docs):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site:
        await ready(hub, "docs")
        await hub.offers.known()
        async with site.client("auto") as client:
            capabilities = client.session.server_capabilities
            async with client.listen(tools_list_changed=True, prompts_list_changed=True) as events:
                await call(hub, "docs", "change", {"word": "later"})
                with anyio.fail_after(20):
                    first = await anext(events)
                names = [one.name for one in (await client.list_prompts()).prompts]
                hub.configure(hub.settings)
                with anyio.fail_after(20):
                    more = {type(await anext(events)).__name__ for _ in range(2)}

    assert capabilities.prompts.list_changed
    assert type(first).__name__ == "PromptsListChanged"
    assert names == ["docs__greet", "docs__later"]
    assert more == {"PromptsListChanged", "ToolsListChanged"}


async def all_of(events):
    """What is told, until nothing has been for a second: a server may tell of changes twice, and in any order."""
    found = [await anext(events)]
    while True:
        with anyio.move_on_after(1) as waiting:
            found.append(await anext(events))
        if waiting.cancelled_caught:
            return found


async def test_who_watches_a_resource_hears_that_it_is_another_for_as_long_as_he_may_read_it(docs):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site:
        await ready(hub, "docs")
        await hub.offers.known()
        async with site.client("auto") as client:
            capabilities = client.session.server_capabilities
            wanted = [ONE, "switchgear://docs/memo://hidden/7", "switchgear://other/memo://one", "memo://one"]
            async with client.listen(prompts_list_changed=True, resource_subscriptions=wanted) as events:
                with anyio.fail_after(20):
                    while hub.offers.watched("docs").uris != {"memo://one"}:
                        await anyio.sleep(0.01)
                    await call(hub, "docs", "change", {"word": "memo://two"})
                    await call(hub, "docs", "change", {"word": "memo://one"})
                    before = await all_of(events)
                    site.views.append(msgspec.structs.replace(site.views[0], servers=frozenset()))
                    await call(hub, "docs", "change", {"word": "memo://one"})
                    await call(hub, "docs", "change", {"word": "later"})
                    after = await all_of(events)
        with anyio.fail_after(20):
            while hub.offers.watched("docs").uris:
                await anyio.sleep(0.01)

    assert capabilities.resources.subscribe
    assert events.honored.resource_subscriptions == [ONE]
    assert {(type(event).__name__, str(event.uri)) for event in before} == {("ResourceUpdated", ONE)}
    assert [type(event).__name__ for event in after] == ["PromptsListChanged"]
    asked = [(uri, outcome) for what, _, uri, outcome in site.audit.entries if what == "mcp.resource_watched"]
    assert asked == [
        ("docs/memo://one", "ok"),
        ("docs/memo://hidden/7", "not_found"),
        ("other/memo://one", "not_found"),
    ]


async def test_no_change_is_told_where_nothing_is_listened_to_in_the_old_revision(docs):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client("legacy") as client:
        said = client.session.server_capabilities

        assert not said.prompts.list_changed
        assert not said.resources.list_changed
        assert not said.resources.subscribe


async def test_one_caller_does_not_take_all_streams(docs):
    async with hub_over({"docs": docs()}) as hub, site_over(hub) as site, site.client("auto") as client:
        opened = []
        for _ in range(16):
            listening = client.listen(tools_list_changed=True)
            await listening.__aenter__()
            opened.append(listening)
        with pytest.raises(MCPError, match="16 streams"):
            await client.listen(tools_list_changed=True).__aenter__()
        async with site.client("auto", "bob") as other, other.listen(tools_list_changed=True) as events:
            assert events.honored.tools_list_changed
        for listening in reversed(opened):
            await listening.__aexit__(None, None, None)


async def test_streams_end_when_the_server_goes_down_and_their_clients_are_told_so(docs):
    """A stream in which nothing happens must not hold up a drain; the end of it is an answer, not a broken connection."""
    async with (
        hub_over({"docs": docs()}) as hub,
        site_over(hub) as site,
        site.client("auto") as client,
        client.listen(tools_list_changed=True) as events,
    ):
        site.draining = True
        with anyio.fail_after(10):
            assert [event async for event in events] == []
