"""What the claims of a token mean: whether it holds now and for us, and which caller it stands for. Pure.

The claims handed in come from a token whose signature is good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.api.identity.strict_token import UnacceptableToken
from gateway.config.access_settings import JwtSettings
from gateway.core.caller import Caller
from gateway.stores.directory import ROLES

_LATEST: Final = 2**53
_MOST_ENTRIES: Final = 512
# No control characters, no marks that turn writing around: ids end up in logs, tables and terminals.
_NAME: Final = re.compile(r"[^\x00-\x20\x7f-\xa0\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,128}")
_WORDS: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,256}")

Claims = Mapping[str, Any]


def check_claims(claims: Claims, settings: JwtSettings, now: float) -> float:
    """Give when the token ends, in seconds since 1970. Raises UnacceptableToken where it does not hold now, or not for us."""
    issued, begins, ends = (_time(claims, name) for name in ("iat", "nbf", "exp"))
    if ends is None:
        msg = "The token has no end (`exp`)."
        raise UnacceptableToken(msg)
    if now >= ends + settings.leeway:
        msg = "The token has expired."
        raise UnacceptableToken(msg)
    if any(at is not None and at > now + settings.leeway for at in (issued, begins)):
        msg = "The token is not valid yet (`nbf` or `iat` is in the future)."
        raise UnacceptableToken(msg)
    if ends - (now if issued is None else issued) > settings.lifetime:
        msg = f"The token is made to last longer than the {settings.lifetime:g} s that are accepted here."
        raise UnacceptableToken(msg)
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not any(isinstance(one, str) and one in settings.audience for one in named):
        msg = "The token is not meant for this server (`aud`)."
        raise UnacceptableToken(msg)
    for name in settings.require:
        if _find(claims, name) is None:
            raise _lacking(name)
    return ends + settings.leeway


def caller_of(claims: Claims, name: str, settings: JwtSettings) -> Caller:
    """Give the caller that the claims of a token of the issuer `name` stand for. Raises UnacceptableToken."""
    said = settings.claims
    user = _name(claims, said.user)
    groups = _texts(claims, said.groups) if said.groups is not None else ()
    return Caller(
        id=f"{name}:{user}",
        kind="jwt",
        tenant=_tenant(claims, settings),
        team=_name(claims, said.team) if said.team is not None and _find(claims, said.team) is not None else "",
        user=user,
        groups=groups,
        tags=tuple(_tags(claims, said.tags)),
        models=_patterns(claims, said.models),
        tools=_patterns(claims, said.tools),
        role=_role(claims, groups, settings),
        scopes=_texts(claims, said.scopes),
    )


def _time(claims: Claims, name: str) -> float | None:
    """Give a NumericDate (RFC 7519, 2), None where there is none; text is none, though some libraries take it."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        msg = f"The token's `{name}` is not a time in seconds since 1970."
        raise UnacceptableToken(msg)
    return float(value)


def _find(claims: Claims, path: str) -> Any:
    """Give the claim of this name, else what the dots of the name lead to; None where there is neither."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _name(claims: Claims, path: str) -> str:
    value = _find(claims, path)
    if value is None:
        raise _lacking(path)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        msg = f"The token's claim `{path}` is no name: text of at most 128 characters without spaces."
        raise UnacceptableToken(msg)
    return value


def _texts(claims: Claims, path: str) -> tuple[str, ...]:
    value = _find(claims, path)
    if value is None:
        return ()
    entries = value.split() if isinstance(value, str) else value
    fine = isinstance(entries, list) and all(isinstance(one, str) and _WORDS.fullmatch(one) for one in entries)
    # Too many are refused, not cut: the one that forbids something could be among those left out.
    if not fine or len(entries) > _MOST_ENTRIES:
        msg = f"The token's claim `{path}` is no list of at most {_MOST_ENTRIES} names."
        raise UnacceptableToken(msg)
    return tuple(entries)


def _patterns(claims: Claims, path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    patterns = _texts(claims, path)
    if not patterns:
        # To a Caller, no pattern is no restriction: what the claim was to restrict must not be thrown open.
        raise _lacking(path)
    return patterns


def _tenant(claims: Claims, settings: JwtSettings) -> str:
    path = settings.claims.tenant
    if path is None:
        return settings.tenant
    tenant = _name(claims, path)
    if not any(_fits(tenant, pattern) for pattern in settings.tenants):
        msg = f"The token's claim `{path}` names a tenant that its issuer may not speak for."
        raise UnacceptableToken(msg)
    return tenant


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _role(claims: Claims, groups: Iterable[str], settings: JwtSettings) -> str:
    roles = {settings.roles[group] for group in groups if group in settings.roles}
    path = settings.claims.role
    said = None if path is None else _find(claims, path)
    if said is not None:
        if said not in ROLES:
            msg = f"The token's claim `{path}` is none of the roles {', '.join(ROLES)}."
            raise UnacceptableToken(msg)
        roles.add(said)
    return next((role for role in ROLES if role in roles), "")


def _tags(claims: Claims, paths: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for tag, path in paths.items():
        value = _find(claims, path)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            continue
        if not isinstance(value, str) or not _WORDS.fullmatch(value):
            msg = f"The token's claim `{path}` is no text of at most 256 characters."
            raise UnacceptableToken(msg)
        yield tag, value


def _lacking(path: str) -> UnacceptableToken:
    return UnacceptableToken(f"The token lacks the claim `{path}`.")
