"""The port of the outbox: what is to be said outside, written with what it tells of, and sent until it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.items import Json
from gateway.stores.tool_calls import Notice


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that waits to be sent. `attempts` counts the tries so far, this one included."""

    id: int
    kind: str
    dedupe: str
    body: dict[str, Json]
    attempts: int


class Outbox(Protocol):
    """Keeps notices until they are sent. Everything raises StoreUnavailable."""

    async def put(self, notices: Sequence[Notice], *, at: float) -> None:
        """Keep notices that are due at this time; one whose `dedupe` is known, sent or not, is left out."""
        ...

    async def take(self, kinds: Sequence[str], *, now: float, until: float, most: int) -> Sequence[Letter]:
        """Take some that are due, the oldest first; nobody else gets them before `until`."""
        ...

    async def sent(self, letter: int) -> None:
        """It was taken by whom it is for."""
        ...

    async def again(self, letter: int, *, at: float, error: str) -> None:
        """It was not: try again then."""
        ...

    async def give_up(self, letter: int, *, error: str) -> None:
        """Never again; it is kept, for people to see."""
        ...

    async def remove_done(self, before: float, *, most: int = 500) -> int:
        """Forget those that were sent or given up and were last tried before then; give how many. Until then the same is not said again."""
        ...

    async def waiting(self) -> int:
        """Give how many wait to be sent."""
        ...
