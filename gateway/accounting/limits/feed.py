"""Keeps the limiter and the database in step: budgets that change come in within a second, counts go out in batches.

Without the database limits go on with what they know; what is counted meanwhile goes out when it is back.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from anyio import CancelScope, move_on_after, sleep

from gateway.accounting.limits.limiter import Limiter
from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.stores.budgets import BudgetStore
from gateway.stores.counters import Count

log = structlog.get_logger()

POLL_SECONDS = 0.5
SAVE_EVERY = 4  # polls
LAST_SECONDS = 2.0


class BudgetFeed:
    """Reads budgets and writes counts; `run` must be running."""

    def __init__(self, limiter: Limiter, budgets: BudgetStore, clock: Clock) -> None:
        self._limiter = limiter
        self._budgets = budgets
        self._clock = clock
        self._revision = -1
        self._unsaved: dict[tuple[str, int], Count] = {}
        self._lost = False
        self._started = False

    async def start(self) -> None:
        """Take in what was counted before, and the budgets. Raises StoreUnavailable."""
        self._limiter.store.restore(await self._budgets.load_counts(self._clock.wall()))
        await self.poll()
        self._started = True

    async def poll(self) -> None:
        """Take in the budgets if any has changed. Raises StoreUnavailable."""
        revision = await self._budgets.revision()
        if revision != self._revision:
            self._limiter.set_budgets(await self._budgets.list(None))
            self._revision = revision
            log.info("limits.budgets.loaded", revision=revision)

    async def save(self) -> None:
        """Write what has been counted since the last time. Raises StoreUnavailable; nothing is lost then."""
        self._note(self._limiter.store.counts())
        if self._unsaved:
            saving = dict(self._unsaved)
            await self._budgets.save_counts(saving.values(), self._clock.wall())
            self._unsaved = {name: count for name, count in self._unsaved.items() if saving.get(name) is not count}

    def _note(self, counts: Sequence[Count]) -> None:
        now = self._clock.wall()
        self._unsaved.update(((count.key, count.slot), count) for count in counts)
        self._unsaved = {name: count for name, count in self._unsaved.items() if count.expires > now}

    async def run(self) -> None:
        """Poll and save until cancelled, and save once more then."""
        turn = 0
        try:
            while True:
                await sleep(POLL_SECONDS)
                turn += 1
                await self.step(save=turn % SAVE_EVERY == 0)
        finally:
            with CancelScope(shield=True), move_on_after(LAST_SECONDS):
                await self.step(save=True)

    async def step(self, *, save: bool) -> None:
        """Do what is due. What the database refuses is logged once, and tried again the next time."""
        try:
            if self._started:
                await self.poll()
            else:
                await self.start()
            if save:
                await self.save()
        except SwitchgearError as error:
            if not self._lost:
                log.warning("limits.database.lost", reason=error.message)
            self._lost = True
        else:
            self._lost = False
