"""Servers of tools that ask for an authorization: who is sent where, who comes back, and what goes with each request after that.

The servers speak the true wire formats (MCP authorization 2025-11-25; OAuth 2.1, RFC 7591, 7636, 8414, 8707, 9207, 9728).
"""

import base64
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec
import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.config.secret import Secret
from gateway.config.tool_settings import HttpServerSettings, OAuthSettings, ToolHubSettings
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import NotFound
from gateway.schemas.worker import Judging
from gateway.stores.database import open_database
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.tool_grants import Holder
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.connecting import connector_of
from gateway.tools.hub import ToolNotReached
from gateway.tools.oauth.authorizing import Authorizing, NotAuthorized
from gateway.tools.oauth.bearer import Bearers, GrantBearer
from gateway.tools.oauth.wire import AuthorizationFailed, Wire
from gateway.tools.server_hub import ServerHub
from tests.oauth_double import oauth_site
from tests.tool_world import QUICK, allowed, call, ready, until

OPERATOR = Holder(server="notes")
TOOLS = allowed("read", "who", "write", effect="read")


async def nowhere(host, port):
    msg = "no address of this test is public"
    raise OSError(msg)


class World:
    """A hub with one server that asks for an authorization. `later` seconds are added to the time."""

    def __init__(self, site, database, oauth, public_url):
        self.site, self.later = site, 0.0
        self.clock = Clock(monotonic=SYSTEM_CLOCK.monotonic, wall=lambda: SYSTEM_CLOCK.wall() + self.later)
        cipher = open_cipher(Secret(base64.b64encode(b"k" * 32).decode(), source="env:MASTER"))
        self.grants = SqlGrants(database, cipher)
        server = HttpServerSettings(url=site.url, tools=TOOLS, oauth=oauth)
        self.settings = ToolHubSettings(servers={"notes": server}, public_url=public_url)
        self.judging = Judging()
        self.hub = ServerHub(
            pins=PinsInMemory(),
            judging=self.judging,
            clock=self.clock,
            environment={},
            connect=partial(connector_of, bearers=Bearers(self.grants, nowhere, self.clock)),
            policy=QUICK,
        )
        self.hub.configure(self.settings)
        self.authorizing = Authorizing(
            self.grants,
            servers=lambda: self.hub.settings.servers,
            public_url=lambda: self.hub.settings.public_url,
            locate=nowhere,
            clock=self.clock,
            arrived=lambda holder: self.hub.wake("notes"),
            gone=lambda holder: self.hub.restart("notes"),
        )

    async def authorize(self, **changes):
        """Be sent away, agree, and come back."""
        sent = await self.authorizing.begin(OPERATOR, by="admin")
        back = await self.site.agree(sent.url)
        return await self.finish(back | changes)

    async def finish(self, query):
        """Come back, and say that it was you who began."""
        return await self.authorizing.confirm((await self.authorizing.come_back(query, "notes")).ticket)

    def bearer(self):
        """What another replica has."""
        return GrantBearer(self.grants, OPERATOR, Wire(private=True, locate=nowhere), self.clock)


@asynccontextmanager
async def world(folder, *, public_url="http://127.0.0.1:9", **oauth):
    database = await open_database(SqliteSettings(path=str(folder / "grants.db")))
    try:
        async with oauth_site() as site:
            made = World(site, database, OAuthSettings(**({"private": True} | oauth)), public_url)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(made.hub.run)
                yield made
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await made.judging.aclose()
            await database.aclose()


async def test_a_server_that_nobody_has_authorized_says_so_and_is_connected_when_somebody_has(tmp_path):
    async with world(tmp_path) as notes:
        await until(lambda: "authorize notes" in notes.hub.server("notes").reason)
        sent = await notes.authorizing.begin(OPERATOR, by="admin")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.url).query).items()}
        consent = await notes.finish(await notes.site.agree(sent.url))
        await ready(notes.hub, "notes")
        said = await call(notes.hub, "notes", "who")

    assert (asked["redirect_uri"], asked["resource"]) == ("http://127.0.0.1:9/oauth/callback/notes", notes.site.url)
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "read")
    assert (consent.holder, consent.by) == (OPERATOR, "admin")
    assert said.text == "who for ada"
    assert notes.site.asked("token", "resource") == [notes.site.url]
    # OpenID Connect registration, 2: one that is sent back to this machine is no web application.
    assert [client["application_type"] for client in notes.site.clients.values()] == ["native"]


