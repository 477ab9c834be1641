"""The record of one batch while a process runs it: changed step by step, also when the API changes it at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import msgspec
import structlog

from gateway.core.errors import StoreUnavailable
from gateway.stores.batches import Batch, BatchStore
from gateway.stores.files import StoredFile

log = structlog.get_logger()

Amend = Callable[[Batch], Batch]


class Gone(Exception):
    """The batch is not in the store any more, or has ended: there is nothing to run."""


class Book:
    """Holds the latest version of one batch. `patience` is how many seconds to wait for a database that is away."""

    def __init__(self, store: BatchStore, batch: Batch, *, patience: float) -> None:
        self.batch = batch
        self._store = store
        self._patience = patience

    async def refresh(self) -> Batch:
        """Read it again. Raises StoreUnavailable, and Gone."""
        found = await self._store.find(None, self.batch.id)
        if found is None:
            raise Gone
        self.batch = found
        return found

    async def change(self, amend: Amend, files: Sequence[StoredFile] = ()) -> Batch:
        """Put what `amend` gives in the place of the latest version, together with `files`; it may be asked again with a newer one.

        One that it gives back as it was is left alone. A database that is away is waited for. Raises Gone.
        """
        while True:
            try:
                wanted = amend(self.batch)
                if wanted is self.batch:
                    return wanted
                wanted = msgspec.structs.replace(wanted, version=self.batch.version + 1)
                if await self._store.replace(wanted, files):
                    self.batch = wanted
                    return wanted
                await self.refresh()
            except StoreUnavailable as error:
                log.warning("batch.store_away", batch=self.batch.id, reason=error.message)
                await anyio.sleep(self._patience)
                await self._after_loss()

    async def _after_loss(self) -> None:
        """Whether the last write was done is not known: look."""
        try:
            await self.refresh()
        except StoreUnavailable:
            return
