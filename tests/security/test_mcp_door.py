"""Who gets in at /mcp: tokens that were made for it, keys, places, and scopes, asked by the official client and by requests that lie.

Sources: RFC 9728, RFC 8707, RFC 6750; MCP 2026-07-28 and 2025-11-25, Authorization and Transports.
"""

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from gateway.api.identity import Identities
from gateway.api.mcp_door import Entrance
from gateway.config.access_settings import AccessSettings, JwtSettings
from gateway.config.mcp_door_settings import McpAuthorizationSettings, McpDoorSettings, door_faults
from gateway.config.settings import Settings
from gateway.core.clock import SYSTEM_CLOCK
from tests.mcp_door_world import door_world
from tests.unit.api.identity_keys import Held

LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


def called(name):
    return {"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": name, "arguments": {}}}


class Kept:
    """Where the official client keeps tokens."""

    def __init__(self):
        self.tokens = self.info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.info

    async def set_client_info(self, info):
        self.info = info


def provider(site, url, kept):
    """The official client's OAuth, with a person who agrees to everything."""
    came_back = []

    async def go(url):
        came_back.append(await site.agree(url))

    async def wait():
        back = came_back.pop()
        return AuthorizationCodeResult(code=back["code"], state=back["state"], iss=back["iss"])

    about = OAuthClientMetadata(client_name="ide", redirect_uris=["http://127.0.0.1:9/callback"])
    return OAuthClientProvider(url, about, kept, redirect_handler=go, callback_handler=wait)


async def ask(double, message, **headers):
    async with httpx2.AsyncClient() as client:
        return await client.post(double.url, json=message, headers=HEADERS | headers)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_assistant_finds_the_way_to_a_token_by_itself_and_steps_up_when_a_tool_needs_more(mode):
    """RFC 9728 from the challenge on; the resource indicator of RFC 8707; step-up by insufficient_scope."""
    async with door_world() as (site, double):
        kept = Kept()
        async with (
            httpx2.AsyncClient(auth=provider(site, double.url, kept)) as http,
            Client(streamable_http_client(double.url, http_client=http), mode=mode) as client,
        ):
            listed = await client.list_tools()
            first = set(kept.tokens.scope.split())
            answer = await client.call_tool("write", {})

        assert [tool.name for tool in listed.tools] == ["read", "who", "write"]
        assert first == {"mcp"}
        assert set(kept.tokens.scope.split()) == {"mcp", "tools:write"}
        assert answer.content[0].text == "write for corp:ada"
        assert set(site.asked("authorize", "resource")) == {double.url}


async def test_the_callers_token_goes_no_further_than_the_door():
    """MCP, Authorization: a token that was received is never passed on."""
    async with door_world() as (site, double):
        token = site.token_for(scope="mcp tools:read")

        answer = await ask(
            double, called("read"), authorization=f"Bearer {token}", cookie=f"token={token}", **{"x-api-key": token}
        )

        assert answer.status_code == 200
        [(name, caller, headers)] = double.seen
        assert (name, caller) == ("read", "corp:ada")
        assert token not in str(headers)
        assert "authorization" not in headers


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ([], "no batches"),
        ([LIST], "no batches"),
        ("tools/list", "an object"),
        ({"id": 1, "method": "tools/list"}, "2.0"),
        (LIST | {"jsonrpc": "1.0"}, "2.0"),
        (LIST | {"id": {"a": 1}}, "`id`"),
        (LIST | {"id": True}, "`id`"),
        (LIST | {"id": None}, "`id`"),
        (LIST | {"method": 5}, "`method`"),
        (LIST | {"params": [1]}, "`params`"),
        ({"jsonrpc": "2.0", "id": 1}, "`method`"),
    ],
)
async def test_what_is_no_message_is_told_so_in_words_of_ours(message, says):
    async with door_world() as (site, double):
        answer = await ask(double, message, authorization=f"Bearer {site.token_for(scope='mcp')}")

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
        assert says in answer.json()["error"]["message"]
        assert double.seen == []


async def test_without_a_token_a_client_is_told_where_to_get_one():
    async with door_world() as (site, double):
        answer = await ask(double, LIST)
        where = f"http://127.0.0.1:{double.port}/.well-known/oauth-protected-resource/mcp"

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == f'Bearer scope="mcp", resource_metadata="{where}"'
        async with httpx2.AsyncClient() as client:
            found = [(await client.get(url)).json() for url in (where, where.removesuffix("/mcp"))]
        assert (
            found[0]
            == found[1]
            == {
                "resource": double.url,
                "authorization_servers": [site.issuer],
                "scopes_supported": ["mcp", "tools:read", "tools:write"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Switchgear",
            }
        )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"audience": "https://elsewhere.example"}, "not meant for this server"),
        ({"audience": ["https://elsewhere.example"]}, "not meant for this server"),
        ({"lives": -600}, "has expired"),
        ({"issuer": "https://stranger.example"}, "issuer"),
    ],
)
async def test_a_token_that_is_not_for_this_resource_is_refused_in_the_form_that_clients_read(fault, told):
    """RFC 6750, 3.1. The audience is one that this server takes elsewhere (`access.jwt`), and not here."""
    async with door_world() as (site, double):
        token = site.token_for(scope="mcp", **fault)

        answer = await ask(double, LIST, authorization=f"Bearer {token}")

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
        assert "resource_metadata=" in answer.headers["www-authenticate"]
        assert told in answer.json()["error"]["message"]
        assert token not in answer.text + answer.headers["www-authenticate"]


