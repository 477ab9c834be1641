"""Text as detectors read it: look-alike digits, dots and spaces made plain, invisible characters gone; and the way back.

Source: Unicode Technical Report 36 (2.2, visual spoofing) and UAX 15 (NFKC). The original text is never changed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

_HIDDEN_CATEGORIES: Final = frozenset({"Cf", "Me", "Mn"})
_LOOKALIKES: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\u2043\u30fc", "-"),
    **dict.fromkeys("\u3002\u00b7\u2022\u2219\u22c5\u06d4\u0701\u0702\uff61", "."),
    **dict.fromkeys("\u2044\u2215\u29f8", "/"),
    **dict.fromkeys("\u02d0\ua789\u2236\u05c3", ":"),
    "\u2028": "\n",
    "\u2029": "\n",
    "\u0085": "\n",
}
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class Plain(NamedTuple):
    """`text` as detectors read it. `origins` gives, for each of its characters, the index in the original; None: the same."""

    text: str
    origins: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the place in the original of `text[start:end]`, which is not empty."""
        if self.origins is None:
            return start, end
        return self.origins[start], self.origins[end - 1] + 1


def plain(text: str) -> Plain:
    """Make a text plain. The cost is that of one pass over its characters beyond ASCII."""
    if text.isascii():
        return Plain(text, None)
    table = {char: _plain_char(char) for char in set(_BEYOND_ASCII.findall(text))}
    if all(char == said for char, said in table.items()):
        return Plain(text, None)
    translated = text.translate({ord(char): said for char, said in table.items()})
    hidden = {char for char, said in table.items() if not said}
    if not hidden:
        return Plain(translated, None)
    return Plain(translated, [index for index, char in enumerate(text) if char not in hidden])


@lru_cache(maxsize=4096)
def _plain_char(char: str) -> str:
    """Give what a character stands for: one character, or none where it cannot be seen."""
    known = _LOOKALIKES.get(char)
    if known is not None:
        return known
    if unicodedata.category(char) in _HIDDEN_CATEGORIES:
        return ""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) == "Zs":
        return " "
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 and folded.isascii() else char
