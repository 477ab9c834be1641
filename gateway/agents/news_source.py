"""Where news for runs that go on come from: a place for who knows of them. It knows no run itself."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.core.tools import Label
from gateway.stores.runs import Run


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Something new. `id` is the same whoever asks for it again, so that it is told once; `label` says who wrote it; `upto` is for who gave it."""

    id: str
    text: str
    label: Label
    upto: int = 0


class NewsSource(Protocol):
    """Knows what is new for a run. Everything raises StoreUnavailable."""

    async def find(self, run: Run) -> Piece | None:
        """Give what came since the run was told last; None where nothing did."""
        ...

    async def told(self, run: Run, piece: Piece) -> None:
        """The run was told: it is in its journal."""
        ...


class News:
    """Holds the source, None while there is none."""

    def __init__(self) -> None:
        self.source: NewsSource | None = None