async def test_who_comes_back_twice_with_nothing_or_too_late_is_nobody(tmp_path):
    async with world(tmp_path) as notes:
        back = await notes.site.agree((await notes.authorizing.begin(OPERATOR, by="admin")).url)
        late = await notes.site.agree((await notes.authorizing.begin(OPERATOR, by="admin")).url)
        await notes.finish(back)
        for query in (back, {}, {"code": "x"}, {"state": "guessed", "code": "x"}):
            with pytest.raises(NotFound):
                await notes.finish(query)
        notes.later = 601
        with pytest.raises(NotFound):
            await notes.finish(late)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"iss": "https://evil.example"}, "Another authorization server"),
        ({"iss": None}, "Another authorization server"),
        ({"code": None, "error": "access_denied"}, "access_denied"),
        ({"code": None, "error": "<script>"}, "no reason"),
        ({"code": "stolen"}, "invalid_grant"),
    ],
)
async def test_an_answer_that_is_not_the_one_asked_for_gives_nothing(tmp_path, answer, why):
    async with world(tmp_path) as notes:
        back = await notes.site.agree((await notes.authorizing.begin(OPERATOR, by="admin")).url)
        query = {name: value for name, value in (back | answer).items() if value is not None}
        with pytest.raises(NotAuthorized, match=why):
            await notes.finish(query)

        assert await notes.grants.find(OPERATOR) is None


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"metadata": {"issuer": "https://evil.example"}}, "another one"),
        ({"metadata": {"code_challenge_methods_supported": ["plain"]}}, "PKCE"),
        ({"metadata": {"token_endpoint": None}}, "token_endpoint"),
        ({"metadata": {"registration_endpoint": None}}, "client_id"),
        ({"metadata": {"authorization_endpoint": "javascript:alert(1)"}}, "none that an authorization may go through"),
        ({"resource": {"resource": "https://evil.example/mcp"}}, "another resource"),
    ],
)
async def test_nobody_is_sent_to_a_server_that_is_not_what_it_says(tmp_path, fault, why):
    async with world(tmp_path) as notes:
        notes.site.faults = fault
        with pytest.raises(NotAuthorized, match=why):
            await notes.authorizing.begin(OPERATOR, by="admin")


async def test_an_address_inside_is_not_asked_unless_the_operator_says_so(tmp_path):
    async with world(tmp_path, private=False) as notes:
        with pytest.raises(NotAuthorized, match="may go through"):
            await notes.authorizing.begin(OPERATOR, by="admin")
        wire = Wire(private=False, locate=nowhere)
        with pytest.raises(AuthorizationFailed, match="did not answer"):
            await wire.get("https://127.0.0.1:9/")

    assert notes.site.requests == []


async def test_a_gateway_is_known_by_its_document_where_the_authorization_server_reads_those(tmp_path):
    async with world(tmp_path, public_url="https://gateway.example") as notes:
        notes.site.faults = {"metadata": {"client_id_metadata_document_supported": True}}
        sent = await notes.authorizing.begin(OPERATOR, by="admin")

    asked = parse_qs(urlsplit(sent.url).query)
    assert asked["client_id"] == ["https://gateway.example/oauth/clients/notes"]
    assert notes.authorizing.document("notes")["client_id"] == asked["client_id"][0]
    assert notes.authorizing.document("notes")["redirect_uris"] == asked["redirect_uri"]
    assert notes.authorizing.document("notes")["application_type"] == "web"
    assert notes.site.clients == {}


async def test_a_token_is_renewed_before_its_end_by_one_replica_and_the_new_refresh_token_is_kept(tmp_path):
    """The double takes a refresh token once, as OAuth 2.1 has it of public clients."""
    async with world(tmp_path) as notes:
        await notes.authorize()
        first = await notes.grants.find(OPERATOR)
        notes.later = 3590
        replicas = [notes.bearer() for _ in range(4)]
        got = []

        async def ask(bearer):
            got.append(await bearer.token())

        async with anyio.create_task_group() as tasks:
            for bearer in replicas:
                tasks.start_soon(ask, bearer)
        second = await notes.grants.find(OPERATOR)
        again = await notes.bearer().renewed(second.tokens.access)

    renewals = [one for one in notes.site.asked("token", "refresh_token") if one]
    assert len(set(got)) == 1
    assert got[0] == second.tokens.access != first.tokens.access
    assert renewals == [first.tokens.refresh, second.tokens.refresh]
    assert again not in (first.tokens.access, second.tokens.access)


async def test_a_token_that_the_server_takes_back_is_renewed_in_the_midst_of_a_call(tmp_path):
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        notes.site.tokens.clear()
        said = await call(notes.hub, "notes", "who")

    assert said.text == "who for ada"
    assert notes.site.asked("token", "grant_type") == ["authorization_code", "refresh_token"]


async def test_an_authorization_that_is_over_for_good_has_to_be_given_again(tmp_path):
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        notes.site.tokens.clear()
        notes.site.refresh_tokens.clear()
        tool = next(tool for tool in await notes.hub.tools("notes") if tool.name == "who")
        with pytest.raises(ToolNotReached, match="Nothing was done"):
            await call(notes.hub, "notes", "who", tool=tool)
        asked = len(notes.site.asked("token", "grant_type"))
        with pytest.raises(AuthorizationFailed):
            await notes.bearer().token()
        assert len(notes.site.asked("token", "grant_type")) == asked
        await notes.authorize()
        await ready(notes.hub, "notes")
        said = await call(notes.hub, "notes", "who", tool=tool)

    assert said.text == "who for ada"
    assert notes.site.calls == [("who", "ada")]


