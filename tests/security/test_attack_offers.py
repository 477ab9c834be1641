"""Resources behind /mcp: a policy about a URI is not got around by spelling it otherwise, nor by going through a template that is forbidden, nor by links."""

import pytest
from mcp import MCPError

from gateway.api.mcp.uris import Uris
from gateway.tools.offers import Offer, Offers
from tests.mcp_offers_world import folder, site_over
from tests.tool_world import OFFERING, allowed, hub_over, noted, ready, stdio

SECRET = "memo://files/minutes/7"
FORBIDDEN = """
@id("minutes") forbid (principal, action == Action::"read_resource", resource) when { resource.id like "docs/memo://files/minutes/*" };
"""
NO_TEMPLATE = """
@id("files") forbid (principal, action == Action::"read_resource", resource == Resource::"docs/memo://files/{+path}");
"""
SPELLINGS = [
    "memo://files/%6dinutes/7",
    "memo://files/%6Dinutes/7",
    "memo://files/minute%73/7",
    "memo://files/%256Dinutes/7",
    "memo://files//minutes/7",
    "memo://files/./minutes/7",
    "memo://files/minutes%2f7",
    "memo://files/x/%2e%2E/minutes/7",
    "memo://files/\uff4dinutes/7",
    "memo://files/minutes\\7",
    "memo://files/minutes\x007",
    "memo://files/minutes\n/7",
    "memo://files/ minutes/7",
    "memo://files/%zzminutes/7",
    "memo://files/minutes/%",
]


@pytest.fixture
def docs(tmp_path):
    own = folder(tmp_path, "docs")
    server = stdio(
        own, program=OFFERING, tools=allowed("change"), resources=("memo://one",), resource_templates=("file", "note")
    )
    server_folder = own
    return server, server_folder


async def test_another_spelling_of_what_is_forbidden_reaches_no_server(docs):
    server, own = docs
    async with hub_over({"docs": server}) as hub, site_over(hub, policies=FORBIDDEN) as site:
        await ready(hub, "docs")
        async with site.client("auto") as client:
            for uri in [SECRET, *SPELLINGS]:
                with pytest.raises(MCPError, match="no such resource"):
                    await client.read_resource(f"switchgear://docs/{uri}")
            other = await client.read_resource("switchgear://docs/memo://files/agenda/a%2Fb%20c")

    assert other.contents[0].text == "this is memo://files/agenda/a%2Fb%20c"
    assert [one["uri"] for one in noted(own, "asked.jsonl")] == ["memo://files/agenda/a%2Fb%20c"]


async def test_through_a_template_that_is_forbidden_nothing_is_read(docs):
    server, own = docs
    forbidden = "switchgear://docs/memo://files/agenda"
    # Not even of a server that has just been started, and has not said yet what it has.
    async with (
        hub_over({"docs": server}) as hub,
        site_over(hub, policies=NO_TEMPLATE) as site,
        site.client("auto") as client,
    ):
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource(forbidden)
        async with client.listen(resource_subscriptions=[forbidden, "switchgear://docs/memo://one"]) as events:
            assert events.honored.resource_subscriptions == ["switchgear://docs/memo://one"]
        note = await client.read_resource("switchgear://docs/memo://notes/7")
        one = await client.read_resource("switchgear://docs/memo://one")

    assert (note.contents[0].text, one.contents[0].text) == ("this is memo://notes/7", "this is memo://one")
    assert [asked["uri"] for asked in noted(own, "asked.jsonl")] == ["memo://notes/7", "memo://one"]


@pytest.mark.parametrize("uri", SPELLINGS)
def test_a_template_that_takes_everything_takes_no_odd_spelling(uri):
    offers = Offers(templates={"all": Offer(key="all", said={"uriTemplate": "{+all}"}, matches=lambda uri: True)})

    assert not offers.may_read(uri)
    assert Offers(reachable=frozenset({uri})).may_read(uri), "what the operator wrote is his own word"


@pytest.mark.parametrize(
    "uri",
    [
        "https://a.example/x?y=1#z",
        "file:///a/b.txt",
        "proxy://https://a.example/x",
        "urn:isbn:0-4",
        "memo://x/%C3%A9%20%2F%25",
    ],
)
def test_a_uri_in_its_normal_form_is_taken(uri):
    offers = Offers(templates={"all": Offer(key="all", said={"uriTemplate": "{+all}"}, matches=lambda uri: True)})

    assert offers.may_read(uri)


def test_a_link_of_one_server_leads_to_no_other():
    """A hostile server's result has a link that looks like ours, to what the reader may read elsewhere."""
    uris = Uris(bare="evil")
    link = {"type": "resource_link", "name": "x", "uri": "switchgear://docs/memo://one"}
    shown = uris.linked("evil", link, lambda uri: False)

    assert uris.inner(shown["uri"]) == ("evil", "switchgear://docs/memo://one")
    assert (
        uris.linked("evil", {**link, "uri": "https://elsewhere.example"}, lambda uri: False)["uri"]
        == "https://elsewhere.example"
    )
