"""The token that goes with each request to a server of tools: the present one, renewed in time, by one replica at a time."""

from __future__ import annotations

import math
from typing import Final, Protocol

import anyio
import msgspec
import structlog

from gateway.config.secret import reveal
from gateway.config.tool_settings import HttpServerSettings, OAuthSettings
from gateway.core.clock import Clock
from gateway.stores.tool_grants import Grant, GrantStore, Holder, Tokens
from gateway.tools.oauth.authorizing import union
from gateway.tools.oauth.discovery import discover
from gateway.tools.oauth.tokens import client_of, in_own_name, refreshed
from gateway.tools.oauth.wire import AuthorizationFailed, Locate, Wire

log = structlog.get_logger()

_EARLY: Final = 30.0
"""Seconds before its end that a token is renewed."""
_FRESH: Final = 5.0
"""Seconds that a grant is taken to be as it was read: another replica may renew it, or somebody take it back."""
_RENEWING: Final = 30.0
"""Seconds that who renews has for it, before another may."""
_PAUSE: Final = 0.1


class Bearer(Protocol):
    """Gives tokens for one server of tools, in one name. Everything raises AuthorizationFailed."""

    async def token(self) -> str:
        """Give the present one."""
        ...

    async def renewed(self, refused: str) -> str:
        """Give another in the place of one that the server refused."""
        ...

    async def wants(self, scope: str, refused: str) -> str:
        """Give a token that allows more than the one that the server refused (RFC 6750, insufficient_scope), as far as is known.

        Raises AuthorizationFailed where a person has to agree to that.
        """
        ...


class GrantBearer:
    """A Bearer over a grant that is kept."""

    def __init__(self, grants: GrantStore, holder: Holder, wire: Wire, clock: Clock) -> None:
        self._grants = grants
        self._holder = holder
        self._wire = wire
        self._clock = clock
        self._grant: Grant | None = None
        self._read_at = -_FRESH
        self._turn = anyio.Lock()

    async def token(self) -> str:
        """Give the present one."""
        async with self._turn:
            grant = await self._found()
            if self._is_over(grant.tokens) and not grant.tokens.refresh:
                grant = await self._found(anew=True)  # somebody may have authorized it again meanwhile
            if self._is_over(grant.tokens):
                grant = await self._renew(grant)
            return grant.tokens.access

    async def renewed(self, refused: str) -> str:
        """Give another in the place of one that the server refused."""
        async with self._turn:
            grant = await self._found(anew=True)
            if grant.tokens.access == refused:
                grant = await self._renew(grant)
            return grant.tokens.access

    async def wants(self, scope: str, refused: str) -> str:
        """Give the token of who has agreed meanwhile; else remember what more is wanted, for the next authorization. Raises AuthorizationFailed."""
        async with self._turn:
            grant = await self._found(anew=True)
            if grant.tokens.access != refused:
                return grant.tokens.access
            wanted = union(grant.tokens.scope, scope)
            if wanted != grant.tokens.wanted:
                more = msgspec.structs.replace(grant.tokens, wanted=wanted)
                await self._grants.renew(grant, more, now=self._clock.wall())
                self._grant = None
        msg = f"what is allowed does not reach that far, {scope[:200]!r} is wanted{self._hint}"
        raise AuthorizationFailed(msg, again=True)

    @property
    def _hint(self) -> str:
        return f": switchgear tools {'connect' if self._holder.person else 'authorize'} {self._holder.server}"

    async def _found(self, *, anew: bool = False) -> Grant:
        now = self._clock.monotonic()
        if self._grant is None or anew or now - self._read_at >= _FRESH:
            self._grant, self._read_at = await self._grants.find(self._holder), now
        if self._grant is None:
            raise AuthorizationFailed(f"nobody has authorized this gateway there{self._hint}", again=True)
        return self._grant

    async def _renew(self, grant: Grant) -> Grant:
        """Have a grant renewed, here or by another replica that is at it already."""
        with anyio.move_on_after(_RENEWING):
            while True:
                if not grant.tokens.refresh:
                    raise AuthorizationFailed(f"the authorization there is over{self._hint}", again=True)
                now = self._clock.wall()
                if await self._grants.claim(grant, now=now, until=now + _RENEWING):
                    return await self._ask(grant)
                await anyio.sleep(_PAUSE)
                present = await self._found(anew=True)
                if present.version != grant.version and not self._is_over(present.tokens):
                    return present
                grant = present
        raise AuthorizationFailed("another process renews the authorization, and does not come to an end of it")

    async def _ask(self, grant: Grant) -> Grant:
        # The old refresh token may be used up with the request: its answer is waited for, and kept.
        with anyio.CancelScope(shield=True):
            try:
                tokens = await refreshed(self._wire, grant.tokens, now=self._clock.wall())
            except AuthorizationFailed as error:
                log.warning("tool_server.not_renewed", server=self._holder.server, reason=str(error), again=error.again)
                if not error.again:
                    # It may do the next time: nobody has to wait for the claim to be over.
                    await self._grants.claim(grant, now=math.inf, until=0.0)
                else:
                    # What remains says what is to be agreed to again, and is asked for with it no more.
                    over = msgspec.structs.replace(grant.tokens, refresh="", access="", expires_at=0.0)
                    await self._grants.renew(grant, over, now=self._clock.wall())
                self._grant = None
                raise
            await self._grants.renew(grant, tokens, now=self._clock.wall())
        return await self._found(anew=True)

    def _is_over(self, tokens: Tokens) -> bool:
        return tokens.expires_at is not None and self._clock.wall() >= tokens.expires_at - _EARLY


