"""Takes a JSON Web Token apart, strictly (RFC 7515, 7519, 8725). Pure; nothing that it gives is trusted before the signature is checked.

Where a key is to be found is never read from a token: `jku`, `x5u`, `jwk` and `x5c` are not looked at.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec

from gateway.core.errors import InvalidToken, MalformedBody
from gateway.core.strict_json import decode_object

_SEGMENT: Final = re.compile(rb"[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_DEPTH: Final = 10
_MOST_KID: Final = 256


class UnacceptableToken(InvalidToken):
    """A token that its issuer did sign, and that does not pass all the same: expired, for somebody else, lacking a claim."""


class ParsedToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says, before anything of it is trusted. `kid` is None where the header names no key."""

    algorithm: str
    kid: str | None
    issuer: str
    claims: dict[str, Any]

    def __repr__(self) -> str:
        return "ParsedToken()"


def parse_token(token: bytes) -> ParsedToken:
    """Take a token in the compact serialisation apart. Raises InvalidToken, which names the part and never its content."""
    segments = token.split(b".")
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        msg = "The token is not a signed JWT: three parts of base64url, parted by dots."
        raise InvalidToken(msg)
    header = _object(segments[0], "header")
    _check_header(header)
    claims = _object(segments[1], "payload")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        msg = "The token says no issuer (`iss`)."
        raise InvalidToken(msg)
    return ParsedToken(algorithm=header["alg"], kid=header.get("kid"), issuer=issuer, claims=claims)


def _object(segment: bytes, part: str) -> dict[str, Any]:
    try:
        text = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        return decode_object(text, depth=_DEPTH)
    except (ValueError, MalformedBody):
        # What exactly is wrong would repeat a piece of the token.
        msg = f"The token's {part} is not a JSON object, or has a key twice."
        raise InvalidToken(msg) from None


def _check_header(header: dict[str, Any]) -> None:
    if not isinstance(header.get("alg"), str):
        msg = "The token's header says no algorithm."
        raise InvalidToken(msg)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        msg = "The token's type (`typ`) is neither JWT nor at+jwt."
        raise InvalidToken(msg)
    if "crit" in header or "b64" in header:
        msg = "The token's header asks for extensions (`crit`) that are not known here."
        raise InvalidToken(msg)
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= _MOST_KID):
        msg = "The token's key id (`kid`) is no text of a sane length."
        raise InvalidToken(msg)
