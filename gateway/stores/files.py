"""The port of files: what is known of each. Their bytes lie in a folder, which is `file_bytes`' business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Purpose = Literal["batch", "batch_output"]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file. Times are seconds since 1970; `owner` is the id of the caller who made it. None never expires."""

    id: str
    tenant: str
    owner: str
    purpose: Purpose
    filename: str
    bytes: int
    created_at: float
    expires_at: float | None = None


class FileQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which files of a tenant to give, by time of making. `after` is the id of the last one of the page before."""

    tenant: str
    now: float
    purpose: Purpose | None = None
    after: str = ""
    limit: int = 10_000
    newest_first: bool = True


class FileStore(Protocol):
    """Keeps what is known of files. One that has expired is not found. Everything raises StoreUnavailable."""

    async def add(self, file: StoredFile, *, most_bytes: int | None = None) -> bool:
        """Keep a new one; False when its tenant's files would come to more than `most_bytes`."""
        ...

    async def find(self, tenant: str, file: str, *, now: float) -> StoredFile | None:
        """Give one, or None when the tenant has none of that id."""
        ...

    async def list(self, query: FileQuery) -> Sequence[StoredFile]:
        """Give a page. An `after` that is not there gives nothing."""
        ...

    async def bytes_of(self, tenant: str) -> int:
        """Give how many bytes a tenant's files have together."""
        ...

    async def remove(self, tenant: str, file: str) -> bool:
        """Forget one; False when the tenant has none of that id. Raises Conflict while an unfinished batch reads it."""
        ...

    async def remove_expired(self, now: float) -> Sequence[str]:
        """Forget those that have expired and that no unfinished batch reads, and give their ids."""
        ...

    async def missing(self, ids: Sequence[str]) -> Sequence[str]:
        """Give those of `ids` that are no file, nor about to be the result of an unfinished batch."""
        ...
