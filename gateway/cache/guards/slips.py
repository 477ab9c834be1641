"""Slips of the pen: whether one word is another, written wrongly."""

from __future__ import annotations

from gateway.cache.guards.lexicon import lexicon, stem

_LONGEST_SLIP = 24
# Beginnings that turn a word into its opposite, or into something else: never a slip of the pen.
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "re", "de", "pre", "post", "over", "under", "anti", "mis", "sub", "super", "inter", "intra", "a", "co", "ex", "bi", "tri")  # fmt: skip
_TELLING = (("er", "ee"), ("or", "ee"), ("hyper", "hypo"), ("inter", "intra"), ("ful", "less"), ("max", "min"))


_PAIRED = (
    "on", "off", "in", "out", "up", "down", "over", "under", "pre", "post", "im", "ex", "em", "inter", "intra", "hyper", "hypo",
    "macro", "micro", "mono", "poly", "uni", "multi", "anti", "pro", "fore", "after", "sub", "super", "ab", "ad", "en", "de", "dis",
    "endo", "exo", "iso", "hetero", "homo", "nano", "mega", "giga", "kilo", "milli", "centi", "mini", "maxi", "non", "un", "re",
)  # fmt: skip


def is_slip(one: str, other: str) -> bool:
    """Tell whether one word is the other with a slip of the pen: near, of the same beginning, and not both words that exist."""
    if one == other:
        return True
    if (
        max(len(one), len(other)) > _LONGEST_SLIP
        or min(len(one), len(other)) < 4
        or abs(len(one) - len(other)) > 2
        or one[0] != other[0]
    ):
        return False
    if not (one.isalpha() and other.isalpha()) or telling(one, other):
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


def telling(one: str, other: str) -> bool:
    """Tell whether two words differ in what makes one the opposite of the other, or something else."""
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
