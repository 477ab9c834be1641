"""The text of a template, taken apart: what is written, and where a value goes. Pure; it has no conditions, no loops, and no code."""

import re
from typing import Final

import msgspec

_BRACES: Final = re.compile(r"\{\{([^{}\n]*)\}\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Placeholder(msgspec.Struct, frozen=True):
    """Where the value of a variable goes."""

    name: str


class BadPlaceholder(ValueError):
    """Something in two braces that is no name."""


Piece = str | Placeholder


def pieces_of(text: str) -> tuple[Piece, ...]:
    """Give a text's pieces, in order. Raises BadPlaceholder for `{{…}}` with anything but a name in it.

    A single brace, and two that are not closed on their line, are text.
    """
    found: list[Piece] = []
    end = 0
    for match in _BRACES.finditer(text):
        name = match[1].strip(" \t")
        if not _NAME.fullmatch(name):
            raise BadPlaceholder(match[0][:80])
        if match.start() > end:
            found.append(text[end : match.start()])
        found.append(Placeholder(name))
        end = match.end()
    if end < len(text):
        found.append(text[end:])
    return tuple(found)
