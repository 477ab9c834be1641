"""The port of spilled results: what is too long for a model to read at once, kept whole beside its run."""

from __future__ import annotations

from typing import Protocol


class BlobStore(Protocol):
    """Reads texts of runs, which are written with the entry that says how their call ended. Raises StoreUnavailable. A text goes with its run."""

    async def read(self, run: str, name: str, *, offset: int, limit: int) -> tuple[bytes, int] | None:
        """Give bytes from `offset` on and the size of the whole; None where the run has none of that name."""
        ...
