"""URIs of clients lead to one server each, and back, whatever servers choose to write."""

import pytest

from gateway.api.mcp.uris import SCHEME, Uris

ODD = (
    "memo://one", "file:///a b%2Fc?d=e#f", "switchgear://other/memo://one", "switchgear://docs/x", "x:", "urn:a/b/c", "a://{x}{?y*}", "//", "/", "ü:ß",
)  # fmt: skip


@pytest.mark.parametrize("bare", ["", "docs", "b"])
def test_every_uri_of_every_server_comes_back_as_it_was(bare):
    uris = Uris(bare)
    outer = {(server, uri): uris.outer(server, uri) for server in ("docs", "b", "a-1") for uri in ODD}

    assert len(set(outer.values())) == len(outer), "no two have the same"
    assert {pair: uris.inner(found) for pair, found in outer.items()} == {pair: pair for pair in outer}


def test_the_server_whose_uris_stay_cannot_pose_as_another():
    """Its own URI begins like one of ours: then it is written as any other server's."""
    uris = Uris("docs")

    assert uris.inner(uris.outer("docs", f"{SCHEME}bank/memo://secret")) == ("docs", f"{SCHEME}bank/memo://secret")


@pytest.mark.parametrize("uri", ["memo://one", "", SCHEME, f"{SCHEME}docs", f"{SCHEME}/memo://one"])
def test_what_leads_nowhere_leads_nowhere(uri):
    assert Uris().inner(uri) is None


def test_links_are_written_so_where_they_can_be_read_and_stay_where_not():
    uris = Uris()
    link = {"type": "resource_link", "uri": "memo://one", "name": "one"}
    inside = {"type": "resource", "resource": {"uri": "memo://one", "text": "t"}}

    assert uris.linked("docs", link, lambda uri: True) == {**link, "uri": "switchgear://docs/memo://one"}
    assert uris.linked("docs", inside, lambda uri: True)["resource"]["uri"] == "switchgear://docs/memo://one"
    for block in (link, inside):
        assert uris.linked("docs", block, lambda uri: False) == block
    for block in (
        7,
        None,
        {"type": "text", "text": "memo://one"},
        {"type": "resource"},
        {"type": "resource_link", "uri": 7},
    ):
        assert uris.linked("docs", block, lambda uri: True) == block
