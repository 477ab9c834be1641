"""The TypeScript SDK before the door of /mcp: keys, tokens that it fetches by itself, tokens that were made for somebody else."""

import pytest

from tests.mcp_clients.typescript import Refused, typescript

pytestmark = pytest.mark.mcp_clients


def token(world, **claims):
    return {"url": world.mcp, "headers": {"authorization": f"Bearer {world.site.token_for(**claims)}"}}


def connected(sdk, world):
    with typescript(*sdk, world) as client:
        return client.call("desk__echo", {"text": "in"})["content"][0]["text"]


def test_it_follows_the_resources_metadata_to_the_authorization_server_and_comes_back_with_a_token(world, sdk):
    """RFC 9728, RFC 8414, RFC 7591, PKCE: all by the SDK itself; the token's audience is /mcp."""
    before = len(world.site.given)
    with typescript(*sdk, {"url": world.mcp, "oauth": True}) as client:
        said = client.call("desk__echo", {"text": "in"})
        about = client.ask("about")

    assert said["content"][0]["text"] == "in"
    assert about["scopes"] == ["mcp"]
    assert len(world.site.given) == before + 1
    assert world.site.asked("token", "resource")[-1] == world.mcp


def test_a_call_that_needs_more_scopes_has_it_ask_for_them(world, sdk):
    with typescript(*sdk, {"url": world.mcp, "oauth": True}) as client:
        done = client.call("desk__pause", {"text": "stepped up"})
        about = client.ask("about")

    assert done["content"][0]["text"] == "stepped up"
    assert [set(scope.split()) for scope in about["scopes"]] == [{"mcp"}, {"mcp", "tools:write"}]


def test_a_token_is_taken_if_it_was_made_for_this_place(world, sdk):
    assert connected(sdk, token(world, scope="mcp")) == "in"


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "mcp", "audience": "https://elsewhere.example"},
        {"scope": "mcp", "audience": "https://other.example/mcp"},
        {"scope": "mcp", "lives": -100},
        {"scope": "mcp", "issuer": "https://evil.example"},
    ],
    ids=["of the other endpoints", "of another resource", "expired", "of a stranger"],
)
def test_any_other_token_is_refused(world, sdk, claims):
    with pytest.raises(Refused, match=r"401|[Tt]oken"):
        connected(sdk, token(world, **claims))


def test_who_has_no_key_is_refused(world, sdk):
    with pytest.raises(Refused, match=r"401|No API key"):
        connected(sdk, {"url": world.mcp})


def test_a_virtual_key_is_taken_and_has_its_own_list_of_tools(world, sdk):
    user = world.asked("POST", "/admin/users", {"name": "ada " + "-".join(sdk)})
    key = world.asked("POST", "/admin/keys", {"name": "small", "user": user["id"], "tools": ["desk/echo"]})["key"]
    with typescript(*sdk, {"url": world.mcp, "headers": {"x-api-key": key}}) as client:
        said = client.call("desk__echo", {"text": "in"})
        with pytest.raises(Refused, match="Unknown tool"):
            client.call("desk__structured")

    assert said["content"][0]["text"] == "in"
