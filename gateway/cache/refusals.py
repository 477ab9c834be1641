"""What guards look like to who asks them: two questions go in, and the name of what forbids an answer in common comes out."""

from __future__ import annotations

from typing import Protocol


class Refusal(Protocol):
    """A pure function; `gateway.cache.guards.refusal` is the one in use."""

    def __call__(self, asked: str, kept: str, /) -> str:
        """Give the guard's name, empty where none refuses."""
        ...
