"""Keys of issuers, and the check of a token's signature with one of them. Pure; PyJWT and cryptography do the arithmetic.

A key is bound to the algorithms that it is for when it is read, so that no token can have it used in another way.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.core.errors import InvalidToken
from gateway.core.strict_json import decode_object

log = structlog.get_logger()

MOST_KEYS: Final = 100

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
_RSA_BITS: Final = range(2048, 8193)
_KID: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}")
_JWS: Final = jwt.PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to check signatures with: its id (None where it has none), the algorithms it is for, and itself."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


class KeySet:
    """The keys of one issuer."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> SigningKey | None:
        """Give the key of this id that is for this algorithm. Without an id there must be only one that could be meant."""
        fitting = [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None


def shared_key_set(secret: str, algorithms: Iterable[str]) -> KeySet:
    """Give the set of one secret that is shared with the issuer; it answers to every key id."""
    return _SharedKeySet([SigningKey(kid=None, algorithms=frozenset(algorithms), key=secret.encode())])


class _SharedKeySet(KeySet):
    def find(self, kid: str | None, algorithm: str) -> SigningKey | None:
        del kid
        return super().find(None, algorithm)


def parse_key_set(body: bytes, algorithms: Iterable[str]) -> KeySet:
    """Read a JWK Set (RFC 7517); keys that are not for one of `algorithms`, or are too weak, are left out.

    Raises ValueError where it is none, has too many keys, or none that can be used. A malformed body is a MalformedBody.
    """
    listed = decode_object(body, depth=10).get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        msg = f"it is no JWK set of at most {MOST_KEYS} keys"
        raise ValueError(msg)
    allowed = frozenset(algorithms)
    keys = [key for entry in listed if isinstance(entry, dict) and (key := _read_key(entry, allowed)) is not None]
    if not keys:
        msg = "it has no key for the algorithms accepted here"
        raise ValueError(msg)
    return KeySet(keys)


def check_signature(token: bytes, key: SigningKey, algorithm: str) -> None:
    """Raise InvalidToken where the signature of a token is not made with this key by this algorithm."""
    msg = "The token's signature is not that of its issuer."
    if algorithm not in key.algorithms:
        raise InvalidToken(msg)
    try:
        _JWS.decode(token, key.key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        # PyJWT's message may hold a piece of the token.
        raise InvalidToken(msg) from None


def _read_key(entry: Mapping[str, Any], allowed: frozenset[str]) -> SigningKey | None:
    kid = entry.get("kid")
    fitting = _algorithms(entry) & allowed
    if not fitting or not _is_for_signatures(entry):
        return None
    if "d" in entry or (kid is not None and not (isinstance(kid, str) and _KID.fullmatch(kid))):
        log.warning("jwks.key_left_out", reason="private key" if "d" in entry else "key id")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is short is left out below
            key = jwt.PyJWK(dict(entry), algorithm=min(fitting)).key
    except (jwt.PyJWTError, ValueError, TypeError):
        log.warning("jwks.key_left_out", reason="unreadable")
        return None
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        log.warning("jwks.key_left_out", reason=f"RSA of {key.key_size} bits")
        return None
    return SigningKey(kid=kid, algorithms=fitting, key=key)


def _algorithms(entry: Mapping[str, Any]) -> frozenset[str]:
    """Give the algorithms that a key can be for: by its type and curve, and its own `alg` where it has one."""
    kind, curve, named = entry.get("kty"), entry.get("crv"), entry.get("alg")
    possible: frozenset[str] = frozenset()
    if kind == "RSA":
        possible = _RSA
    elif kind in ("EC", "OKP") and isinstance(curve, str) and curve in _CURVES:
        possible = frozenset({_CURVES[curve]})
    if named is None:
        return possible
    return possible & {named} if isinstance(named, str) else frozenset()


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
