"""Identifiers: unique across replicas, sortable by nothing, cheap enough for every call."""

from __future__ import annotations

import secrets
from collections.abc import Callable

NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """Give `prefix` plus 24 hexadecimal digits: 96 random bits, which nobody can guess."""
    return prefix + secrets.token_hex(12)
