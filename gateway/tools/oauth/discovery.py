"""Where a server of tools has people authorized: its own metadata (RFC 9728), and those of its authorization server (RFC 8414, OpenID Connect discovery)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.core.items import Json
from gateway.tools.oauth.wire import AuthorizationFailed, Wire

_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_PKCE: Final = "S256"


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization server, and what it says of itself. `resource` is what tokens are to be for; `scope` what the server of tools asks for."""

    resource: str
    issuer: str
    authorization: str
    token: str
    registration: str = ""
    revocation: str = ""
    scope: str = ""
    knows_documents: bool = False
    needs_iss: bool = False
    auth_methods: tuple[str, ...] = ()


def challenged(header: str) -> dict[str, str]:
    """Give the parameters of a `WWW-Authenticate: Bearer …` header (RFC 6750)."""
    return {found[1].lower(): found[2] or found[3] or "" for found in _PARAMETER.finditer(header)}


async def discover(wire: Wire, url: str, *, issuer: str = "", interactive: bool = True) -> Authority:
    """Find who authorizes for the server of tools at `url`; with `issuer` it must be that one. Raises AuthorizationFailed."""
    probe = await wire.post_json(url, {})
    said = challenged(probe.challenge)
    document = await _resource(wire, url, said.get("resource_metadata", ""))
    resource = str(document.get("resource") or url)
    if not _covers(resource, url):
        msg = f"The server says that it is another resource: {resource[:200]!r}."
        raise AuthorizationFailed(msg)
    listed = [str(one) for one in _strings(document.get("authorization_servers"))]
    chosen = issuer or (listed[0] if listed else _origin(url))
    if issuer and listed and issuer.rstrip("/") not in {one.rstrip("/") for one in listed}:
        msg = f"The server does not name {issuer!r} as its authorization server."
        raise AuthorizationFailed(msg)
    found = await _metadata(wire, chosen)
    if interactive and _PKCE not in _strings(found.get("code_challenge_methods_supported")):
        msg = f"The authorization server {chosen[:200]!r} does not offer PKCE with S256, without which nobody is sent there."
        raise AuthorizationFailed(msg)
    scopes = said.get("scope") or " ".join(_strings(document.get("scopes_supported")))
    offered = _strings(found.get("scopes_supported"))
    if scopes and interactive and "offline_access" in offered and "offline_access" not in scopes.split():
        scopes = f"{scopes} offline_access"
    return Authority(
        resource=resource,
        issuer=str(found["issuer"]),
        authorization=_address(wire, found, "authorization_endpoint", needed=interactive),
        token=_address(wire, found, "token_endpoint", needed=True),
        registration=_address(wire, found, "registration_endpoint"),
        revocation=_address(wire, found, "revocation_endpoint"),
        scope=scopes,
        knows_documents=found.get("client_id_metadata_document_supported") is True,
        needs_iss=found.get("authorization_response_iss_parameter_supported") is True,
        auth_methods=tuple(_strings(found.get("token_endpoint_auth_methods_supported"))),
    )


async def _resource(wire: Wire, url: str, named: str) -> dict[str, Json]:
    """Give the metadata of a server of tools; none where it has none, as before 2025-06-18."""
    path = urlsplit(url).path.rstrip("/")
    well_known = f"{_origin(url)}/.well-known/oauth-protected-resource"
    for place in (named, f"{well_known}{path}" if path else "", well_known):
        if place:
            answer = await wire.get(place)
            if answer.status == 200 and answer.body:
                return answer.body
    return {}


async def _metadata(wire: Wire, issuer: str) -> dict[str, Json]:
    for place in _places(issuer):
        answer = await wire.get(place)
        if answer.status == 200 and answer.body:
            # What another server says of itself is nothing that this one's clients may rely on (RFC 8414, 3.3).
            if str(answer.body.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
                msg = f"The authorization server {issuer[:200]!r} says that it is another one."
                raise AuthorizationFailed(msg)
            return answer.body
    msg = f"The authorization server {issuer[:200]!r} does not say how it is used."
    raise AuthorizationFailed(msg)


def _places(issuer: str) -> Iterator[str]:
    origin, path = _origin(issuer), urlsplit(issuer).path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _covers(resource: str, url: str) -> bool:
    """Whether a token for `resource` is one for `url`: the same origin, and a path at or below it."""
    if _origin(resource).casefold() != _origin(url).casefold():
        return False
    above, path = urlsplit(resource).path.rstrip("/"), urlsplit(url).path.rstrip("/")
    return path == above or path.startswith(f"{above}/")


def _address(wire: Wire, document: dict[str, Json], name: str, *, needed: bool = False) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        if needed:
            msg = f"The authorization server does not name its {name}."
            raise AuthorizationFailed(msg)
        return ""
    return wire.check(value)


def _strings(value: Json) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
