"""What is no text although it stands where texts stand: base64, and the seals of reasoning that its maker must get back as it was.

Both are told by their form and their place, never by the name of a field alone: "signature" is also the end of a letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SHORTEST_BASE64: Final = 512
_BASE64: Final = re.compile(r"(?:data:[\w.+/-]{1,100};base64,)?[0-9A-Za-z+/\r\n]{512,}={0,2}[\r\n]*")
_LINES: Final = frozenset({64, 76})
"""Lengths of lines in PEM (RFC 7468) and MIME (RFC 2045)."""
_FIELDS: Final = frozenset({"signature", "encrypted_content"})
_SEALED_TYPES: Final = frozenset(
    {"thinking", "reasoning", "reasoning.text", "reasoning.encrypted", "compaction", "web_search_result"}
)
_SEAL: Final = re.compile(r"[0-9A-Za-z+/=_.-]*")


def is_base64(text: str) -> bool:
    """Whether a text is long base64: in one line, or in lines as PEM and MIME have them; so no column of numbers is."""
    if len(text) < SHORTEST_BASE64 or not _BASE64.fullmatch(text):
        return False
    lines = text.split()
    return len(lines) == 1 or (len(lines[0]) in _LINES and all(len(line) == len(lines[0]) for line in lines[1:-1]))


def is_sealed(fields: Mapping[str, object], name: str) -> bool:
    """Whether the field `name` of a JSON object holds what only its maker can read: a signature, a cipher."""
    value = fields[name]
    kind = fields.get("type")
    return (
        name in _FIELDS
        and isinstance(kind, str)
        and kind in _SEALED_TYPES
        and isinstance(value, str)
        and _SEAL.fullmatch(value) is not None
    )
