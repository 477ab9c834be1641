r"""Text as detectors read it, also with the escapes of JSON undone: "ada\u0040example.com" is an address to whoever parses it.

Arguments of tools that are no sound document, documents with a name twice, documents within documents: nobody knows how often
a reader will undo them, so both readings count. The original is never changed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final, NamedTuple

from gateway.protection.plain_text import Plain, plain

# However many backslashes: each document around a document doubles them.
_ESCAPE: Final = re.compile(r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|([bfnrt/]))")
_NAMED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/"}


class Unescaped(NamedTuple):
    """A text without its escapes. They stood before `places`, and made the original longer by `growth`, summed up."""

    readable: Plain
    places: list[int]
    growth: list[int]

    @property
    def text(self) -> str:
        """The text as detectors read it."""
        return self.readable.text

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the place in the original of `text[start:end]`, which is not empty."""
        start, end = self.readable.span(start, end)
        return self._original(start), self._original(end)

    def _original(self, index: int) -> int:
        return index + self.growth[bisect_left(self.places, index)]


def readings(text: str) -> tuple[Plain | Unescaped, ...]:
    """Give the text made plain, and once more with its escapes undone where it has any. The cost is linear."""
    first = plain(text)
    if "\\" not in text or _ESCAPE.search(text) is None:
        return (first,)
    return (first, _unescaped(text))


def _unescaped(text: str) -> Unescaped:
    pieces: list[str] = []
    places: list[int] = []
    growth = [0]
    done = size = 0
    for match in _ESCAPE.finditer(text):
        pieces += (text[done : match.start()], _said(match))
        size += match.start() - done
        places.append(size)
        size += 1
        done = match.end()
        growth.append(done - size)
    pieces.append(text[done:])
    return Unescaped(plain("".join(pieces)), places, growth)


def _said(match: re.Match[str]) -> str:
    if match[2]:
        return _NAMED[match[2]]
    code = int(match[1], 16)
    # Half of a pair beyond the basic plane: nothing that is looked for has any.
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
