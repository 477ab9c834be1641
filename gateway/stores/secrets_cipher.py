"""How a secret is encrypted: AES-256-GCM with a key of its own, which the master key wraps. It stores and logs nothing.

    data key   = 32 random bytes, new for every value
    ciphertext = AES-256-GCM(data key, nonce, value, associated data: "value", tenant, name, version)
    wrapped    = AES-256-GCM(master key, nonce, data key, associated data: "key", tenant, name, version, master key id)

Tenant, name and version are authenticated, so a row that is put in another's place does not open (NIST SP 800-38D).
Rotation wraps the data keys anew and leaves the ciphertexts as they are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.config.secret import Secret
from gateway.stores.secrets import MasterKeyMissing, SecretUnreadable

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class MasterKey:
    """A key that wraps others. It shows nothing of itself but its id, a fingerprint."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"switchgear master key id\0" + key).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"

    def encrypt(self, data: bytes, bound_to: bytes) -> bytes:
        """Wrap a data key: nonce and ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, bound_to)

    def decrypt(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """Unwrap a data key. Raises InvalidTag."""
        return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound_to)


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An encrypted secret. `master_key` is the id of the key that wraps its data key."""

    tenant: str
    name: str
    version: int
    master_key: str
    wrapped: bytes
    ciphertext: bytes


class SecretCipher:
    """Seals with the present master key, and opens with it or one of the old ones."""

    def __init__(self, present: MasterKey, old: Iterable[MasterKey] = ()) -> None:
        self.present = present
        self._keys = {key.id: key for key in (*old, present)}

    def seal(self, value: str, *, tenant: str, name: str, version: int) -> Sealed:
        """Encrypt a value under a new data key."""
        data_key, nonce = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        bound_to = _bound("value", tenant, name, version)
        return Sealed(
            tenant=tenant,
            name=name,
            version=version,
            master_key=self.present.id,
            wrapped=self.present.encrypt(data_key, _bound("key", tenant, name, version, self.present.id)),
            ciphertext=nonce + AESGCM(data_key).encrypt(nonce, value.encode(), bound_to),
        )

    def open(self, sealed: Sealed) -> str:
        """Decrypt a value. Raises SecretUnreadable."""
        data_key = self._unwrap(sealed)
        nonce, ciphertext = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        bound_to = _bound("value", sealed.tenant, sealed.name, sealed.version)
        try:
            return AESGCM(data_key).decrypt(nonce, ciphertext, bound_to).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable(f"the secret {sealed.name} was changed in the database, or is another's") from None

    def rewrap(self, sealed: Sealed) -> Sealed:
        """Wrap the data key with the present master key. Raises SecretUnreadable."""
        data_key = self._unwrap(sealed)
        bound_to = _bound("key", sealed.tenant, sealed.name, sealed.version, self.present.id)
        wrapped = self.present.encrypt(data_key, bound_to)
        return msgspec.structs.replace(sealed, master_key=self.present.id, wrapped=wrapped)

    def _unwrap(self, sealed: Sealed) -> bytes:
        master = self._keys.get(sealed.master_key)
        if master is None:
            message = (
                f"the secret {sealed.name} was encrypted with master key {sealed.master_key}, which is not configured"
            )
            raise SecretUnreadable(message)
        bound_to = _bound("key", sealed.tenant, sealed.name, sealed.version, master.id)
        try:
            data_key = master.decrypt(sealed.wrapped, bound_to)
        except (InvalidTag, ValueError):
            raise SecretUnreadable(f"the secret {sealed.name} was changed in the database, or is another's") from None
        return data_key


def open_cipher(master_key: Secret | None, old: Iterable[Secret] = ()) -> SecretCipher:
    """Give the cipher of the settings `secrets.master_key` and `secrets.old_master_keys`. Raises MasterKeyMissing."""
    if master_key is None:
        raise MasterKeyMissing("secrets in the database need secrets.master_key: 32 random bytes in base64")
    return SecretCipher(_master_key(master_key), [_master_key(key) for key in old])


def _master_key(secret: Secret) -> MasterKey:
    try:
        key = base64.b64decode(secret.reveal().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise MasterKeyMissing(f"the master key from {secret.source} is not {_KEY_BYTES} bytes in base64")
    return MasterKey(key)


def _bound(*parts: str | int) -> bytes:
    """Encode associated data so that no two lists of parts are the same bytes."""
    return json.dumps(["switchgear secret", *parts], ensure_ascii=True, separators=(",", ":")).encode()
