"""Authorizations of servers of tools: begun by who is to be sent away, finished by who comes back, forgotten when they are not wanted any more.

In between lie a browser and another server, and the replica that began it need not be the one that finishes it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
import structlog

from gateway.config.secret import reveal
from gateway.config.tool_settings import HttpServerSettings, OAuthSettings
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.stores.tool_grants import Consent, GrantInfo, GrantStore, Holder
from gateway.tools.oauth.discovery import Authority, discover
from gateway.tools.oauth.tokens import Client, client_document, client_of, exchange, register, revoke
from gateway.tools.oauth.wire import AuthorizationFailed, Locate, Wire

log = structlog.get_logger()

CALLBACK: Final = "/oauth/callback"
"""Followed by the name of the server: each has its own, so that an answer which comes there is from nobody else (OAuth 2.1, 7.13.2, mix-up)."""
DOCUMENT: Final = "/oauth/clients"
"""The same of the documents: one for all would let each authorization server send people to every server's address."""
OLD_DOCUMENT: Final = "/oauth/client.json"
"""What grants were made with before each server had its own: their authorization servers may read it again."""
PATIENCE: Final = 600.0
"""Seconds in which who was sent away has to come back."""


class NotAuthorized(Conflict):
    """An authorization cannot be begun or finished; the message says why."""

    code = "authorization_failed"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send somebody, and until when he may come back (seconds since 1970)."""

    url: str
    expires_at: float


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is back, and has to confirm with `ticket` that he lends his account to whom `consent` says."""

    ticket: str
    consent: Consent


