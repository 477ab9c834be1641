"""The keys of one provider: each call begins with the next one, and falls through to the others when one is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.core.errors import SwitchgearError

_SHORTEST_SECRET: Final = 8
"""Characters below which a key is a stand-in ("EMPTY") that may be a part of any word."""


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


def hide_key(error: SwitchgearError, key: str | None) -> None:
    """Take a key out of what an upstream said: some repeat the credentials that they refuse, and callers read the message."""
    if key is None or len(key) < _SHORTEST_SECRET:
        return
    error.message = error.message.replace(key, "[key]")
    error.args = (error.message,)
    if error.param is not None:
        error.param = error.param.replace(key, "[key]")
    if key in error.code:
        error.code = error.code.replace(key, "[key]")
