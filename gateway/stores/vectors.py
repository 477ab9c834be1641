"""The port of vectors: which kept questions are nearest to one that is asked. It knows no text, and nothing of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

Vector = bytes
"""Little-endian float32 numbers, of length 1 together."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A kept entry near the question: where it belongs, and the cosine of the angle between both."""

    entry: str
    tenant: str
    partition: str
    similarity: float


class VectorIndex(Protocol):
    """Keeps one vector for each entry, a bounded number of them, the oldest out first.

    Nothing is ever found in another tenant or partition than the one asked for.
    """

    async def find(self, vector: Vector, *, tenant: str, partition: str, most: int) -> tuple[Match, ...]:
        """Give the nearest entries, the nearest first. Raises StoreUnavailable."""
        ...

    def keep(self, entry: str, vector: Vector, *, tenant: str, partition: str, until: float) -> None:
        """Keep a vector, instead of the one that the entry had. After `until` (seconds since 1970) nobody needs it. Does not wait."""
        ...

    def remove(self, entries: Sequence[str]) -> None:
        """Forget entries. Does not wait."""
        ...

    @property
    def size(self) -> int:
        """How many vectors are kept, as far as this process knows."""
        ...

    async def run(self) -> None:
        """Do what has to be done now and then, until cancelled."""
        ...

    async def aclose(self) -> None:
        """Let go of everything that is held open."""
        ...
