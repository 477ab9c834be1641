"""Finds what is made of digits alone: cards, national ids, phone numbers. Which digits can be one is said elsewhere.

A number is judged by its shape (how it is grouped) first. A shape that anything may have, such as nine bare digits, counts
only near a word that says what it is. One pass over the text; every step is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.protection.cards import is_card
from gateway.protection.finding import Finding
from gateway.protection.national_ids import CHECKS
from gateway.protection.phones import before, national_phone

# Digits without spaces, eight characters at least.
_TIGHT: Final = re.compile(
    r"[0-9](?<![0-9A-Za-z_][0-9])(?<![0-9][.,][0-9])(?=[0-9./-]{7})[0-9]*+(?:[-./][0-9]++)*+(?![0-9A-Za-z_])"
)
# Groups of digits with spaces between them. Only the first may have a single digit: rows of those are tables.
_ROW: Final = re.compile(
    r"[0-9](?<![0-9A-Za-z_][0-9])(?<![0-9][.,][0-9])[0-9]{0,8}(?: {1,2}+[0-9]{2,9}+(?![0-9A-Za-z_]|[-./][0-9]))++"
)
_GROUP: Final = re.compile(r"[0-9]+")
_TO_SHAPE: Final = str.maketrans("123456789", "000000000")
_LONGEST_TIGHT: Final = 32
_MOST_PHONE_GROUPS: Final = 6
_LONGEST_PHONE: Final = 24


class Shape(NamedTuple):
    """A kind that has this shape. `words`: what must stand before it, when the shape alone says too little."""

    kind: str
    words: tuple[str, ...] = ()


_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "us_ssn": ("ssn", "social security", "social-security", "social_security"),
    "de_tax_id": ("steuer", "idnr", "id-nr", "tax id", "tax_id", "tin"),
    "nl_bsn": ("bsn", "burgerservice", "sofinummer", "citizen service"),
    "pl_pesel": ("pesel",),
    "be_national_number": ("rijksregister", "registre national", "national number", "insz", "niss", "numéro national"),
    "se_personnummer": ("personnummer", "personal number", "samordningsnummer", "pnr"),
    "br_cpf": ("cpf",),
    "br_cnpj": ("cnpj",),
    "in_aadhaar": ("aadhaar", "aadhar", "uidai", "आधार"),
    "fr_nir": ("nir", "sécurité sociale", "securite sociale", "sécu", "insee"),
}


def _worded(*kinds: str) -> tuple[Shape, ...]:
    return tuple(Shape(kind, _WORDS[kind]) for kind in kinds)


_SHAPES: Final[dict[str, tuple[Shape, ...]]] = {
    "000-00-0000": (Shape("us_ssn"),),
    "000000000": _worded("us_ssn", "nl_bsn"),
    "0000.00.000": (Shape("nl_bsn"),),
    "00000000000": _worded("de_tax_id", "pl_pesel", "br_cpf", "be_national_number"),
    "000.000.000-00": (Shape("br_cpf"),),
    "00.000.000/0000-00": (Shape("br_cnpj"),),
    "00000000000000": _worded("br_cnpj"),
    "00.00.00-000.00": (Shape("be_national_number"),),
    "000000-0000": (Shape("se_personnummer"),),
    "00000000-0000": (Shape("se_personnummer"),),
    "0000000000": _worded("se_personnummer"),
    "000000000000": _worded("se_personnummer", "in_aadhaar"),
    "0000-0000-0000": (Shape("in_aadhaar"),),
    "756.0000.0000.00": (Shape("ch_ahv"),),
    "000.0000.0000.00": (Shape("ch_ahv"),),
    "0000000000000": (Shape("ch_ahv"),),
    "000000000000000": _worded("fr_nir"),
}
_SPACED: Final[dict[tuple[int, ...], tuple[Shape, ...]]] = {
    (3, 2, 4): _worded("us_ssn"),
    (2, 3, 3, 3): _worded("de_tax_id"),
    (4, 4, 4): (Shape("in_aadhaar"),),
    (3, 4, 4, 2): (Shape("ch_ahv"),),
    (1, 2, 2, 2, 3, 3, 2): (Shape("fr_nir"),),
    (3, 3, 3): _worded("nl_bsn"),
}
_CARD_GROUPS: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 5), (5, 5, 5)})


def _written(grouping: tuple[int, ...]) -> str:
    return "".join(map(str, grouping))


# Where known groupings begin in the lengths of a row of groups, written as digits: rows may be as long as a text.
_GROUPINGS: Final = re.compile("(?=" + "|".join(map(_written, _CARD_GROUPS | _SPACED.keys())) + ")")
_BY_LENGTH: Final = tuple(
    (_written(grouping), grouping) for grouping in sorted(_CARD_GROUPS | _SPACED.keys(), key=len, reverse=True)
)
_CARD_SHAPE: Final = re.compile(r"[0-9]{13,19}|[0-9]{4}(?:-[0-9]{3,6}){2,4}|[0-9]{4}(?:\.[0-9]{3,6}){2,4}")


class _Group(NamedTuple):
    text: str
    start: int
    end: int


def numbers(text: str, key: str) -> Iterator[Finding]:
    """Find numbers in plain text. `key` is the name under which the text stood, if any ("bsn"): it counts as a word before it."""
    for match in _TIGHT.finditer(text):
        if match.end() - match.start() <= _LONGEST_TIGHT:
            yield from _tight(text, key, _Group(match[0], match.start(), match.end()))
    for match in _ROW.finditer(text):
        row = [group.span() for group in _GROUP.finditer(text, *match.span())]
        yield from _spaced(text, key, row)


def _tight(text: str, key: str, token: _Group) -> Iterator[Finding]:
    """Judge digits with no space in them."""
    if _CARD_SHAPE.fullmatch(token.text) and is_card(_digits(token.text)):
        yield Finding("card", token.start, token.end)
        return
    last = text[max(0, token.start - 2) : token.start]
    glued = len(last) == 2 and last[1] in "-./" and last[0].isalnum()
    if glued and token.text.isdigit():
        return
    for kind, words in _SHAPES.get(token.text.translate(_TO_SHAPE), ()):
        if CHECKS[kind](_digits(token.text)) and _said(words, text, key, token.start):
            yield Finding(kind, token.start, token.end)
            return
    bracketed = text[token.end : token.end + 1] == ")"  # what follows is the pattern's business that knows brackets
    if not bracketed and national_phone(token.text, text, key, token.start):
        yield Finding("phone", token.start, token.end)


def _spaced(text: str, key: str, row: list[tuple[int, int]]) -> Iterator[Finding]:
    """Judge a row of groups: a telephone number that it begins with, and every stretch of it that has a known grouping."""
    lengths = "".join([str(end - start) for start, end in row])
    taken = _phone(text, key, row)
    if taken:
        yield Finding("phone", row[0][0], row[taken - 1][1])
    for match in _GROUPINGS.finditer(lengths):
        first = match.start()
        if first < taken:
            continue
        for written, grouping in _BY_LENGTH:
            if lengths.startswith(written, first):
                groups = row[first : first + len(grouping)]
                kind = _grouped(text, key, groups, grouping)
                if kind is not None:
                    taken = first + len(grouping)
                    yield Finding(kind, groups[0][0], groups[-1][1])
                    break


def _grouped(text: str, key: str, groups: list[tuple[int, int]], grouping: tuple[int, ...]) -> str | None:
    """Give the kind of groups of a known grouping, if their digits are right."""
    digits = "".join([text[start:end] for start, end in groups])
    if grouping in _CARD_GROUPS and is_card(digits):
        return "card"
    for kind, words in _SPACED.get(grouping, ()):
        if CHECKS[kind](digits) and _said(words, text, key, groups[0][0]):
            return kind
    return None


def _phone(text: str, key: str, row: list[tuple[int, int]]) -> int:
    """Give of how many groups, from the first, a telephone number is made; 0 for none. No other digits are before one."""
    start = row[0][0]
    for size in range(min(len(row), _MOST_PHONE_GROUPS), 1, -1):
        written = text[start : row[size - 1][1]]
        if 8 <= len(written) <= _LONGEST_PHONE and national_phone(written, text, key, start):
            return size
    return 0


def _digits(text: str) -> str:
    return text if text.isdigit() else "".join(char for char in text if char.isdigit())


def _said(words: tuple[str, ...], text: str, key: str, start: int) -> bool:
    """Whether one of the words stands before; without words, nothing needs to."""
    if not words:
        return True
    context = before(text, key, start)
    return any(word in context for word in words)