async def test_a_token_for_mcp_opens_nothing_else():
    async with door_world() as (site, double):
        token = site.token_for(scope="mcp")
        headers = [(b"authorization", f"Bearer {token}".encode())]

        with pytest.raises(Exception, match="not meant for this server"):
            await double.identity.identify(headers, ("127.0.0.1", 1))


async def test_scopes_that_are_lacking_are_named_together_with_those_that_are_there():
    """MCP, Authorization: 403 insufficient_scope; a client that asks for these scopes loses none that it has."""
    async with door_world() as (site, double):
        none, some = site.token_for(scope="other"), site.token_for(scope="tools:read other mcp")

        refused = await ask(double, LIST, authorization=f"Bearer {none}")
        lacking = await ask(double, called("write"), authorization=f"Bearer {some}")
        batch = await ask(double, [LIST, called("write")], authorization=f"Bearer {some}")
        twice = await ask_raw(
            double, b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"x","params":{"name":"write"}}', some
        )

        assert refused.status_code == lacking.status_code == batch.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert 'scope="mcp"' in refused.headers["www-authenticate"]
        assert 'scope="mcp tools:read tools:write"' in lacking.headers["www-authenticate"]
        assert lacking.json()["id"] == 8
        assert twice.status_code == 400
        assert double.seen == []


async def ask_raw(double, body, token):
    async with httpx2.AsyncClient() as client:
        headers = HEADERS | {"content-type": "application/json", "authorization": f"Bearer {token}"}
        return await client.post(double.url, content=body, headers=headers)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 401),
        ("LOCALHOST", 401),
        ("[::1]:{port}", 401),
        ("gateway.example.com", 401),
        ("gateway.example.com:8443", 401),
        ("rebound.example.net:{port}", 421),
        ("gateway.example.com.evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.nip.example", 421),
    ],
)
async def test_it_answers_under_its_own_names_only(host, status):
    """MCP, Transports: DNS rebinding. Whoever is let in by the name still needs a key."""
    async with door_world(door=McpDoorSettings(public_hosts=("gateway.example.com",))) as (_, double):
        answer = await ask(double, LIST, host=host.format(port=double.port))

        assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost", "http://localhost:3000", 401),
        ("localhost", "http://127.0.0.1", 401),
        ("localhost", "https://ide.example.com", 401),
        ("gateway.example.com", "https://ide.example.com", 401),
        ("gateway.example.com", "http://localhost:3000", 403),
        ("localhost", "https://evil.example", 403),
        ("localhost", "http://localhost.evil.example", 403),
        ("localhost", "https://ide.example.com.evil.example", 403),
        ("localhost", "null", 403),
        ("localhost", "file://localhost", 403),
    ],
)
async def test_pages_of_elsewhere_may_not_use_it(host, origin, status):
    """MCP, Transports: 403 for a foreign Origin."""
    door = McpDoorSettings(public_hosts=("gateway.example.com",), allowed_origins=("https://ide.example.com",))
    async with door_world(door=door) as (_, double):
        answer = await ask(double, LIST, host=host, origin=origin)

        assert answer.status_code == status


async def test_without_authorization_no_token_is_taken_and_nobody_is_sent_anywhere():
    async with door_world(door=McpDoorSettings()) as (site, double):
        token = site.token_for(scope="mcp", audience="https://elsewhere.example")

        answer = await ask(double, LIST, authorization=f"Bearer {token}")
        async with httpx2.AsyncClient() as client:
            told = await client.get(double.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"))

        assert answer.status_code == 401
        assert "resource_metadata" not in answer.headers["www-authenticate"]
        assert told.status_code == 404


async def test_a_virtual_key_gets_in_and_has_no_scopes_to_lack():
    held = Held(SYSTEM_CLOCK)
    key = await held.make()
    door = McpDoorSettings(authorization=McpAuthorizationSettings(resource="https://gw.example/mcp", required=("mcp",)))
    entrance = Entrance.of(door, Settings(providers={}, models={}), Identities(ring=held.ring))
    scope = {
        "headers": [(b"host", b"gw.example"), (b"authorization", f"Bearer {key}".encode())],
        "client": ("10.0.0.9", 1),
    }

    caller = await entrance.admit(scope)

    assert caller.kind == "key"
    assert entrance.missing(caller, "desk/write", "once") == ()


async def test_the_client_tells_of_a_refusal_in_its_words():
    async with door_world() as (site, double):
        token = site.token_for(scope="other")
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
            with pytest.RaisesGroup(pytest.RaisesExc(MCPError, match="lacks the scope mcp"), flatten_subgroups=True):
                async with Client(streamable_http_client(double.url, http_client=http), mode="legacy"):
                    pass


def test_settings_that_cannot_work_are_named():
    asked = McpAuthorizationSettings(resource="http://gw.example/api", issuers=("nobody", "odd"))
    odd = JwtSettings(issuer="odd-issuer", audience=("x",), jwks_url="https://odd.example/keys")

    faults = [
        message
        for _, message in door_faults(McpDoorSettings(authorization=asked), AccessSettings(jwt={"odd": odd}).jwt)
    ]

    assert [fault.split(",")[0].split(":")[0] for fault in faults] == [
        "tokens travel by https only",
        "the address of /mcp ends with /mcp",
        "access.jwt has no issuer 'nobody'",
        "the issuer of access.jwt.odd is no address that a client could go to",
    ]
