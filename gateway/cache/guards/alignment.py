"""Alignment: which word of one question stands for which of the other, and what is left over on each side."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.cache.guards.lexicon import lexicon, stem
from gateway.cache.guards.reading import Reading
from gateway.cache.guards.slips import is_slip
from gateway.cache.guards.word import Word

# With more words without a match than this on a side, no slip of the pen is looked for.
_MOST_SLIPS = 8
_SHORTEST_ROOT = 5


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of places (asked, kept) of words that match, and the words without one."""

    pairs: tuple[tuple[int, int], ...]
    asked: tuple[Word, ...]
    kept: tuple[Word, ...]


def aligned(asked: Reading, kept: Reading) -> Alignment:
    """Match words: the same, forms of one word, words of one meaning, slips of the pen. Each word is used as often as needed."""
    pairs: list[tuple[int, int]] = []
    one, other = _Places(asked.words), _Places(kept.words)
    left = _matched(asked, other, pairs)
    right = _matched(kept, one, None)
    left = [index for index in left if not _said_elsewhere(index, one, other, kept)]
    right = [index for index in right if not _said_elsewhere(index, other, one, asked)]
    if len(left) <= _MOST_SLIPS and len(right) <= _MOST_SLIPS:
        slips = [(i, j) for i in left for j in right if _is_slip_of(asked.words[i], kept.words[j])]
        slipped = {i for i, _ in slips}, {j for _, j in slips}
        pairs.extend(next((i, j) for i, j in slips if i == index) for index in sorted(slipped[0]))
        left = [index for index in left if index not in slipped[0]]
        right = [index for index in right if index not in slipped[1]]
    return Alignment(
        pairs=tuple(pairs),
        asked=tuple(asked.words[index] for index in left),
        kept=tuple(kept.words[index] for index in right),
    )


def anchored(asked: Reading, kept: Reading, pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether a pair is of one word on both sides. Where all are only of like meaning, nothing says in which sense."""
    exact = lexicon().exact
    for one, other in pairs:
        first, second = asked.words[one], kept.words[other]
        alike = first.groups & second.groups
        if first.stem == second.stem or not alike or alike & exact:
            return True
    return False


class _Places:
    """Where the words of a text stand, by what they may match with: found without going through all of them."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self.stems: dict[str, list[int]] = {}
        self.groups: dict[int, int] = {}
        self.roots: dict[str, int] = {}
        self.texts = {word.text for word in words} | {word.stem for word in words}
        self.joined: set[str] = set()
        for index, word in enumerate(words):
            self.stems.setdefault(word.stem, []).append(index)
            for group in word.groups:
                self.groups.setdefault(group, index)
            for root in _roots(word.stem):
                self.roots.setdefault(root, index)
            if index:
                together = words[index - 1].text + word.text
                self.joined.update((together, stem(together)))

    def like(self, word: Word) -> int | None:
        """Give the first place of a word of the same meaning, or else of the same root."""
        places = [self.groups[group] for group in word.groups if group in self.groups]
        if not places:
            places = [self.stems[root][0] for root in _roots(word.stem) if root in self.stems]
            if word.stem in self.roots:
                places.append(self.roots[word.stem])
        return min(places, default=None)


def _matched(from_: Reading, to: _Places, pairs: list[tuple[int, int]] | None) -> list[int]:
    """Give the places of words without a match; `pairs` takes the matches."""
    left: list[int] = []
    used: set[int] = set()
    following: dict[str, int] = {}
    for index, word in enumerate(from_.words):
        places = to.stems.get(word.stem)
        if places is None:
            at = to.like(word)
        else:
            turn = following.get(word.stem, 0)
            while turn < len(places) and places[turn] in used:
                turn += 1
            following[word.stem] = turn
            at = places[turn] if turn < len(places) else places[0]
        if at is None:
            left.append(index)
            continue
        used.add(at)
        if pairs is not None:
            pairs.append((index, at))
    return left


def _roots(long: str) -> set[str]:
    """Give what a noun may be made of: concatenation is made of concatenate."""
    found: set[str] = set()
    if long.endswith("ion"):
        found = {long[:-3], long[:-3] + "e", long[:-5], long[:-5] + "e"}
    elif long.endswith("ment"):
        found = {long[:-4]} - {"depart"}
    elif long.endswith("ing"):
        found = {long[:-3]}
    return {short for short in found if len(short) >= _SHORTEST_ROOT}


def _said_elsewhere(index: int, from_: _Places, to: _Places, kept: Reading) -> bool:
    """Tell whether a word is a small one there, or whether words are one here and two there: time zone, timezone."""
    word = from_.words[index]
    if word.text in kept.said or word.text in to.joined or word.stem in to.joined:
        return True
    for first in (index - 1, index):
        if first >= 0 and first + 1 < len(from_.words):
            together = from_.words[first].text + from_.words[first + 1].text
            if together in to.texts or stem(together) in to.texts:
                return True
    return False


def _is_slip_of(one: Word, other: Word) -> bool:
    # Another letter in a name makes another name: Jensen, Jenson.
    if (one.capital or other.capital) and len(one.text) == len(other.text) and sorted(one.text) != sorted(other.text):
        return False
    return is_slip(one.text, other.text)
