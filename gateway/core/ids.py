"""Identifiers: unique across replicas, sortable by nothing, cheap enough for every call."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """Give `prefix` plus 24 hexadecimal digits: 96 random bits, which nobody can guess."""
    return prefix + next(_digits)


def _random_digits() -> Iterator[str]:
    """Ask the system for the randomness of many ids at once: asking costs more than an id is worth."""
    while True:
        block = secrets.token_hex(12 * _AT_ONCE)
        for start in range(0, len(block), 24):
            yield block[start : start + 24]


_AT_ONCE = 64
_digits = _random_digits()
