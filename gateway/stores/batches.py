"""The port of batches: what is known of each. Who runs one is settled by a lock beside its files, not here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.stores.files import StoredFile

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
UNFINISHED: Final[tuple[Status, ...]] = ("validating", "in_progress", "finalizing", "cancelling")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a batch's input; `line` counts from 1, None is the file as a whole."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class BatchUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of all answers together. `cached_tokens` are among the input, `reasoning_tokens` among the output."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. Times are seconds since 1970, None for what has not happened; `keep_seconds` is how long its results are kept.

    `caller` is who made it, and in whose name its lines are asked. `output_file` and `error_file` are set when its lines begin
    to be asked: the files are there once it has ended, unless they would be empty. `total`, `completed` and `failed` count
    lines. `model` is the one that all lines name, empty where they name several; `usage` is known when it has ended.
    `version` grows with every change.
    """

    id: str
    tenant: str
    caller: Caller
    endpoint: str
    input_file: str
    window: str
    status: Status
    created_at: float
    expires_at: float
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None
    output_file: str = ""
    error_file: str = ""
    keep_seconds: float | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    faults: tuple[Fault, ...] = ()
    metadata: dict[str, str] = {}
    model: str = ""
    usage: BatchUsage | None = None
    version: int = 1


class BatchStore(Protocol):
    """Keeps batches. Everything raises StoreUnavailable when it cannot be asked."""

    async def add(self, batch: Batch, *, most_unfinished: int) -> bool:
        """Keep a new one; False when its tenant has that many unfinished ones.

        Raises Conflict when its input file is gone.
        """
        ...

    async def replace(self, batch: Batch, files: Sequence[StoredFile] = ()) -> bool:
        """Put it in the place of the version before it, and keep the files that it made, both or neither.

        False when the version in the store is another one: somebody was faster.
        """
        ...

    async def find(self, tenant: str | None, batch: str) -> Batch | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        ...

    async def list(
        self, tenant: str | None, *, after: str = "", limit: int = 20, status: Status | None = None
    ) -> Sequence[Batch]:
        """Give a page, the newest first; a tenant of None is any, and so is a status.

        `after` is the id of the last one before; one that is not there gives nothing.
        """
        ...

    async def unfinished(self) -> Sequence[str]:
        """Give the ids of all that have not ended, the oldest first."""
        ...

    async def remove_ended(self, before: float) -> Sequence[Batch]:
        """Forget some of those that ended before then, and give them as they were."""
        ...
