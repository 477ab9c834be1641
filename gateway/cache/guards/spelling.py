"""Spelling: puts right what is no word and one slip away from a word that the guards know."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec

from gateway.cache.guards.lexicon import Branch, lexicon, stem
from gateway.cache.guards.slips import telling
from gateway.cache.guards.tokens import WORD, Token

_SHORTEST = 4
_LONGEST = 24


def corrected(tokens: list[Token], quoted: tuple[str, ...]) -> list[Token]:
    """Give the tokens with slips put right. Names (capital letters within a sentence) and what stands in quotes stay."""
    kept = {word for text in quoted for word in text.split()}
    return [
        msgspec.structs.replace(token, text=right)
        if token.kind == WORD
        and not (token.capital and not token.first)
        and token.text not in kept
        and (right := _right(token.text)) != token.text
        else token
        for token in tokens
    ]


@functools.lru_cache(maxsize=8_192)
def _right(word: str) -> str:
    if not _SHORTEST <= len(word) <= _LONGEST or not word.isascii() or not word.isalpha():
        return word
    known = lexicon().known
    if word in known or stem(word) in known:
        return word
    near = _shortened()
    found = {candidate for form in (word, *_without_one(word)) for candidate in near.get(form, ())}
    right = {
        candidate
        for candidate in found
        if candidate[0] == word[0] and _one_slip(word, candidate) and not telling(word, candidate)
    }
    if len(right) != 1:
        return word
    (only,) = right
    return word if telling(word, only) else only


def _one_slip(one: str, other: str) -> bool:
    """Tell whether a letter is missing, too many or wrong, or two neighbours are swapped."""
    if len(one) != len(other):
        return True
    places = [index for index, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]
    if len(places) == 1:
        return True
    return (
        len(places) == 2
        and places[1] == places[0] + 1
        and one[places[0]] == other[places[1]]
        and one[places[1]] == other[places[0]]
    )


def _without_one(word: str) -> Iterator[str]:
    return (word[:index] + word[index + 1 :] for index in range(len(word)))


@functools.cache
def _shortened() -> dict[str, tuple[str, ...]]:
    """Give the words that the guards know, by themselves and by what is left when one letter is taken out."""
    words = lexicon()
    wanted = {word for word in words.kinds if word.isalpha()} | set(_in_phrases(words.phrases))
    found: dict[str, set[str]] = {}
    for word in wanted:
        if _SHORTEST <= len(word) <= _LONGEST:
            for form in (word, *_without_one(word)):
                found.setdefault(form, set()).add(word)
    return {form: tuple(sorted(candidates)) for form, candidates in found.items()}


def _in_phrases(branch: Branch) -> Iterator[str]:
    for word, following in branch.following.items():
        if word.isalpha():
            yield word
        yield from _in_phrases(following)
