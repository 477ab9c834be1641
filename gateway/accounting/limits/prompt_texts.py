"""What there is to count in a request: its texts, its pictures, its numbers. Whichever dialect it is in."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.core.items import Json

PICTURE_TOKENS = 765
"""OpenAI's figure for 1024 x 1024 in high detail."""
LONGEST_WORD = 8192
"""A text without a space in so many characters is no text: base64, or a data: address."""


class Counted(msgspec.Struct, frozen=True):
    """`numbers` are token ids, and whatever else is no text."""

    texts: list[str]
    pictures: int
    numbers: int


def texts_of(fields: Mapping[str, Json]) -> Counted:
    """Find them, in no order."""
    texts: list[str] = []
    pictures = numbers = 0
    waiting: list[Json] = [value for name, value in fields.items() if name != "model"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if len(value) > LONGEST_WORD and value.isascii() and " " not in value[:LONGEST_WORD]:
                pictures += 1
            else:
                texts.append(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            numbers += 1
    return Counted(texts, pictures, numbers)
