"""Whether a request is Slack's, and new: the check of its signature. Pure.

Source: Slack's "Verifying requests from Slack": v0=HMAC-SHA256 of "v0:TIMESTAMP:BODY", the body as it came.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

WINDOW: Final = 300.0
"""Seconds that a request may be old, or ahead of this machine's clock."""

_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}\Z")


def is_slacks(body: bytes, timestamp: bytes, signature: bytes, *, secret: str, now: float) -> bool:
    """Tell whether the body was signed with the app's secret within the last five minutes. Junk is not."""
    if not _TIMESTAMP.match(timestamp) or abs(now - int(timestamp)) > WINDOW:
        return False
    return hmac.compare_digest(sign(body, timestamp, secret=secret), signature)


def sign(body: bytes, timestamp: bytes, *, secret: str) -> bytes:
    """Give the signature of a body at a time."""
    mac = hmac.new(secret.encode(), b"v0:" + timestamp + b":" + body, sha256)
    return b"v0=" + mac.hexdigest().encode()
