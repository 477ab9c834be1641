"""The runner: finds the batches that nobody runs, runs them in this process, and clears away files that have expired.

Every process of a deployment has one; a claim on each batch settles which of them runs it. Nothing is held in memory that a
kill -9 could take: see `results`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from gateway.batches.book import Book, Gone
from gateway.batches.cabinet import DAY, Cabinet
from gateway.batches.claim import SUFFIX, Claim, clear_claims
from gateway.batches.means import Means
from gateway.batches.running import Run
from gateway.core.errors import SwitchgearError
from gateway.stores.batches import UNFINISHED, BatchStore

log = structlog.get_logger()

MOST_RUNNING: Final = 64
"""Batches that one process runs at once; each holds four files open. The others wait, the oldest first."""
_TIDY_SECONDS: Final = 300.0
_REST_SECONDS: Final = 30.0
"""How long a batch is left alone here after an error of our own, or of the disk."""


class Runner:
    """Runs batches until it is cancelled, or told to `finish`."""

    def __init__(self, store: BatchStore, cabinet: Cabinet, means: Means) -> None:
        self._store = store
        self._cabinet = cabinet
        self._means = means
        self._runs: dict[str, Run] = {}
        self._resting: dict[str, float] = {}
        self._wake = anyio.Event()
        self._leaving = False
        self._idle = anyio.Event()

    def wake(self) -> None:
        """Look now: there is a new batch."""
        self._wake.set()

    def cancel(self, batch: str) -> None:
        """Stop a batch that was cancelled, if it runs here; where it runs elsewhere, that is noticed within a second."""
        run = self._runs.get(batch)
        if run is not None:
            run.cancel()
        self.wake()

    async def run(self) -> None:
        """Work until cancelled. The folder was made before."""
        clock = self._means.clock.monotonic
        tidy_at = clock()
        async with anyio.create_task_group() as tasks:
            while True:
                self._wake = anyio.Event()
                try:
                    await self._look(tasks)
                except Exception:
                    log.exception("batches.crashed")  # whatever it is, it is not worth the server
                if clock() >= tidy_at:
                    tidy_at = clock() + _TIDY_SECONDS
                    tasks.start_soon(self._tidy)
                with anyio.move_on_after(self._means.settings.poll):
                    await self._wake.wait()

    async def finish(self, seconds: float) -> None:
        """Begin nothing any more, and wait so long at most for the lines that are in flight."""
        self._leaving = True
        self._idle = anyio.Event()
        for run in self._runs.values():
            run.leave()
        if self._runs:
            with anyio.move_on_after(seconds):
                await self._idle.wait()

    async def _look(self, tasks: TaskGroup) -> None:
        if self._leaving:
            return
        try:
            ids = await self._store.unfinished()
        except SwitchgearError:
            return  # the database says so itself, and the next look comes
        now = self._means.clock.monotonic()
        for batch in ids:
            if len(self._runs) >= MOST_RUNNING or self._leaving:
                return
            if batch not in self._runs and self._resting.get(batch, now) <= now:
                await self._take(batch, tasks)

    async def _take(self, batch: str, tasks: TaskGroup) -> None:
        self._resting.pop(batch, None)
        claim = None
        try:
            claim = await run_sync(Claim.take, self._claim_path(batch))
            if claim is None:
                return
            # Only now: whoever had it before may have ended it.
            found = await self._store.find(None, batch)
            if found is not None and found.status in UNFINISHED and not self._leaving:
                run = Run(Book(self._store, found, patience=self._means.settings.poll), self._means)
                self._runs[batch] = run
                self._means.counts.running += 1
                log.info("batch.taken", batch=batch, tenant=found.tenant, status=found.status)
                tasks.start_soon(self._go, batch, run, claim)
                claim = None
        except OSError as error:
            self._rest(batch, error)
        except SwitchgearError:
            return  # the database says so itself, and the next look comes
        finally:
            if claim is not None:
                claim.release(for_good=False)

    async def _go(self, batch: str, run: Run, claim: Claim) -> None:
        ended = False
        try:
            ended = await run()
        except Gone:
            ended = True
        except (OSError, SwitchgearError) as error:
            self._rest(batch, error)
        except Exception:
            log.exception("batch.crashed", batch=batch)
            self._resting[batch] = self._means.clock.monotonic() + _REST_SECONDS
        finally:
            claim.release(for_good=ended)
            del self._runs[batch]
            self._means.counts.running -= 1
            self.wake()
            if not self._runs:
                self._idle.set()

    def _rest(self, batch: str, error: Exception) -> None:
        log.warning("batch.resting", batch=batch, reason=str(error))
        self._resting[batch] = self._means.clock.monotonic() + _REST_SECONDS

    def _claim_path(self, batch: str) -> Path:
        return self._means.bytes.folder / f"{batch}{SUFFIX}"

    async def _tidy(self) -> None:
        try:
            await self._forget()
            await self._cabinet.tidy()
            # A batch that is made between these two is claimed by whoever sees it then: at worst one look later.
            await run_sync(clear_claims, self._means.bytes.folder, await self._store.unfinished())
        except (OSError, SwitchgearError) as error:
            log.warning("files.untidy", reason=str(error))
        except Exception:
            log.exception("files.crashed")  # nor is this

    async def _forget(self) -> None:
        """Forget batches that ended long ago, and remove what is left of their results."""
        days = self._means.settings.keep_ended_days
        if days is None:
            return
        before, forgotten = self._means.clock.wall() - days * DAY, 0
        while batches := await self._store.remove_ended(before):
            forgotten += len(batches)
            for batch in batches:
                for file in filter(None, (batch.output_file, batch.error_file)):
                    if (kept := await self._cabinet.find(batch.tenant, file)) is not None:
                        await self._cabinet.remove(kept)
        if forgotten:
            log.info("batches.forgotten", batches=forgotten)
