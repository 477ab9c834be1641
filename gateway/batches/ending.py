"""How a batch ends: its results are on the disk first, then one transaction names them and says that it is over.

A process that dies anywhere in between ends the batch again, with the same files: their ids were settled at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog
from anyio.to_thread import run_sync

from gateway.batches.book import Book
from gateway.batches.means import Means
from gateway.batches.results import Growing, Results
from gateway.batches.usage import used
from gateway.stores.batches import Batch, BatchUsage, Fault
from gateway.stores.file_bytes import FileBytes, sync_folder
from gateway.stores.files import StoredFile

log = structlog.get_logger()
replace = msgspec.structs.replace
DAY: Final = 86_400.0


async def fail(book: Book, faults: Sequence[Fault], means: Means, *, total: int = 0) -> None:
    """End a batch whose input cannot be run."""

    def failed(batch: Batch) -> Batch:
        if batch.status == "cancelling":
            return replace(batch, status="cancelled", cancelled_at=now)
        return replace(
            batch, status="failed", failed_at=now, faults=tuple(faults), total=total, output_file="", error_file=""
        )

    now = means.clock.wall()
    _tell(await book.change(failed), means)


async def end(book: Book, results: Results | None, means: Means, *, expired: bool) -> None:
    """End a batch that has been run, as far as it came; without results, one of which nothing was asked."""
    now = means.clock.wall()
    if results is None:
        _tell(await book.change(partial(_ended, now=now, expired=expired)), means)
        return
    await book.change(partial(_finalizing, now=now, expired=expired))
    await run_sync(_settle, results, means.bytes)
    kept = book.batch.keep_seconds
    days = means.settings.keep_days
    if kept is None and days is not None:
        kept = days * DAY
    expires = None if kept is None else now + kept
    batch = book.batch
    described = [
        _described(batch, growing, kind, now=now, expires=expires)
        for growing, kind in ((results.output, "output"), (results.errors, "error"))
        if growing.lines
    ]
    usage = await run_sync(used, results.output.path) if results.completed else BatchUsage()
    ended: Callable[[Batch], Batch] = partial(
        _ended, now=now, expired=expired, completed=results.completed, failed=results.failed, usage=usage
    )
    _tell(await book.change(ended, described), means)


def _finalizing(batch: Batch, *, now: float, expired: bool) -> Batch:
    if batch.status != "in_progress" or expired:
        return batch
    return replace(batch, status="finalizing", finalizing_at=now)


def _ended(
    batch: Batch,
    *,
    now: float,
    expired: bool,
    completed: int = 0,
    failed: int = 0,
    usage: BatchUsage = BatchUsage(),  # noqa: B008 it is frozen
) -> Batch:
    if batch.status in ("completed", "expired", "cancelled", "failed"):
        return batch  # said before, by a write of which nobody heard
    counted = replace(
        batch,
        completed=completed,
        failed=failed,
        usage=usage,
        output_file=batch.output_file if completed else "",
        error_file=batch.error_file if failed else "",
    )
    if batch.status == "cancelling":
        return replace(counted, status="cancelled", cancelled_at=now)
    if expired and batch.status != "finalizing":
        return replace(counted, status="expired", expired_at=now)
    return replace(counted, status="completed", completed_at=now)


def _settle(results: Results, kept: FileBytes) -> None:
    """Force the results to the disk, and remove the one that is empty."""
    results.sync()
    for growing in (results.output, results.errors):
        if not growing.lines:
            growing.path.unlink(missing_ok=True)
    sync_folder(kept.folder)


def _described(batch: Batch, growing: Growing, kind: str, *, now: float, expires: float | None) -> StoredFile:
    return StoredFile(
        id=growing.path.name,
        tenant=batch.tenant,
        owner=batch.caller.id,
        purpose="batch_output",
        filename=f"{batch.id}_{kind}.jsonl",
        bytes=growing.size,
        created_at=now,
        expires_at=expires,
    )


def _tell(batch: Batch, means: Means) -> None:
    means.counts.ended.add((batch.status,))
    log.info(
        "batch.ended",
        batch=batch.id,
        tenant=batch.tenant,
        status=batch.status,
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
    )
