"""The keys of one provider: each call begins with the next one, and falls through to the others when one is refused."""

from __future__ import annotations

from collections.abc import Sequence


class Keyring:
    """Keys in a round. A provider that needs none has an empty ring, which offers None once."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._rounds: tuple[tuple[str | None, ...], ...] = tuple((*keys[i:], *keys[:i]) for i in range(len(keys)))
        self._rounds = self._rounds or ((None,),)
        self._next = 0

    def in_turn(self) -> tuple[str | None, ...]:
        """Give all keys, beginning with the one whose turn it is."""
        turn = self._next
        self._next = (turn + 1) % len(self._rounds)
        return self._rounds[turn]
