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

_TOKEN: Final = re.compile(r"[0-9](?<![0-9A-Za-z_][0-9])(?<![0-9][.,][0-9])[0-9]*+(?:[-./][0-9]++)*+(?![0-9A-Za-z_])")
_TO_SHAPE: Final = str.maketrans("123456789", "000000000")
_SHORTEST_TOKEN: Final = 8
_LONGEST_TOKEN: Final = 32
_MOST_GROUPS: Final = 7


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
_GROUPINGS: Final = _CARD_GROUPS | _SPACED.keys()
_BEGINNINGS: Final = frozenset(grouping[:2] for grouping in _GROUPINGS) | {(3, 3), (1, 3)}
_CARD_SHAPE: Final = re.compile(r"[0-9]{13,19}|[0-9]{4}(?:-[0-9]{3,6}){2,4}|[0-9]{4}(?:\.[0-9]{3,6}){2,4}")


class _Token(NamedTuple):
    text: str
    start: int
    end: int


def numbers(text: str, key: str) -> Iterator[Finding]:
    """Find numbers in plain text. `key` is the name under which the text stood, if any ("bsn"): it counts as a word before it."""
    run: list[_Token] = []
    for match in _TOKEN.finditer(text):
        token = _Token(match[0], match.start(), match.end())
        if run and not _follows(text, run[-1], token):
            yield from _spaced(text, key, run)
            run = []
        if _SHORTEST_TOKEN <= len(token.text) <= _LONGEST_TOKEN:
            yield from _tight(text, key, token)
        if token.text.isdigit():
            run.append(token)
        elif run:
            yield from _spaced(text, key, run)
            run = []
    yield from _spaced(text, key, run)


def _follows(text: str, before: _Token, token: _Token) -> bool:
    """Whether only a space or two, or a bracket, is between two groups of digits."""
    return token.start - before.end <= 2 and not text[before.end : token.start].strip(" )")


def _tight(text: str, key: str, token: _Token) -> Iterator[Finding]:
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


def _spaced(text: str, key: str, run: list[_Token]) -> Iterator[Finding]:
    """Judge groups of digits with spaces between them: every window of groups that has a known grouping."""
    lengths = [token.end - token.start for token in run]
    first = 0
    while first < len(run) - 1:
        size = 0
        if _may_begin(lengths[first], lengths[first + 1], run[first].text):
            kind, size = _window(text, key, run[first : first + _MOST_GROUPS], lengths[first : first + _MOST_GROUPS])
        if size:
            yield Finding(kind, run[first].start, run[first + size - 1].end)
        first += size or 1


def _may_begin(length: int, following: int, digits: str) -> bool:
    """Whether something known begins with groups of these lengths; cheap, because tables are full of numbers."""
    return (length, following) in _BEGINNINGS or (digits[0] == "0" and following > 1)


def _window(text: str, key: str, groups: list[_Token], lengths: list[int]) -> tuple[str, int]:
    """Give kind and number of groups of what begins with the first group, the longest first; 0 groups when nothing does."""
    for size in range(len(groups), 1, -1):
        grouping = tuple(lengths[:size])
        if grouping in _GROUPINGS:
            digits = "".join([token.text for token in groups[:size]])
            if grouping in _CARD_GROUPS and is_card(digits):
                return "card", size
            for kind, words in _SPACED.get(grouping, ()):
                if CHECKS[kind](digits) and _said(words, text, key, groups[0].start):
                    return kind, size
        if 8 <= sum(grouping) <= 12:
            spaced = text[groups[0].start : groups[size - 1].end]
            if national_phone(spaced, text, key, groups[0].start):
                return "phone", size
    return "", 0


def _digits(text: str) -> str:
    return text if text.isdigit() else "".join(char for char in text if char.isdigit())


def _said(words: tuple[str, ...], text: str, key: str, start: int) -> bool:
    """Whether one of the words stands before; without words, nothing needs to."""
    if not words:
        return True
    context = before(text, key, start)
    return any(word in context for word in words)
