"""What a virtual key is made of: its text, its checksum, the keyed hash that is stored, the prefix that may be shown.

Pure. It neither stores nor looks up keys; the pepper is handed in.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from collections.abc import Callable
from typing import Final

KEY_PREFIX: Final = "sk-sg-"
DIGEST_BYTES: Final = 32

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 40  # 238 bits
_CHECKSUM: Final = 6
_LENGTH: Final = len(KEY_PREFIX) + _RANDOM + _CHECKSUM
_SHOWN: Final = len(KEY_PREFIX) + 4
_CHARACTERS: Final = frozenset(_ALPHABET.encode("ascii"))


def make_key(choose: Callable[[str], str] = secrets.choice) -> str:
    """Make a key: `sk-sg-`, 40 random letters and digits, and 6 of a checksum, so that a double click selects all of it.

    `choose` picks one character of an alphabet and must be unpredictable.
    """
    body = KEY_PREFIX + "".join(choose(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body.encode("ascii"))


def is_well_formed(key: bytes) -> bool:
    """Whether `key` has the form of a virtual key and its checksum fits: a typo or a cut copy does not.

    It says nothing of whether the key is known. Secret scanners can do the same: the checksum is the CRC-32 (ISO 3309) of all
    characters before it, in base 62 with the digits 0-9A-Za-z.
    """
    if len(key) != _LENGTH or not has_key_prefix(key) or not _CHARACTERS.issuperset(key[len(KEY_PREFIX) :]):
        return False
    return _checksum(key[:-_CHECKSUM]).encode("ascii") == key[-_CHECKSUM:]


def has_key_prefix(key: bytes) -> bool:
    """Whether `key` claims to be a virtual key."""
    return key.startswith(b"sk-sg-")


def digest_key(key: bytes, pepper: bytes) -> bytes:
    """Give the 32 bytes under which a key is stored: BLAKE2b keyed with the pepper (RFC 7693), of 16 to 64 bytes.

    A fast hash is enough: a key has 238 random bits, so that there is nothing to try out. The pepper keeps whoever reads
    the database from telling whether a key that he found elsewhere is in it.
    """
    return hashlib.blake2b(key, digest_size=DIGEST_BYTES, key=pepper).digest()


def shown_prefix(key: str) -> str:
    """Give what of a key may be shown and stored in clear: `sk-sg-` and four characters."""
    return key[:_SHOWN]


def _checksum(text: bytes) -> str:
    rest, digits = zlib.crc32(text), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
