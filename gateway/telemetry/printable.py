"""Makes text that others chose safe to show: nothing in it drives a terminal, ends a line of a log, or turns its writing around.

Names of models and ids come from requests and tokens, and end up before an operator's eyes. It shortens and judges nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

_HARMFUL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Give a text with each such character as the escape that JSON has for it."""
    return _HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable_json(line: bytes) -> bytes:
    """Give a JSON document of one line with each such character escaped; what it means stays the same."""
    return line if line.isascii() and b"\x7f" not in line else printable(line.decode()).encode()


def printable_fields(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor: give an event whose texts are printable. (Lists and mappings are shown by `repr`.)"""
    del logger, method
    return {
        name: printable(value) if isinstance(value, str) and name not in _OWN else value
        for name, value in event.items()
    }


_OWN: Final = frozenset({"event", "exception", "level", "stack"})
"""What comes from the program itself, tracebacks with their lines among them."""
