"""The port of pins: the definition of each tool that was accepted. What differs from it is not reachable until somebody accepts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.items import Json


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted definition: its hash, what it says, who accepted it (`first` for one that was there when the server was first seen), and when."""

    server: str
    tool: str
    definition: str
    body: dict[str, Json]
    accepted_by: str
    accepted_at: float


class PinStore(Protocol):
    """Keeps pins. Everything raises StoreUnavailable."""

    async def of_server(self, server: str) -> Sequence[Pin]:
        """Give the pins of a server, by name."""
        ...

    async def add(self, pins: Sequence[Pin]) -> None:
        """Keep pins of tools that have none yet; those that have one keep it."""
        ...

    async def replace(self, pin: Pin, *, before: str) -> bool:
        """Put a pin in the place of the one with the definition `before` (empty: none); False when it is not that any more."""
        ...

    async def remove(self, server: str, tool: str) -> bool:
        """Forget a pin; False when there is none."""
        ...
