"""Deletes ledger rows by tenant, user and age: a few at a time, with pauses, so that calls and other writers go on."""

from __future__ import annotations

from typing import Final

from anyio import sleep

from gateway.stores.ledger import LedgerStore

BATCH: Final = 500
PAUSE_SECONDS: Final = 0.05


async def remove_rows(
    store: LedgerStore,
    *,
    tenant: str | None = None,
    user: str | None = None,
    before: float | None = None,
    batch: int = BATCH,
    pause: float = PAUSE_SECONDS,
) -> int:
    """Delete every row that fits all conditions (`before` is seconds since 1970), and give their number.

    Raises StoreUnavailable in the middle when the database goes away: what was deleted stays so, and the next time goes on.
    ValueError without a condition.
    """
    removed = 0
    while True:
        count = await store.remove(tenant=tenant, user=user, before=before, limit=batch)
        removed += count
        if count < batch:
            return removed
        await sleep(pause)
