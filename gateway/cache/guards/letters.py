"""Letters: case and white space, where they carry meaning. A text in chatty lower case is not told from one with capitals; polish is told from Polish."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from gateway.cache.guards.lexicon import lexicon

_HOMOGRAPHS = Path(__file__).with_name("homographs.txt")
_COMMON = frozenset({"verbs", "nouns", "adjectives", "ambiguous"})
# In lower case they are the same abbreviation still, and nobody asks of the other word.
_CHATTY = frozenset(["ram", "pin", "vat", "api", "cab", "map", "url", "faq", "gps", "bus", "sim", "pc", "tv", "id", "os", "sql", "atm", "cv", "hr", "pr", "ip", "usb", "gpa", "earth", "mars", "venus", "saturn", "jupiter", "moon", "sun"])  # fmt: skip
_SPOKEN = re.compile(r"(?P<number>\d[\d.,]{0,15})?(?P<word>[^\W\d_]+)(?P<id>\d?)")
# Any of these may be what another is; a text in capitals, or a word that begins a sentence, says nothing of its case.
_ANY, _FIRST, _LOWER, _CAPITAL, _UPPER = "any", "first", "lower", "capital", "upper"
_BITS = re.compile(r"[kmgtp]i?b(?:ps|s)?|[kmgtp]i?bit", re.IGNORECASE)
# Units that are others with another case: 5 mW, 5 MW; what is not here is written in any case.
_EXACT_UNITS = frozenset(["mm", "mw", "mg", "ms", "mv", "ma", "mj", "mpa", "pa", "ps", "nm", "pm", "mah", "mwh", "ml", "mol", "gy", "sv", "mgal", "cal", "kcal", "mn", "mt", "ph", "pw", "pg", "pf", "mf", "mol", "ev", "mev", "pev", "nf", "da", "dag"])  # fmt: skip
_LARGE_TOO = re.compile(r"mhz|mohm|mbar", re.IGNORECASE)
_EITHER_CASE = frozenset("kcflhwv")
_LETTERS_IN_NAMES = frozenset(["vitamin", "vitamins", "hepatitis", "in", "to", "using", "with", "for", "plan"])
_LONGEST_ABBREVIATION = 5
_MANY_LINES = 3
_RUN_OF_SPACE = re.compile(r"(?<![.!?:,])[^\S\n]{2,}")

Written = Mapping[str, frozenset[str]]


def written(text: str) -> Written:
    """Give how the words are written whose case may carry a meaning, by the word in lower case."""
    chunks = text.split()
    shouted, titled = text.isupper(), _titled(chunks)
    found: dict[str, set[str]] = {}
    first, before = True, ""
    for chunk in chunks:
        for part in _SPOKEN.finditer(chunk):
            word, number = part["word"], part["number"] or (before if before[:1].isdigit() else "")
            shape = _shape(word, number, before, free=shouted, titled=titled, first=first)
            if shape and not part["id"]:
                found.setdefault(word.casefold(), set()).add(shape)
            first = False
            before = word.casefold()
        if chunk[-1:].isdigit():
            before = chunk
        first = chunk.rstrip("\"')]}")[-1:] in set(".!?;:") or (first and not chunk[0].isalnum())
    return {word: frozenset(shapes) for word, shapes in found.items()}


def told_apart(asked: Written, kept: Written) -> bool:
    """Tell whether a word is written here and there in two ways that mean two things."""
    if asked == kept:
        return False
    for letter in ("a", *(asked.keys() ^ kept.keys())):
        if len(letter) == 1 and asked.get(letter) != kept.get(letter):
            return letter == "a" or bool(asked.get(letter) and kept.get(letter))
    return any(not _alike(shapes, kept[word]) for word, shapes in asked.items() if word in kept)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    if one == other or _ANY in one or _ANY in other:
        return True
    free = [_FIRST in shapes for shapes in (one, other)]
    sure = [shapes - {_FIRST} for shapes in (one, other)]
    if sure[0] == sure[1]:
        return True
    return any(free[side] and not sure[side] and sure[1 - side] <= {_LOWER, _CAPITAL} for side in (0, 1))


def _titled(chunks: list[str]) -> bool:
    """Tell whether most words that may begin with a small letter begin with a capital: How To Train Your Dragon."""
    inner = [chunk for chunk in chunks[1:] if len(chunk) > 3 and chunk.isalpha()]
    return (
        len(inner) > 1
        and sum(chunk[0].isupper() for chunk in inner) * 3 > len(inner) * 2
        and any(chunk[0].isupper() and chunk.casefold() in _watched() for chunk in inner)
        and len(inner) > 2
    )


def _shape(word: str, number: str, before: str, *, free: bool, titled: bool, first: bool) -> str:
    folded = word.casefold()
    if unit := _unit(word, folded, number, before):
        return unit
    if len(word) == 1:
        return _letter(word, number, before, free=free or titled, first=first)
    if folded not in _watched():
        return ""
    if free or word.islower():
        return _ANY if free else _LOWER
    if word.isupper():
        return _UPPER if len(word) <= _LONGEST_ABBREVIATION else _ANY
    if first:
        return _FIRST
    return _ANY if titled else _CAPITAL


def _letter(word: str, number: str, before: str, *, free: bool, first: bool) -> str:
    """A letter by itself: the grade A, a variable. The article and the pronoun are none."""
    folded = word.casefold()
    if folded == "i" or before in _LETTERS_IN_NAMES or (number and folded in _EITHER_CASE):
        return ""
    if folded == "a":
        return "A" if word == "A" and not first and not free else ""
    return "" if folded in "stdm" and not number and not before else word


def _unit(word: str, folded: str, number: str, before: str) -> str:
    """Give what a unit is whose case says which."""
    if _BITS.fullmatch(folded):
        if "bit" in folded:
            return ""
        rate = folded.endswith("ps")
        bits = "B" not in word if rate else word[0].isupper() and "b" in word
        return "bits" if bits else "bytes"
    if _LARGE_TOO.match(folded):
        return "milli" if word[0] == "m" and not word.islower() else "mega"
    if folded in _EXACT_UNITS and (number or before in {"in", "to", "and", "a", "an", "of", "between"}):
        return (
            ""
            if folded in {"pm", "ml", "ms", "cal", "kcal", "mg", "da", "ph"} and word in {folded, "PM", "mL"}
            else word
        )
    return ""


@functools.cache
def _watched() -> frozenset[str]:
    """Give the common words that may be something else in capitals."""
    lines = _HOMOGRAPHS.read_text(encoding="utf-8").splitlines()
    listed = {word for line in lines if not line.startswith("//") for word in line.split()}
    common = {word for word, kinds in lexicon().kinds.items() if not kinds.isdisjoint(_COMMON)}
    return frozenset((listed | common) - _CHATTY)


def layout(text: str, *, literal: bool) -> tuple[str, ...]:
    """Give the white space that counts: indentation, tabs, blanks within the lines of a text of several, breaks of many lines or of code."""
    body = text.rstrip().strip("\n")
    lines = [line.rstrip() for line in body.split("\n") if line.strip()]
    several = len(lines) > 1
    found: list[str] = []
    for number, line in enumerate(lines):
        inner = line.lstrip()
        spaces = [line[: len(line) - len(inner)]] if several else []
        if several or literal or "\t" in inner:
            spaces += _RUN_OF_SPACE.findall(inner) + ["\t"] * inner.count("\t")
        found.extend(f"{number}:{space}" for space in spaces if space)
    if several and (literal or found or len(lines) >= _MANY_LINES):
        found.extend(str(len(line.split())) for line in lines)
    return tuple(found)
