"""The names that a model found in the texts of one call, and where they stand: in those texts, and in all others of the call.

A model does not know a name each time that it stands there. What it knew once, with a capital letter, is found everywhere in
the call as a whole word: otherwise the one that was missed would tell who the placeholder is. It runs no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.protection.finding import Finding, settled
from gateway.protection.name_spans import is_part_of_word, is_unspaced

_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST: Final = 2
# Longer names are found where the model saw them; and so much is compared at each word at most.
_LONGEST: Final = 64
_MOST_UNSPACED: Final = 200


class KnownNames:
    """Names by text. `found` has for a text what the model found there."""

    def __init__(self, found: Mapping[str, Iterable[Finding]] | None = None) -> None:
        self._found = {text: tuple(findings) for text, findings in (found or {}).items()}
        self._by_word: dict[str, dict[int, dict[str, str]]] = {}
        self._unspaced: dict[str, str] = {}
        for text, findings in self._found.items():
            for kind, start, end in findings:
                self._know(text[start:end], kind)

    def find(self, text: str, kinds: frozenset[str]) -> list[Finding]:
        """Give the names of these kinds in a text, in order and without overlaps."""
        if not self._found:
            return []
        here = (*self._found.get(text, ()), *self._everywhere(text))
        return settled(finding for finding in here if finding.kind in kinds)

    def _know(self, value: str, kind: str) -> None:
        if not _SHORTEST <= len(value) <= _LONGEST or value.islower() or not any(map(str.isalpha, value)):
            return
        word = _WORD.match(value)
        if word is None or is_unspaced(value[0]):
            if len(self._unspaced) < _MOST_UNSPACED:
                self._unspaced.setdefault(value, kind)
            return
        by_length = self._by_word.setdefault(word[0], {})
        by_length.setdefault(len(value), {}).setdefault(value, kind)

    def _everywhere(self, text: str) -> Iterator[Finding]:
        if self._by_word:
            for word in _WORD.finditer(text):
                start = word.start()
                for length, values in self._by_word.get(word[0], {}).items():
                    end = start + length
                    kind = values.get(text[start:end])
                    if kind is not None and (end == len(text) or not is_part_of_word(text[end])):
                        yield Finding(kind, start, end)
        for value, kind in self._unspaced.items():
            start = text.find(value)
            while start >= 0:
                yield Finding(kind, start, start + len(value))
                start = text.find(value, start + len(value))


NO_NAMES: Final = KnownNames()
