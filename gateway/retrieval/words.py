"""The words of a text, as an index knows them: in any script, without case and without the accents of Latin, Greek and Cyrillic. Pure.

Scripts that put no spaces between words (Han, Kana, Thai, Lao, Khmer, Burmese) are cut into pairs of characters, which find what a
dictionary would, and some more. There is no stemming: `restart` does not find `restarts`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

LONGEST: Final = 64
"""Characters of a word that are looked at."""
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_ASCII_WORD: Final = re.compile(r"[a-z0-9]+")
_CASE: Final = re.compile(r"([a-z0-9])([A-Z])")


def words(text: str) -> list[str]:
    """Give the words of a text in their order, each as often as it stands there. `KubePodCrashing` is one word, and three."""
    found: list[str] = []
    parted = _CASE.sub(r"\1 \2", text)
    for spelling in (text,) if parted == text else (parted, _joined(text)):
        found += _words(spelling)
    return found


def _joined(text: str) -> str:
    """Give the words of a text alone that have capitals within."""
    return " ".join(word for word in text.split() if _CASE.search(word))


def _words(text: str) -> list[str]:
    if text.isascii():
        return [word[:LONGEST] for word in _ASCII_WORD.findall(text.lower())]
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    plain = unicodedata.normalize("NFC", plain)
    # A vowel sign is part of its word, though no letter: without it Hindi falls into pieces.
    marks = "".join(sorted(char for char in set(plain) if unicodedata.category(char)[0] == "M"))
    found: list[str] = []
    for word in _pattern(marks).findall(plain):
        found += _pairs(word[:LONGEST]) if _UNSPACED.search(word) else [word[:LONGEST]]
    return found


@lru_cache(64)
def _pattern(marks: str) -> re.Pattern[str]:
    """Give what a word is: letters and digits, and after the first these marks as well."""
    more = rf"(?:[^\W_]|[{re.escape(marks)}])*" if marks else r"[^\W_]*"
    return re.compile(r"[^\W_]" + more)


def _pairs(word: str) -> list[str]:
    """Cut what stands without spaces into pairs of characters; what is of another script between stays whole."""
    found: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        found += [part for part in (word[end : run.start()],) if part]
        chars = run.group()
        found += [chars[at : at + 2] for at in range(len(chars) - 1)] or [chars]
        end = run.end()
    return found + [part for part in (word[end:],) if part]
