"""Banned words and topics: every phrase of a list that is in a text, in one pass over its words.

Letters are compared without case, accents of composed look-alikes and invisible characters; letters of other alphabets that
look Latin, and letters with spaces or dots between them ("b.a.d"), are read as what they look like. It knows no meanings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.protection.finding import Finding
from gateway.protection.json_escapes import readings
from gateway.protection.plain_text import plain

_WORD: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LATIN: Final = str.maketrans("аеорсухіѕјԁԛԝһӏвкмнтαοερντικυχβζ", "aeopcyxisjdqwhlbkmhtaoepvtikuxbz")
_LONGEST_SPELT: Final = 40
_END: Final = ""

_Tree = dict[str, "_Tree"]


class Words:
    """A list of phrases, ready to be looked for. `longest` is the length of the longest of them."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._tree: _Tree = {}
        self._unspaced: list[str] = []
        self.longest = 0
        for phrase in phrases:
            self.longest = max(self.longest, len(phrase))
            readable = _folded(plain(phrase).text)
            if _UNSPACED.search(readable):
                self._unspaced.append(readable)
            else:
                self._add(_WORD.findall(readable))

    def find(self, text: str) -> Iterator[Finding]:
        """Find the phrases, in each reading of the text. The kind of each finding is "words"."""
        for readable in readings(text):
            folded = _folded(readable.text)
            if len(folded) != len(readable.text):
                folded = readable.text.lower() if len(readable.text.lower()) == len(readable.text) else readable.text
            for start, end in self._spans(folded):
                yield Finding("words", *readable.span(start, end))

    def _add(self, words: list[str]) -> None:
        tree = self._tree
        for word in words:
            tree = tree.setdefault(word, {})
        if words:
            tree[_END] = {}

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        words = list(_spelt(text))
        for first, (word, start, _) in enumerate(words):
            tree = self._tree.get(word)
            following = first + 1
            while tree is not None:
                if _END in tree:
                    yield start, words[following - 1][2]
                    break
                tree = tree.get(words[following][0]) if following < len(words) else None
                following += 1
        for phrase in self._unspaced:
            at = text.find(phrase)
            while at >= 0:
                yield at, at + len(phrase)
                at = text.find(phrase, at + len(phrase))


def _folded(text: str) -> str:
    """Give a text in small letters, look-alikes of other alphabets made Latin in words that have Latin letters too."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return _WORD.sub(lambda match: _unmixed(match[0]), lowered)


def _unmixed(word: str) -> str:
    return word.translate(_LATIN) if any("a" <= char <= "z" for char in word) else word


def _spelt(text: str) -> Iterator[tuple[str, int, int]]:
    """Give (word, start, end); three or more single letters with the same thing between them as the word that they spell."""
    letters: list[tuple[str, int, int]] = []
    between = ""
    for match in _WORD.finditer(text):
        word = (match[0], match.start(), match.end())
        gap = text[letters[-1][2] : match.start()] if letters else ""
        if letters and (len(match[0]) > 1 or len(letters) >= _LONGEST_SPELT or (len(letters) > 1 and gap != between)):
            yield from _joined(letters)
            letters = []
        if len(match[0]) > 1:
            yield word
            continue
        between = gap
        letters.append(word)
    yield from _joined(letters)


def _joined(letters: list[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    if len(letters) > 2:
        yield "".join([letter for letter, _, _ in letters]), letters[0][1], letters[-1][2]
    else:
        yield from letters
