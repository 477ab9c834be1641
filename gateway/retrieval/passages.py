"""What a search gives, and the port of what searches: records that say where each text stands, and a protocol. It searches nothing.

Today a `Retriever` looks for words; what looks for meanings, or asks somebody else, is to take its place without anybody noticing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a document that answers a question, and its citation.

    `headings` are those that it stands under, the outermost first; lines count from 1, `offset` in characters from 0. `sha256` (hex) is that of
    the whole file's bytes. `score` is comparable within one search, the higher the better.
    """

    base: str
    file: str
    title: str
    headings: tuple[str, ...]
    first_line: int
    last_line: int
    offset: int
    sha256: str
    score: float
    text: str


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a document from a place on. `size` is that of the whole in characters; `next_offset` is None at the end."""

    base: str
    file: str
    title: str
    sha256: str
    first_line: int
    last_line: int
    offset: int
    next_offset: int | None
    size: int
    text: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How much a base holds. `loaded_at` is in seconds since 1970, `digest` (hex) differs whenever a file does."""

    documents: int
    passages: int
    size: int
    loaded_at: float
    digest: str


class Retriever(Protocol):
    """One knowledge base."""

    @property
    def held(self) -> Held:
        """How much it holds."""
        ...

    @property
    def files(self) -> Sequence[str]:
        """The names of its documents, sorted."""
        ...

    async def search(self, query: str, limit: int) -> Sequence[Passage]:
        """Give the passages that are most likely about a question, the best first, at most `limit`. Other calls go on meanwhile."""
        ...

    def read(self, file: str, offset: int) -> Piece | None:
        """Give a document from a character on, None where there is no such document."""
        ...
