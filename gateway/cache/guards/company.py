"""Company: what a word means, and whether it may be missing, because of the other words of its question."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from gateway.cache.guards.lexicon import Lexicon
from gateway.cache.guards.word import Word


def settled(word: Word, stems: AbstractSet[str], words: Lexicon) -> Word:
    """Give the word with the meanings that it has beside the others, and with whether it may be missing beside them."""
    return _implied(_in_company(word, stems, words), stems, words)


def dispensable(word: Word) -> Word:
    """Give the word as one that the other question may leave out."""
    return msgspec.structs.replace(word, optional=True, implied=True)


def summed(word: Word, total: str, parts: Sequence[str], words: Lexicon) -> Word:
    """Give what several words come to in the place of the first."""
    if word.stem != parts[0]:
        return word
    groups = words.groups.get(total, frozenset())
    return msgspec.structs.replace(
        word, text=total, stem=total, groups=groups, kinds=words.kinds_of(total), optional=False
    )


def _in_company(word: Word, stems: AbstractSet[str], words: Lexicon) -> Word:
    """Take from a word the meanings that it has only beside others that are not here: a tyre is not updated."""
    groups = frozenset(group for group in word.groups if not words.beside.get(group, stems).isdisjoint(stems))
    return word if groups == word.groups else msgspec.structs.replace(word, groups=groups)


def _implied(word: Word, stems: AbstractSet[str], words: Lexicon) -> Word:
    """A word may go missing beside one that says it already: the capital (city), a git (command)."""
    heads = words.companions.get(word.stem)
    if word.optional or not heads or heads.isdisjoint(stems - {word.stem}):
        return word
    return msgspec.structs.replace(word, optional=True)