async def test_an_authorization_server_that_is_away_costs_nothing_but_the_call(tmp_path):
    async with world(tmp_path) as notes:
        await notes.authorize()
        notes.later = 3590
        notes.site.faults = {"token": True}
        with pytest.raises(AuthorizationFailed, match="503"):
            await notes.bearer().token()
        notes.site.faults = {}
        token = await notes.bearer().token()

    assert token in notes.site.tokens


async def test_a_tool_that_needs_more_says_so_and_the_next_authorization_asks_for_both(tmp_path):
    """Step-up: 403 with insufficient_scope; what was allowed before stays allowed."""
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        with pytest.raises(ToolNotReached, match="'write' is wanted"):
            await call(notes.hub, "notes", "write")
        await notes.authorize()
        await ready(notes.hub, "notes")
        said = await call(notes.hub, "notes", "write")

    assert notes.site.asked("authorize", "scope") == ["read", "read write"]
    assert said.text == "write for ada"
    assert notes.site.calls == [("write", "ada")]


async def test_what_somebody_has_just_agreed_to_is_used_at_once_whatever_was_known_before(tmp_path):
    """A grant is taken to be as it was read for some seconds: the old token is refused, and the new one found then."""
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        with pytest.raises(ToolNotReached, match="'write' is wanted"):
            await call(notes.hub, "notes", "write")
        await call(notes.hub, "notes", "who")
        await notes.authorize()
        said = await call(notes.hub, "notes", "write")
        known = await notes.grants.find(OPERATOR)

    assert said.text == "write for ada"
    assert known.tokens.wanted == ""


async def test_what_is_forgotten_is_revoked_and_used_no_more(tmp_path):
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        known = await notes.grants.find(OPERATOR)
        assert await notes.authorizing.forget(OPERATOR)
        assert not await notes.authorizing.forget(OPERATOR)
        await until(lambda: notes.hub.server("notes").state != "ready")

    assert notes.site.asked("revoke", "token") == [known.tokens.refresh, known.tokens.access]


async def test_a_gateway_in_its_own_name_asks_by_itself_and_asks_for_more_where_it_may(tmp_path):
    own = {"grant": "client_credentials", "client_id": "robot", "client_secret": Secret("s3cret", source="env:S")}
    async with world(tmp_path, **own) as notes:
        await ready(notes.hub, "notes")
        said = await call(notes.hub, "notes", "who")
        written = await call(notes.hub, "notes", "write")

    assert (said.text, written.text) == ("who for robot", "write for robot")
    assert notes.site.asked("token", "scope") == ["read", "write"]
    assert await _raises(notes) == "InvalidRequest"


async def _raises(notes):
    try:
        await notes.authorizing.begin(OPERATOR, by="admin")
    except Exception as error:  # noqa: BLE001 its kind is what is asked
        return type(error).__name__
    return ""


async def test_no_token_is_in_what_a_server_is_said_to_be(tmp_path):
    async with world(tmp_path) as notes:
        await notes.authorize()
        await ready(notes.hub, "notes")
        told = msgspec.json.encode(notes.hub.server("notes")).decode()
        kept = (await notes.grants.find(OPERATOR)).tokens

    assert kept.access not in told
    assert kept.refresh not in told


@pytest.mark.parametrize(
    "address",
    [
        "https://[bad", "https://a:99999/", "https://a:0/", "https://:x@a/", "https://user@a/", "https://a b/", "https://é.example/", "https://a\\@b/",
        "https://" + "a" * 300, "https://a#b", "javascript:alert(1)", "ftp://a/", "http://a/", "//a/", "",
    ],
)  # fmt: skip
async def test_an_address_that_readers_read_differently_is_refused(address):
    """Servers of tools and authorization servers say where to go next: what they say is refused in words, and breaks nothing."""
    wire = Wire(private=False, locate=nowhere)

    with pytest.raises(AuthorizationFailed, match="none that an authorization may go through"):
        await wire.get(address)


async def test_who_comes_back_lends_nothing_before_he_has_agreed(tmp_path):
    """The address may have been given to him by somebody else, whose account his own would be then."""
    async with world(tmp_path) as notes:
        query = await notes.site.agree((await notes.authorizing.begin(OPERATOR, by="admin")).url)
        back = await notes.authorizing.come_back(query, "notes")
        for wrong in (query["state"], query["code"], "", "x"):
            with pytest.raises(NotFound):
                await notes.authorizing.confirm(wrong)
        with pytest.raises(NotFound):
            await notes.authorizing.come_back(query | {"state": back.ticket}, "notes")
        with pytest.raises(NotFound):  # it was used up by that
            await notes.authorizing.confirm(back.ticket)

        assert notes.site.asked("token", "code") == []
        assert await notes.grants.find(OPERATOR) is None
