"""The desk: takes in batches, shows them, and cancels them. Running them is the runner's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog

from gateway.batches.cabinet import Cabinet
from gateway.batches.runner import Runner
from gateway.config.batch_settings import BatchSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidRequest, NotFound, RateLimited
from gateway.core.ids import NewId
from gateway.stores.batches import UNFINISHED, Batch, BatchStore

log = structlog.get_logger()
replace = msgspec.structs.replace

WINDOWS: Final[Mapping[str, float]] = {"24h": 86_400.0}
"""How long a batch may take, in seconds."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A batch to make. `keep_seconds` is how long its results are kept, None as the settings say."""

    input_file: str
    endpoint: str
    window: str
    metadata: dict[str, str]
    keep_seconds: float | None = None


class Desk:
    """Batches of a tenant, for the API."""

    def __init__(
        self,
        store: BatchStore,
        cabinet: Cabinet,
        runner: Runner,
        settings: BatchSettings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._store = store
        self._cabinet = cabinet
        self._runner = runner
        self._settings = settings
        self._clock = clock
        self._new_id = new_id

    async def create(self, caller: Caller, wish: Wish) -> Batch:
        """Make a batch. Raises NotFound, InvalidRequest, RateLimited where the tenant has too many, and StoreUnavailable."""
        file = await self._cabinet.find(caller.tenant, wish.input_file)
        if file is None:
            raise NotFound("There is no such file here.", param="input_file_id")
        if file.purpose != "batch":
            msg = f"The file has the purpose {file.purpose!r}; the input of a batch has `batch`."
            raise InvalidRequest(msg, param="input_file_id")
        now = self._clock.wall()
        batch = Batch(
            id=self._new_id("batch_"),
            tenant=caller.tenant,
            caller=caller,
            endpoint=wish.endpoint,
            input_file=file.id,
            window=wish.window,
            status="validating",
            created_at=now,
            expires_at=now + WINDOWS[wish.window],
            keep_seconds=wish.keep_seconds,
            metadata=wish.metadata,
        )
        most = self._settings.unfinished
        if not await self._store.add(batch, most_unfinished=most):
            msg = f"This tenant has {most} unfinished batches, which is the most: wait until one ends, or cancel one."
            raise RateLimited(msg, retry_after=60.0)
        log.info("batch.created", batch=batch.id, tenant=batch.tenant, file=file.id)
        self._runner.wake()
        return batch

    async def find(self, tenant: str, batch: str) -> Batch:
        """Give a batch. Raises NotFound."""
        found = await self._store.find(tenant, batch)
        if found is None:
            raise NotFound("There is no such batch here.")
        return found

    async def list(self, tenant: str, *, after: str, limit: int) -> Sequence[Batch]:
        """Give a page of a tenant's batches, the newest first."""
        return await self._store.list(tenant, after=after, limit=limit)

    async def cancel(self, tenant: str, batch: str) -> Batch:
        """Cancel a batch; one that is being cancelled stays as it is. Raises NotFound, and Conflict where it is too late."""
        cancelled = await cancel(self._store, tenant, batch, now=self._clock.wall())
        self._runner.cancel(batch)
        return cancelled


async def cancel(store: BatchStore, tenant: str | None, batch: str, *, now: float) -> Batch:
    """Say in the store that a batch is to be cancelled, which who runs it notices within a second. Raises as the desk does."""
    while True:
        found = await store.find(tenant, batch)
        if found is None:
            raise NotFound("There is no such batch here.")
        if found.status == "cancelling":
            return found
        if found.status == "finalizing" or found.status not in UNFINISHED:
            raise Conflict(f"The batch cannot be cancelled any more: it is {found.status}.")
        wanted = replace(found, status="cancelling", cancelling_at=now, version=found.version + 1)
        if await store.replace(wanted):
            log.info("batch.cancelling", batch=batch, tenant=found.tenant)
            return wanted
