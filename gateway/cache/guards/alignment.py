"""Alignment: which word of one question stands for which of the other, and what is left over on each side."""

from __future__ import annotations

import msgspec

from gateway.cache.guards.lexicon import lexicon, stem
from gateway.cache.guards.reader import Word
from gateway.cache.guards.reading import Reading

# Beginnings that turn a word into its opposite, or into something else: never a slip of the pen.
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "re", "de", "pre", "post", "over", "under", "anti", "mis", "sub", "super", "inter", "intra", "a", "co", "ex", "bi", "tri")  # fmt: skip
_TELLING = (("er", "ee"), ("or", "ee"), ("hyper", "hypo"), ("inter", "intra"), ("ful", "less"), ("max", "min"))


_PAIRED = (
    "on", "off", "in", "out", "up", "down", "over", "under", "pre", "post", "im", "ex", "em", "inter", "intra", "hyper", "hypo",
    "macro", "micro", "mono", "poly", "uni", "multi", "anti", "pro", "fore", "after", "sub", "super", "ab", "ad", "en", "de", "dis",
    "endo", "exo", "iso", "hetero", "homo", "nano", "mega", "giga", "kilo", "milli", "centi", "mini", "maxi", "non", "un", "re",
)  # fmt: skip


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of places (asked, kept) of words that match, and the words without one."""

    pairs: tuple[tuple[int, int], ...]
    asked: tuple[Word, ...]
    kept: tuple[Word, ...]


def aligned(asked: Reading, kept: Reading) -> Alignment:
    """Match words: the same, forms of one word, words of one meaning, slips of the pen. Each word is used as often as needed."""
    pairs: list[tuple[int, int]] = []
    left = _matched(asked, kept, pairs)
    right = _matched(kept, asked, None)
    one = _unmatched_left(left, asked, kept, pairs)
    other = _unmatched_left(right, kept, asked, None)
    return Alignment(pairs=tuple(pairs), asked=tuple(one), kept=tuple(other))


def _matched(from_: Reading, to: Reading, pairs: list[tuple[int, int]] | None) -> list[int]:
    """Give the places of words without a match; `pairs` takes the matches."""
    left: list[int] = []
    stems = {word.stem: index for index, word in reversed(list(enumerate(to.words)))}
    used: set[int] = set()
    for index, word in enumerate(from_.words):
        at = stems.get(word.stem)
        if at is not None and at in used:
            at = next(
                (place for place, other in enumerate(to.words) if place not in used and other.stem == word.stem), at
            )
        if at is None and word.groups:
            at = next((place for place, other in enumerate(to.words) if not word.groups.isdisjoint(other.groups)), None)
        if at is None:
            at = next((place for place, other in enumerate(to.words) if _of_one_root(word.stem, other.stem)), None)
        if at is None:
            left.append(index)
            continue
        used.add(at)
        if pairs is not None:
            pairs.append((index, at))
    return left


def _of_one_root(one: str, other: str) -> bool:
    """Tell whether one word is the noun of the other: concatenation, concatenate."""
    short, long = sorted((one, other), key=len)
    if len(short) < 5 or not long.endswith(("ion", "ment")) or short == "depart":
        return short + "ing" == long or long + "ing" == short
    if long.endswith("ment"):
        return long[:-4] == short
    return short in {long[:-3], long[:-3] + "e", long[:-5], long[:-5] + "e"}


def _unmatched_left(left: list[int], from_: Reading, to: Reading, pairs: list[tuple[int, int]] | None) -> list[Word]:
    found: list[Word] = []
    for index in left:
        word = from_.words[index]
        if word.text in to.said:
            continue
        if _joined_elsewhere(word, index, from_, to):
            continue
        at = next((place for place, other in enumerate(to.words) if _is_slip_of(word, other)), None)
        if at is None:
            found.append(word)
        elif pairs is not None:
            pairs.append((index, at))
    return found


def _joined_elsewhere(word: Word, index: int, from_: Reading, to: Reading) -> bool:
    """Tell whether words are one here and two there: time zone, timezone."""
    words = to.words
    for at in range(len(words) - 1):
        if words[at].text + words[at + 1].text == word.text or stem(words[at].text + words[at + 1].text) == word.stem:
            return True
    stems = {other.stem for other in words} | {other.text for other in words}
    for first in (index - 1, index):
        if first >= 0 and first + 1 < len(from_.words):
            together = from_.words[first].text + from_.words[first + 1].text
            if together in stems or stem(together) in stems:
                return True
    return False


def _is_slip_of(one: Word, other: Word) -> bool:
    # Another letter in a name makes another name: Jensen, Jenson.
    if (one.capital or other.capital) and len(one.text) == len(other.text) and sorted(one.text) != sorted(other.text):
        return False
    return is_slip(one.text, other.text)


def is_slip(one: str, other: str) -> bool:
    """Tell whether one word is the other with a slip of the pen: near, of the same beginning, and not both words that exist."""
    if one == other:
        return True
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 2 or one[0] != other[0]:
        return False
    if not (one.isalpha() and other.isalpha()) or _telling(one, other):
        return False
    known = _exists(one) + _exists(other)
    if known == 2:
        return False
    most = 2 if known == 1 and min(len(one), len(other)) >= 7 else 1
    if known == 0 and (min(len(one), len(other)) < 6 or (len(one) == len(other) and sorted(one) != sorted(other))):
        return False
    apart = distance(one, other, most)
    # Two letters exchanged for others: Medicare, Medicaid.
    two_others = apart == 2 and len(one) == len(other) and sorted(one) != sorted(other)
    return apart <= most and not two_others


def _exists(word: str) -> bool:
    known = lexicon().known
    return word in known or stem(word) in known


def _telling(one: str, other: str) -> bool:
    if _rests(one) & _rests(other):
        return True
    short, long = sorted((one, other), key=len)
    if any(long == prefix + short for prefix in _PREFIXES):
        return True
    return any(one.replace(first, second) == other or other.replace(first, second) == one for first, second in _TELLING)


def _rests(word: str) -> set[str]:
    """Give what is left of a word without one of the beginnings that come in pairs: onboarding, offboarding."""
    return {word[len(start) :] for start in _PAIRED if word.startswith(start) and len(word) - len(start) > 2}


def distance(one: str, other: str, most: int) -> int:
    """Count the letters to put in, take out, change or swap with a neighbour; anything above `most` is `most + 1`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        last, row, before_last = row, [i], before
        for j, right in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before = last
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
