"""A word of a question: what it is, and where and with what it stands."""

from __future__ import annotations

import msgspec

# The marker of a word that stands in a clause of its own: when I run, if it rains.
CLAUSE = "clause"


class Word(msgspec.Struct, frozen=True):
    """A word with a meaning. `marker` is the preposition before it, `number` the number that counts it.

    `noun` says of a verb that it may be a noun here, `inflected` of a verb that its form lets its subject stand elsewhere (a participle, a noun made of it), `done` that it is done to the subject (is paid), `cluster` and `segment` say what it is coordinated with by and, or, vs.
    """

    text: str
    stem: str
    groups: frozenset[int]
    kinds: frozenset[str]
    marker: str
    modifier: bool
    number: str
    cluster: int
    segment: int
    verb: bool
    noun: bool
    inflected: bool
    done: bool
    optional: bool
    implied: bool
    capital: bool