class Authorizing:
    """Takes care of them. `servers` gives the settings in force, `public_url` where people reach this gateway, `arrived` and `gone` hear of grants."""

    def __init__(
        self,
        grants: GrantStore,
        *,
        servers: Callable[[], Mapping[str, HttpServerSettings]],
        public_url: Callable[[], str],
        locate: Locate,
        clock: Clock,
        arrived: Callable[[Holder], None],
        gone: Callable[[Holder], None],
    ) -> None:
        self._arrived = arrived
        self._gone = gone
        self._grants = grants
        self._servers = servers
        self._public_url = public_url
        self._locate = locate
        self._clock = clock

    def document(self, server: str | None) -> dict[str, object]:
        """Give the document that says who this gateway is to one server's authorization server (client ID metadata documents). Raises NotFound.

        Without a server it is that which was shown to all of them once: nobody is sent away with it any more.
        """
        url = self._address()
        if server is None:
            return client_document(url + CALLBACK, url + OLD_DOCUMENT)
        self._found(Holder(server=server))
        return client_document(f"{url}{CALLBACK}/{server}", f"{url}{DOCUMENT}/{server}")

    async def begin(self, holder: Holder, *, by: str) -> Sent:
        """Give where to send who authorizes. Raises NotFound, InvalidRequest, NotAuthorized and StoreUnavailable."""
        server, settings = self._found(holder)
        if settings.grant != "authorization_code":
            msg = f"The server {holder.server!r} is used in this gateway's own name: there is nobody to be sent there."
            raise InvalidRequest(msg)
        wire = Wire(private=settings.private, locate=self._locate)
        redirect_uri = f"{self._address()}{CALLBACK}/{holder.server}"
        known = await self._grants.find(holder)
        try:
            authority = await discover(wire, server.url, issuer=settings.issuer or "")
            client = await self._client(wire, holder.server, settings, authority, redirect_uri)
        except AuthorizationFailed as error:
            raise NotAuthorized(str(error)) from error
        wanted = "" if known is None else known.tokens.wanted or known.tokens.scope
        scope = union(" ".join(settings.scopes) or authority.scope, wanted)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        expires_at = self._clock.wall() + PATIENCE
        consent = Consent(
            holder=holder,
            by=by,
            verifier=verifier,
            redirect_uri=redirect_uri,
            issuer=authority.issuer,
            needs_iss=authority.needs_iss,
            scope=scope,
            resource=authority.resource,
            token_endpoint=authority.token,
            revocation_endpoint=authority.revocation,
            client_id=client.id,
            client_secret=client.secret,
            auth_method=client.method,
            expires_at=expires_at,
        )
        await self._grants.begin(state, consent)
        query = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "resource": authority.resource,
            **({"scope": scope} if scope else {}),
        }
        joined = "&" if urlsplit(authority.authorization).query else "?"
        return Sent(url=f"{authority.authorization}{joined}{urlencode(query)}", expires_at=expires_at)

    async def come_back(self, query: Mapping[str, str], server: str | None) -> Returned:
        """Take who comes back to the address of `server`; nothing is lent before he has said who it is for.

        None is the address that all had once. Raises NotFound for who was never sent away, NotAuthorized and StoreUnavailable.
        """
        consent = await self._taken(query.get("state", ""), back=False)
        self._found(consent.holder)
        # The code of one authorization server is shown to no other: where it came says whose it is, also where no `iss` does.
        if not consent.redirect_uri.endswith(CALLBACK if server is None else f"{CALLBACK}/{server}"):
            raise NotAuthorized("Another authorization server answered than the one that was asked.")
        issuer = query.get("iss")
        # Who answers must be who was asked, also where several authorization servers are in use (RFC 9207).
        if (issuer is None and consent.needs_iss) or issuer not in (None, consent.issuer):
            raise NotAuthorized("Another authorization server answered than the one that was asked.")
        if not query.get("code"):
            raise NotAuthorized(f"It was not allowed: {_word(query.get('error', ''))}.")
        # The address may have been given to somebody else, who then lends his account: he is told to whom, and has to agree.
        ticket = secrets.token_urlsafe(32)
        await self._grants.begin(ticket, msgspec.structs.replace(consent, code=query["code"]))
        return Returned(ticket=ticket, consent=consent)

    async def confirm(self, ticket: str) -> Consent:
        """Finish what somebody came back from; give what was begun. Raises NotFound, NotAuthorized and StoreUnavailable."""
        consent = await self._taken(ticket, back=True)
        holder = consent.holder
        _, settings = self._found(holder)
        wire = Wire(private=settings.private, locate=self._locate)
        try:
            tokens = await exchange(wire, consent, consent.code, now=self._clock.wall())
        except AuthorizationFailed as error:
            raise NotAuthorized(str(error)) from error
        await self._grants.put(holder, tokens, now=self._clock.wall())
        log.info("tool_server.authorized", server=holder.server, tenant=holder.tenant, by=consent.by)
        self._arrived(holder)
        return consent

    async def _taken(self, name: str, *, back: bool) -> Consent:
        """Take what is remembered under a state, or, of who is back, under a ticket. Raises NotFound."""
        consent = await self._grants.take(name, now=self._clock.wall()) if name else None
        if consent is None or bool(consent.code) is not back:
            msg = "Nobody was sent away with this, or it was used already, or it took too long. Begin again."
            raise NotFound(msg)
        return consent

    async def forget(self, holder: Holder) -> bool:
        """Have a grant revoked, and forget it; False where there is none. Raises NotFound and StoreUnavailable."""
        _, settings = self._found(holder)
        known = await self._grants.find(holder)
        gone = await self._grants.remove(holder)
        if known is not None:
            await revoke(Wire(private=settings.private, locate=self._locate), known.tokens)
        self._gone(holder)
        return gone

    async def list(self, server: str) -> Sequence[GrantInfo]:
        """Give the grants for a server. Raises StoreUnavailable."""
        return await self._grants.list(server)

    async def _client(
        self, wire: Wire, server: str, settings: OAuthSettings, authority: Authority, redirect_uri: str
    ) -> Client:
        """Give who this gateway is there: as it was told, by the address of its document, or by registering."""
        if settings.client_id:
            secret = "" if settings.client_secret is None else reveal(settings.client_secret)
            return client_of(settings.client_id, secret, authority.auth_methods)
        if authority.knows_documents and redirect_uri.startswith("https://"):
            return Client(id=f"{self._address()}{DOCUMENT}/{server}")
        if authority.registration:
            return await register(wire, authority, redirect_uri)
        msg = "The authorization server registers nobody: write the client_id that it gives out into `oauth`."
        raise AuthorizationFailed(msg)

    def _found(self, holder: Holder) -> tuple[HttpServerSettings, OAuthSettings]:
        server = self._servers().get(holder.server)
        if server is None or server.oauth is None:
            msg = f"There is no server of tools {holder.server[:40]!r} here that is used with an authorization."
            raise NotFound(msg)
        return server, server.oauth

    def _address(self) -> str:
        return self._public_url().rstrip("/")


def challenge_of(verifier: str) -> str:
    """Give PKCE's challenge for a verifier: S256 (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def union(one: str, other: str) -> str:
    """Give the words of two scopes, each once."""
    return " ".join(dict.fromkeys([*one.split(), *other.split()]))


def _word(text: str) -> str:
    return text if text.replace("_", "").isalnum() and len(text) <= 64 else "no reason is given"
