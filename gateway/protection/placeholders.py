"""Placeholders: what stands for a value while a call is with somebody who must not see it. Lives as long as the call.

`⟦EMAIL_1⟧` is short, is no word of any language, and models copy it whole. The same value gets the same placeholder, numbered
in order of appearance, so that a conversation that grows gives the same text again (and prompt caches go on working).
"""

from __future__ import annotations

import re
from typing import Final

OPEN: Final = "⟦"
CLOSE: Final = "⟧"
LITERAL: Final = "literal"
_ESCAPED_OPEN: Final = r"\\u27[eE]6"
_ESCAPED_CLOSE: Final = r"\\u27[eE]7"
LOOKS_LIKE_ONE: Final = re.compile(
    rf"(?:{OPEN}|{_ESCAPED_OPEN})[A-Z][A-Z0-9_]{{0,30}}_[0-9]{{1,7}}(?:{CLOSE}|{_ESCAPED_CLOSE})"
)
"""What could be taken for a placeholder, also as JSON may write it. In what a user wrote, it is text, and gets a placeholder."""


class Placeholders:
    """The placeholders of one call, both ways."""

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self.values: dict[str, str] = {}
        self.longest = 0

    def place(self, kind: str, value: str) -> str:
        """Give the placeholder that stands for `value`."""
        known = self._by_value.get((kind, value))
        if known is not None:
            return known
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        placeholder = f"{OPEN}{kind.upper()}_{number}{CLOSE}"
        self._by_value[kind, value] = placeholder
        self.values[placeholder] = value
        self.longest = max(self.longest, len(placeholder))
        return placeholder

    def is_beginning(self, text: str) -> bool:
        """Whether a placeholder of this call begins with `text`, and is not complete with it."""
        return len(text) < self.longest and any(
            known.startswith(text) and len(known) > len(text) for known in self.values
        )
