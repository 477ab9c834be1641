"""A hostile server of tools beside an honest one: it cannot have the honest one's code shown to itself (RFC 9700, 4.4; OAuth 2.1, mix-up)."""

import base64
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.config.secret import Secret
from gateway.config.tool_settings import HttpServerSettings, OAuthSettings
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import NotFound
from gateway.stores.database import open_database
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.tool_grants import Holder
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.tools.oauth.authorizing import Authorizing, NotAuthorized
from tests.oauth_double import OAuthSite, oauth_site
from tests.tool_world import allowed

DOCUMENTS = {"client_id_metadata_document_supported": True}


class Silent(OAuthSite):
    """An authorization server that sends no `iss`, as most do, and takes any client by its document, whose redirect addresses it holds people to."""

    async def authorize(self, request):
        query = dict(request.query_params)
        if query["client_id"].startswith("https://"):
            self.clients[query["client_id"]] = self.documents(query["client_id"])
        answer = await super().authorize(request)
        address = urlsplit(answer.headers["location"])
        back = {name: value[0] for name, value in parse_qs(address.query).items() if name != "iss"}
        answer.headers["location"] = urlunsplit(address._replace(query=urlencode(back)))
        return answer


async def nowhere(host, port):
    raise OSError


class Two:
    def __init__(self, honest, evil, grants):
        self.honest, self.evil = honest, evil
        sites = {"honest": honest, "evil": evil}
        for site in sites.values():
            site.faults = {"metadata": {"authorization_response_iss_parameter_supported": False, **DOCUMENTS}}
            site.documents = self.document
        servers = {
            name: HttpServerSettings(
                url=site.url, tools=allowed("who", effect="read"), oauth=OAuthSettings(private=True)
            )
            for name, site in sites.items()
        }
        self.authorizing = Authorizing(
            grants,
            servers=lambda: servers,
            public_url=lambda: "https://gateway.example",
            locate=nowhere,
            clock=SYSTEM_CLOCK,
            arrived=lambda holder: None,
            gone=lambda holder: None,
        )

    def document(self, url):
        """What an authorization server finds at the address that a client is named by."""
        return self.authorizing.document(url.rpartition("/")[2])

    async def begin(self, server):
        sent = await self.authorizing.begin(Holder(server=server), by="admin")
        return sent.url, {name: values[0] for name, values in parse_qs(urlsplit(sent.url).query).items()}


@asynccontextmanager
async def two(folder):
    database = await open_database(SqliteSettings(path=str(folder / "grants.db")))
    cipher = open_cipher(Secret(base64.b64encode(b"k" * 32).decode(), source="env:MASTER"))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.aclose)
        honest = await stack.enter_async_context(oauth_site(Silent))
        evil = await stack.enter_async_context(oauth_site(Silent))
        yield Two(honest, evil, SqlGrants(database, cipher))


async def test_a_hostile_server_that_sends_people_on_to_an_honest_one_never_sees_its_code(tmp_path):
    """Its own `authorize` sends the browser to the honest one, with the state and the challenge of its own authorization."""
    async with two(tmp_path) as world:
        _, honest = await world.begin("honest")
        _, evil = await world.begin("evil")
        sent_on = evil | {
            "client_id": honest["client_id"],
            "resource": world.honest.url,
            "redirect_uri": honest["redirect_uri"],
        }
        back = await world.honest.agree(f"{world.honest.issuer}/authorize?{urlencode(sent_on)}")

        with pytest.raises(NotAuthorized, match="Another authorization server"):
            await world.authorizing.come_back(back, "honest")
        assert world.evil.asked("token", "code") == []


async def test_an_honest_server_sends_nobody_to_the_address_of_another(tmp_path):
    """Who the gateway is there is said of this server alone: the addresses of others are none of that client's."""
    async with two(tmp_path) as world:
        _, honest = await world.begin("honest")
        _, evil = await world.begin("evil")
        sent_on = evil | {"client_id": honest["client_id"], "resource": world.honest.url}

        assert honest["redirect_uri"] not in world.document(evil["client_id"])["redirect_uris"]
        with pytest.raises(AssertionError, match="Internal Server Error"):
            await world.honest.agree(f"{world.honest.issuer}/authorize?{urlencode(sent_on)}")


async def test_an_answer_counts_at_the_address_of_its_own_server_alone(tmp_path):
    async with two(tmp_path) as world:
        for wrong in (None, "evil", "", "honest/", "../callback/honest"):
            back = await world.honest.agree((await world.begin("honest"))[0])
            with pytest.raises(NotAuthorized, match="Another authorization server"):
                await world.authorizing.come_back(back, wrong)
        back = await world.honest.agree((await world.begin("honest"))[0])
        returned = await world.authorizing.come_back(back, "honest")
        consent = await world.authorizing.confirm(returned.ticket)

    assert consent.holder.server == "honest"
    assert len(world.honest.asked("token", "code")) == 1


async def test_who_the_gateway_is_to_a_server_that_is_not_there_is_not_found(tmp_path):
    async with two(tmp_path) as world:
        with pytest.raises(NotFound):
            world.authorizing.document("nobody")