class OwnBearer:
    """A Bearer in this gateway's own name (client credentials): nothing is kept, for it can always be asked for again."""

    def __init__(self, url: str, settings: OAuthSettings, wire: Wire, clock: Clock) -> None:
        self._url = url
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._tokens: Tokens | None = None
        self._scope = " ".join(settings.scopes)
        self._turn = anyio.Lock()

    async def token(self) -> str:
        """Give the present one."""
        async with self._turn:
            tokens = self._tokens
            if tokens is None or (tokens.expires_at is not None and self._clock.wall() >= tokens.expires_at - _EARLY):
                tokens = await self._ask()
            return tokens.access

    async def renewed(self, refused: str) -> str:
        """Give another in the place of one that the server refused."""
        async with self._turn:
            tokens = self._tokens
            return (await self._ask() if tokens is None or tokens.access == refused else tokens).access

    async def wants(self, scope: str, refused: str) -> str:
        """Ask for more, once: what is not given then is not to be had."""
        async with self._turn:
            if self._tokens is not None and self._tokens.access != refused:
                return self._tokens.access
            wanted = union(self._scope, scope)
            if wanted == self._scope:
                raise AuthorizationFailed(f"what is allowed does not reach that far: {scope[:200]!r} is wanted")
            self._scope = wanted
            return (await self._ask()).access

    async def _ask(self) -> Tokens:
        settings = self._settings
        authority = await discover(self._wire, self._url, issuer=settings.issuer or "", interactive=False)
        secret = "" if settings.client_secret is None else reveal(settings.client_secret)
        client = client_of(settings.client_id, secret, authority.auth_methods)
        scope = self._scope or authority.scope
        self._tokens = await in_own_name(self._wire, authority, client, scope, now=self._clock.wall())
        return self._tokens


class Bearers:
    """Gives bearers. `grants` is None where nothing is kept: then there are those in this gateway's own name alone."""

    def __init__(self, grants: GrantStore | None, locate: Locate, clock: Clock) -> None:
        self._grants = grants
        self._locate = locate
        self._clock = clock

    def of(self, settings: HttpServerSettings, holder: Holder) -> Bearer | None:
        """Give the bearer of the operator or a person for a server, None where it needs none."""
        oauth = settings.oauth
        if oauth is None:
            return None
        wire = Wire(private=oauth.private, locate=self._locate)
        if oauth.grant == "client_credentials":
            return OwnBearer(settings.url, oauth, wire, self._clock)
        return None if self._grants is None else GrantBearer(self._grants, holder, wire, self._clock)
