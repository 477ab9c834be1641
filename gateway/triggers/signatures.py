"""Whether a request to a trigger comes from whom it should, and is new: bearer tokens and signatures. Pure.

Signatures are those of the Standard Webhooks specification: `webhook-id`, `webhook-timestamp` (whole seconds since 1970) and `webhook-signature`,
which lists `v1,` and the base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY", the body as it came.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

_ID: Final = re.compile(rb"[!-~]{1,200}\Z")
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}\Z")
_MOST_SIGNATURES: Final = 16
_LONGEST: Final = 4096


def sign(body: bytes, identifier: bytes, timestamp: bytes, *, key: bytes) -> bytes:
    """Give the signature of a body, as the header has it."""
    mac = hmac.new(key, identifier + b"." + timestamp + b"." + body, hashlib.sha256)
    return b"v1," + base64.b64encode(mac.digest())


def signed_id(headers: Mapping[bytes, bytes], body: bytes, *, key: bytes, window: float, now: float) -> str | None:
    """Give the id of a request that was signed with the key within the window; None for any other. Junk is not signed."""
    identifier = headers.get(b"webhook-id", b"")
    timestamp = headers.get(b"webhook-timestamp", b"")
    given = headers.get(b"webhook-signature", b"")
    if not _ID.match(identifier) or not _TIMESTAMP.match(timestamp) or len(given) > _LONGEST:
        return None
    if abs(now - int(timestamp)) > window:
        return None
    expected = sign(body, identifier, timestamp, key=key)
    # All are compared, and each in constant time: how long this takes tells nothing.
    matches = [hmac.compare_digest(expected, one) for one in given.split()[:_MOST_SIGNATURES]]
    return identifier.decode("ascii") if any(matches) else None


def is_bearer(headers: Mapping[bytes, bytes], *, token: str) -> bool:
    """Whether a request carries the token."""
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer":
        return False
    # Hashed first: then not even the token's length shows in the time.
    return hmac.compare_digest(hashlib.sha256(given.strip()).digest(), hashlib.sha256(token.encode()).digest())
