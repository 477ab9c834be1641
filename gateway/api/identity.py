"""Establishes who is calling, from the request's headers. What the caller may do is not decided here."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.errors import Unauthenticated

MAX_KEY_BYTES = 1024


class Identity:
    """Static bearer keys. Without any, everybody is anonymous (the server then listens on loopback only).

    Only keyed hashes are kept. A look-up by a hash whose key is random says nothing about the keys by its timing; the final
    comparison is constant in time.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._pepper = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[bytes, Caller]] = {}
        for number, key in enumerate(keys, start=1):
            digest = self._digest(key.encode("utf-8"))
            self._known[digest] = (digest, Caller(id=f"key-{number}"))

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return not self._known

    def caller(self, authorization: bytes | None, api_key: bytes | None) -> Caller:
        """Give the caller for the values of `authorization` and `x-api-key`. Raises Unauthenticated."""
        if not self._known:
            return ANONYMOUS
        # Some clients send `Authorization: Basic` on their own account, beside the key.
        key = _bearer(authorization) if authorization is not None else None
        key = api_key if key is None else key
        if key is None:
            msg = "No API key was given. Send it as `Authorization: Bearer KEY` or `x-api-key: KEY`."
            raise Unauthenticated(msg)
        digest = self._digest(key[:MAX_KEY_BYTES])
        found = self._known.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            msg = "The API key is not known here."
            raise Unauthenticated(msg)
        return found[1]

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, digest_size=32, key=self._pepper).digest()


def _bearer(authorization: bytes) -> bytes | None:
    scheme, _, value = authorization.partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" and value else None
