"""The audit log as the rest of the server sees it: it makes events, and sees to it that each gets into the chain, once.

What cannot be appended because the database is away waits on disk and comes later, in order, with its own time. The chain is
the store's; who may read it is the edge's question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import structlog
from anyio import CancelScope, Event, Lock, move_on_after, sleep, to_thread

from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import StoreUnavailable, SwitchgearError
from gateway.core.ids import NewId, new_id
from gateway.stores.audit import SYSTEM, AuditActor, AuditEntry, AuditEvent, AuditObject, AuditStore
from gateway.stores.audit_anchor import AnchorFile
from gateway.stores.audit_chain import AuditHead
from gateway.stores.audit_queue import AuditQueue, unknown_outcome

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_BATCH: Final = 200
_RETRY_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 15.0
_LAST_SECONDS: Final = 2.0


class AuditLog:
    """Appends to the chain, or to the queue while the database is away. `run` must run for what is queued to leave it."""

    def __init__(
        self,
        store: AuditStore,
        queue: AuditQueue,
        *,
        anchor: AnchorFile | None = None,
        clock: Clock = SYSTEM_CLOCK,
        new_id: NewId = new_id,
    ) -> None:
        self.store = store
        self._queue = queue
        self._anchor = anchor
        self._clock = clock
        self._new_id = new_id
        self._lock = Lock()
        self._wake = Event()
        self.anchor_failures = 0
        if len(queue):
            self._wake.set()

    @property
    def waiting(self) -> int:
        """How many events wait for the database."""
        return len(self._queue)

    @property
    def lost(self) -> int:
        """How many events found the queue full, and are not yet told of in the chain."""
        return self._queue.lost

    async def append(
        self, action: str, *, actor: AuditActor, about: AuditObject, details: Mapping[str, Any] | None = None
    ) -> AuditEntry | None:
        """Put into the chain what has happened. None when it waits on disk, because the database is away.

        Raises StoreUnavailable when it can be kept in neither place.
        """
        # Whoever asked may leave meanwhile: it has happened all the same.
        entry = None
        with CancelScope(shield=True):
            entry = await self._settle(self._event(action, actor, about, details))
        return entry  # noqa: RET504 - to a type checker, a scope may swallow what is raised in it

    @asynccontextmanager
    async def around(
        self, action: str, *, actor: AuditActor, about: AuditObject, details: Mapping[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Surround an action that must not take place without its entry, even when this process is killed in the midst of it.

        The intent is on disk before the body runs. The body may add to the details that it is given; raising means that
        nothing took place, but for StoreUnavailable and cancellation: then the entry says that the outcome is unknown.
        Raises StoreUnavailable when the intent cannot be kept: then the body does not run.
        """
        event = self._event(action, actor, about, details)
        await self._intend(event)
        found = dict(event.details)
        try:
            yield found
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                await self._doubt(event)
            else:
                self._queue.settle([event.id])
            raise
        except BaseException:
            await self._doubt(event)
            raise
        with CancelScope(shield=True):
            await self._settle(msgspec.structs.replace(event, details=found))

    def record_later(
        self,
        action: str,
        *,
        actor: AuditActor = SYSTEM,
        about: AuditObject,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note what has happened, for who must not fail or wait: one write to disk, the chain a moment later. Never raises."""
        event = self._event(action, actor, about, details)
        try:
            kept = self._queue.add(event)
        except OSError as error:
            kept = False
            log.warning("audit.queue.failed", error=error.strerror)
        if not kept:
            self._queue.lost += 1
            log.error("audit.event.lost", action=event.action, id=event.id, waiting=self.waiting)
        self._wake.set()

    async def run(self) -> None:
        """Append what waits, until cancelled; then try once more, shortly. What is left stays on disk for the next start."""
        pause = _RETRY_SECONDS
        try:
            while True:
                await self._wake.wait()
                self._wake = Event()
                if await self._emptied():
                    pause = _RETRY_SECONDS
                else:
                    await sleep(pause)
                    pause = min(2 * pause, _LONGEST_SECONDS)
                    self._wake.set()
        finally:
            with move_on_after(_LAST_SECONDS, shield=True):
                await self._emptied()
            self._queue.close()

    def _event(
        self, action: str, actor: AuditActor, about: AuditObject, details: Mapping[str, Any] | None
    ) -> AuditEvent:
        return AuditEvent(
            id=self._new_id("aud_"),
            at=round(self._clock.wall() * 1000),
            action=action,
            actor=actor,
            object=about,
            details=dict(details or {}),
        )

    async def _intend(self, event: AuditEvent) -> None:
        try:
            if not self._queue.intend(event):
                raise StoreUnavailable(
                    "The audit log's queue is full: nothing may be changed until the database is back."
                )
            await to_thread.run_sync(self._queue.sync)
        except OSError as error:
            log.warning("audit.queue.failed", error=error.strerror)
            raise StoreUnavailable("The audit log cannot be written to: nothing may be changed.") from error

    async def _settle(self, event: AuditEvent) -> AuditEntry | None:
        """Append one event behind those that wait; leave it with them when that fails."""
        async with self._lock:
            try:
                await self._drain()
                return next(iter(await self._put([event])), None)
            except SwitchgearError as error:
                self._leave(event, error)
                return None

    async def _doubt(self, event: AuditEvent) -> None:
        with CancelScope(shield=True):
            await self._settle(unknown_outcome(event))

    def _leave(self, event: AuditEvent, cause: SwitchgearError) -> None:
        try:
            kept = self._queue.add(event)
        except OSError as error:
            raise StoreUnavailable("The audit log can be written to neither the database nor the disk.") from error
        if not kept:
            raise StoreUnavailable("The audit log's queue is full, and the database is away.") from cause
        self._wake.set()

    async def _emptied(self) -> bool:
        """Whether everything that waits could be appended."""
        try:
            async with self._lock:
                await self._drain()
                await self._tell_lost()
        except StoreUnavailable:
            return False
        except Exception:
            # Whatever it is: events wait on disk, and the server is worth more than this try.
            log.exception("audit.append.crashed", waiting=self.waiting)
            return False
        return True

    async def _drain(self) -> None:
        while batch := self._queue.first(_BATCH):
            await self._put(batch)

    async def _put(self, events: Iterable[AuditEvent]) -> tuple[AuditEntry, ...]:
        events = tuple(events)
        appended = await self.store.append(events)
        self._queue.settle(event.id for event in events)
        await self._hold(appended.head)
        return appended.entries

    async def _tell_lost(self) -> None:
        """Say in the chain itself that events are missing from it: a gap must be seen."""
        lost = self._queue.lost
        if lost:
            await self._put([self._event("audit.lost", SYSTEM, AuditObject(kind="audit"), {"events": lost})])
            self._queue.lost -= lost

    async def _hold(self, head: AuditHead) -> None:
        if self._anchor is None:
            return
        try:
            await to_thread.run_sync(self._anchor.write, head)
        except OSError as error:
            # The entry is in the chain; the next one brings the anchor up to date.
            self.anchor_failures += 1
            log.warning("audit.anchor.failed", error=error.strerror)
