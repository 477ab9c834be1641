"""Asking an authorization server for tokens: for a code, for a refresh token, in a client's own name; and having them revoked. It keeps nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import quote

import msgspec

from gateway.core.items import Json
from gateway.stores.tool_grants import Consent, Tokens
from gateway.tools.oauth.discovery import Authority
from gateway.tools.oauth.wire import AuthorizationFailed, Wire

_MOST_TOKEN: Final = 16 * 1024
_LONGEST: Final = 10 * 365 * 86_400
_GONE: Final = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"})


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who this gateway is to an authorization server."""

    id: str
    secret: str = ""
    method: str = "none"


def client_of(identifier: str, secret: str, methods: tuple[str, ...]) -> Client:
    """Give a client with the way in which it shows its secret."""
    if not secret:
        return Client(id=identifier)
    basic = not methods or "client_secret_basic" in methods or "client_secret_post" not in methods
    return Client(id=identifier, secret=secret, method="client_secret_basic" if basic else "client_secret_post")


async def register(wire: Wire, authority: Authority, redirect_uri: str) -> Client:
    """Register with an authorization server (RFC 7591). Raises AuthorizationFailed."""
    answer = await wire.post_json(authority.registration, client_document(redirect_uri))
    identifier, secret = answer.body.get("client_id"), answer.body.get("client_secret")
    if answer.status not in (200, 201) or not isinstance(identifier, str) or not identifier:
        raise AuthorizationFailed(f"The authorization server does not register this gateway: {_said(answer.body)}.")
    method = answer.body.get("token_endpoint_auth_method")
    if not isinstance(secret, str) or not secret or method == "none":
        return Client(id=identifier)
    return client_of(identifier, secret, (method,) if isinstance(method, str) else ())


def client_document(redirect_uri: str, identifier: str = "") -> dict[str, Json]:
    """Give what this gateway says of itself to authorization servers."""
    return {
        **({"client_id": identifier} if identifier else {}),
        "client_name": "Switchgear",
        # OpenID Connect registration, 2: without it a client is "web", which may have no redirect to this machine.
        "application_type": "web" if redirect_uri.startswith("https://") else "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


async def exchange(wire: Wire, consent: Consent, code: str, *, now: float) -> Tokens:
    """Give the tokens for a code that somebody came back with. Raises AuthorizationFailed."""
    client = Client(id=consent.client_id, secret=consent.client_secret, method=consent.auth_method)
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": consent.redirect_uri,
        "code_verifier": consent.verifier,
        "resource": consent.resource,
    }
    before = Tokens(
        access="",
        scope=consent.scope,
        resource=consent.resource,
        issuer=consent.issuer,
        token_endpoint=consent.token_endpoint,
        revocation_endpoint=consent.revocation_endpoint,
        client_id=consent.client_id,
        client_secret=consent.client_secret,
        auth_method=consent.auth_method,
    )
    return await _asked(wire, client, fields, before, now)


async def refreshed(wire: Wire, tokens: Tokens, *, now: float) -> Tokens:
    """Give new tokens for those that are over. Raises AuthorizationFailed, with `again` where nothing but a new authorization helps."""
    if not tokens.refresh:
        raise AuthorizationFailed("The authorization is over, and was given without a way to renew it.", again=True)
    client = Client(id=tokens.client_id, secret=tokens.client_secret, method=tokens.auth_method)
    fields = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "resource": tokens.resource}
    return await _asked(wire, client, fields, tokens, now)


async def in_own_name(wire: Wire, authority: Authority, client: Client, scope: str, *, now: float) -> Tokens:
    """Give tokens for the client itself (RFC 6749, 4.4). Raises AuthorizationFailed."""
    fields = {"grant_type": "client_credentials", "resource": authority.resource, **({"scope": scope} if scope else {})}
    before = Tokens(
        access="",
        scope=scope,
        resource=authority.resource,
        issuer=authority.issuer,
        token_endpoint=authority.token,
        client_id=client.id,
    )
    return await _asked(wire, client, fields, before, now)


async def revoke(wire: Wire, tokens: Tokens) -> None:
    """Have tokens revoked (RFC 7009), as far as the authorization server lets itself be told."""
    client = Client(id=tokens.client_id, secret=tokens.client_secret, method=tokens.auth_method)
    for hint, token in (("refresh_token", tokens.refresh), ("access_token", tokens.access)):
        if tokens.revocation_endpoint and token:
            fields = {"token": token, "token_type_hint": hint}
            with suppress(AuthorizationFailed):
                await _post(wire, tokens.revocation_endpoint, client, fields)


async def _asked(wire: Wire, client: Client, fields: Mapping[str, str], before: Tokens, now: float) -> Tokens:
    status, body = await _post(wire, before.token_endpoint, client, fields)
    access = body.get("access_token")
    if status != 200 or not isinstance(access, str) or not 0 < len(access) <= _MOST_TOKEN or not access.isascii():
        again = status in (400, 401) and body.get("error") in _GONE
        raise AuthorizationFailed(f"The authorization server gives no token: {_said(body)} ({status}).", again=again)
    if str(body.get("token_type", "")).casefold() != "bearer":
        raise AuthorizationFailed("The authorization server gives a token of a kind that is not known here.")
    lives, refresh, scope = body.get("expires_in"), body.get("refresh_token"), body.get("scope")
    lives = min(float(lives), _LONGEST) if isinstance(lives, int | float) and not isinstance(lives, bool) else None
    return msgspec.structs.replace(
        before,
        access=access,
        refresh=refresh if isinstance(refresh, str) and refresh else before.refresh,
        expires_at=None if lives is None else now + lives,
        scope=scope if isinstance(scope, str) and scope else before.scope,
    )


async def _post(wire: Wire, url: str, client: Client, fields: Mapping[str, str]) -> tuple[int, dict[str, Json]]:
    """Send a form as a client, which shows who it is in the way that it is to."""
    if client.method == "client_secret_basic":
        pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
        shown = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        answer = await wire.post(url, fields, shown)
    else:
        own = {"client_id": client.id, **({"client_secret": client.secret} if client.secret else {})}
        answer = await wire.post(url, {**fields, **own})
    return answer.status, answer.body


def _said(body: Mapping[str, Json]) -> str:
    """Give the word that the server has for it: nothing longer, for it may repeat what it was sent."""
    error = body.get("error")
    known = isinstance(error, str) and len(error) <= 64 and error.replace("_", "").isalnum()
    return str(error) if known else "it does not say why"
