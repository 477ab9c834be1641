"""Seals what a client keeps for us between two requests: it can neither read nor change it, and no other tenant's can be used.

    key   = BLAKE2b(pepper, person "switchgear seal", salt: the purpose), 32 bytes
    token = prefix, base64url without padding of: nonce (12 random bytes), AES-256-GCM(key, nonce, data, associated data: tenant)

Every replica has the same pepper, so any of them opens what another has sealed (RFC 5116, NIST SP 800-38D). It stores nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class Unsealable(ValueError):
    """What was sealed elsewhere, for somebody else, or was changed on its way."""


class Seal:
    """Seals and opens for one purpose (at most 16 bytes). `prefix` is how everything begins that it seals; `most` are the bytes that it opens to at most."""

    def __init__(self, pepper: bytes, *, purpose: bytes, prefix: str, most: int = 64 * 1024 * 1024) -> None:
        key = hashlib.blake2b(key=pepper, digest_size=32, person=b"switchgear seal", salt=purpose).digest()
        self._cipher = AESGCM(key)
        self._most = most
        self.prefix = prefix

    def close(self, data: bytes, tenant: str) -> str:
        """Give the sealed text."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, zlib.compress(data), tenant.encode())
        return self.prefix + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, tenant: str) -> bytes:
        """Give what was sealed for this tenant. Raises Unsealable."""
        try:
            given = text.removeprefix(self.prefix).encode("ascii")
            sealed = base64.b64decode(given + b"=" * (-len(given) % 4), altchars=b"-_", validate=True)
            if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
                raise Unsealable
            inner = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], tenant.encode())
            # Only what was made here comes so far, within the bounds of a request; the bound is for what those may become.
            opened = zlib.decompressobj()
            data = opened.decompress(inner, self._most)
        except (InvalidTag, binascii.Error, ValueError, zlib.error) as exc:
            raise Unsealable("it was not sealed here for this tenant, or was changed") from exc
        if not opened.eof:
            raise Unsealable("it is larger than anything that is sealed here")
        return data
