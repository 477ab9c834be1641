"""The cabinet: files as clients see them, which are rows in the store and bytes in the folder, kept in step.

Bytes come before their row and go after it. What a death leaves in between are bytes that no row names: they are removed when
they are a day old. Nobody is ever told of a file whose bytes are not whole and on the disk.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio.to_thread import run_sync

from gateway.config.batch_settings import BatchSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import BodyTooLarge, InvalidRequest
from gateway.core.ids import NewId
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files import FileQuery, FileStore, StoredFile

log = structlog.get_logger()

DAY: Final = 86_400.0


class Incoming:
    """The bytes of a file on their way to the disk. `size` is how many there are; `most` how many there may be."""

    def __init__(self, descriptor: int, most: int) -> None:
        self.size = 0
        self._descriptor = descriptor
        self._most = most

    async def write(self, data: bytes) -> None:
        """Take the next piece. Raises BodyTooLarge, and OSError."""
        self.size += len(data)
        if self.size > self._most:
            msg = f"The file is larger than the limit of {self._most} bytes."
            raise BodyTooLarge(msg, param="file")
        await run_sync(_write, self._descriptor, data)


class Cabinet:
    """Keeps, finds and removes files."""

    def __init__(
        self, store: FileStore, kept: FileBytes, settings: BatchSettings, *, clock: Clock, new_id: NewId
    ) -> None:
        self.bytes = kept
        self.most_bytes = settings.file_bytes
        self._store = store
        self._settings = settings
        self._clock = clock
        self._new_id = new_id

    async def require_room(self, tenant: str, size: int) -> None:
        """Raise InvalidRequest where a tenant has no room for so many bytes; asked before they are taken in."""
        if await self._store.bytes_of(tenant) + size > self._settings.tenant_bytes:
            raise self._no_room(size)

    def _no_room(self, size: int) -> InvalidRequest:
        msg = (
            f"The files of this tenant may have {self._settings.tenant_bytes} bytes together, and have no room for "
            f"{size} more: delete some, or wait until they expire."
        )
        return InvalidRequest(msg, param="file")

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[tuple[str, Incoming]]:
        """Take in a file: its id, and what its bytes are written to. They are gone again when the body raises.

        Raises OSError.
        """
        file = self._new_id("file-")
        descriptor = await run_sync(self.bytes.begin, file)
        try:
            yield file, Incoming(descriptor, self._settings.file_bytes)
            await run_sync(self.bytes.finish, file, descriptor)
        finally:
            os.close(descriptor)
            with anyio.CancelScope(shield=True):
                await run_sync(self.bytes.give_up, file)

    async def keep(self, file: str, caller: Caller, *, filename: str, size: int, seconds: float | None) -> StoredFile:
        """Keep a file whose bytes have come in, for so many seconds; None is as the settings say.

        Raises InvalidRequest when its tenant has no room for it, whose bytes are gone then, and StoreUnavailable.
        """
        now = self._clock.wall()
        days = self._settings.keep_days
        if seconds is None and days is not None:
            seconds = days * DAY
        kept = StoredFile(
            id=file,
            tenant=caller.tenant,
            owner=caller.id,
            purpose="batch",
            filename=filename,
            bytes=size,
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        # Where the store cannot say whether it was done, the bytes stay: a stray is removed after a day.
        if not await self._store.add(kept, most_bytes=self._settings.tenant_bytes):
            await self._drop(file)
            raise self._no_room(size)
        log.info("file.uploaded", file=file, tenant=caller.tenant, bytes=size)
        return kept

    async def find(self, tenant: str, file: str) -> StoredFile | None:
        """Give a file of a tenant."""
        return await self._store.find(tenant, file, now=self._clock.wall())

    async def list(self, query: FileQuery) -> Sequence[StoredFile]:
        """Give a page of a tenant's files."""
        return await self._store.list(query)

    def path(self, file: StoredFile) -> Path:
        """Give where its bytes are."""
        return self.bytes.path(file.id)

    async def remove(self, file: StoredFile) -> bool:
        """Remove a file; False when somebody else did. Raises Conflict while a batch reads it."""
        removed = await self._store.remove(file.tenant, file.id)
        if removed:
            await self._drop(file.id)
            log.info("file.deleted", file=file.id, tenant=file.tenant)
        return removed

    async def tidy(self) -> None:
        """Remove what has expired, and bytes that nobody knows of. Raises StoreUnavailable and OSError."""
        now = self._clock.wall()
        expired = 0
        while ids := await self._store.remove_expired(now):
            expired += len(ids)
            for file in ids:
                await self._drop(file)
        strays = await self._store.missing(await run_sync(partial(self.bytes.find_old, now - DAY)))
        for file in strays:
            await self._drop(file)
        if expired or strays:
            log.info("files.tidied", expired=expired, strays=len(strays))

    async def _drop(self, file: str) -> None:
        await run_sync(self.bytes.remove, file)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
