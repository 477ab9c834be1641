"""Puts the limiter together: who counts, what outlives the process, who is alerted. It decides nothing about calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import create_task_group, sleep

from gateway.accounting.limits.alerts import Alerts, Webhook
from gateway.accounting.limits.estimates import Price
from gateway.accounting.limits.feed import BudgetFeed
from gateway.accounting.limits.limiter import Limiter
from gateway.accounting.limits.soft import SoftLimits
from gateway.config.database_settings import RedisSettings
from gateway.config.limit_settings import LimitRuleSettings
from gateway.core.clock import Clock
from gateway.stores.budgets import BudgetStore
from gateway.stores.counters import CounterStore
from gateway.stores.counters_board import Board, open_board
from gateway.stores.counters_memory import MemoryCounters
from gateway.telemetry.metrics import Metric, Reading

if TYPE_CHECKING:
    from gateway.stores.counters_shared import SharedCounters

SWEEP_SECONDS = 10.0


class Limits:
    """The limiter, and what runs beside it. `shared` are the counters in Redis, where they are there."""

    def __init__(
        self,
        limiter: Limiter,
        alerts: Alerts,
        feed: BudgetFeed | None,
        board: Board | None,
        readings: tuple[Metric, ...],
        shared: SharedCounters | None = None,
    ) -> None:
        self.limiter = limiter
        self._alerts = alerts
        self._feed = feed
        self._board = board
        self._shared = shared
        self.metrics: tuple[Metric, ...] = (*limiter.metrics, alerts.sent, *readings)

    @property
    def redis_up(self) -> bool | None:
        """Whether limits are counted in Redis now; None where they never are."""
        return None if self._shared is None else self._shared.up

    async def start(self) -> None:
        """Take in budgets and earlier counts, before the first call. With the database away that waits until it is back."""
        if self._feed is not None:
            await self._feed.step(save=False)

    async def run(self) -> None:
        """Do all that is not on a call's path, until cancelled. Afterwards nothing is kept any more."""
        try:
            async with create_task_group() as tasks:
                tasks.start_soon(self.limiter.store.run)
                tasks.start_soon(self._alerts.run, self.limiter.store.first)
                tasks.start_soon(self._sweep)
                if self._feed is not None:
                    tasks.start_soon(self._feed.run)
        finally:
            self.close()

    def close(self) -> None:
        """Settle what has ended, and let go of the file; what is counted afterwards is not kept."""
        self.limiter.settle_ended()
        if self._board is not None:
            self._board.close()

    async def _sweep(self) -> None:
        while True:
            await sleep(SWEEP_SECONDS)
            self.limiter.sweep()


def open_limits(
    rules: Mapping[str, LimitRuleSettings],
    *,
    clock: Clock,
    price: Price,
    board: Path | None = None,
    budgets: BudgetStore | None = None,
    redis: RedisSettings | None = None,
    replicas: int = 1,
) -> Limits:
    """Put limits together: in Redis when it is configured, else in this process, with a `board` file where there is one.

    `replicas` is how many share a limit while Redis is lost.
    """
    alerts = Alerts(Webhook())
    soft = SoftLimits(clock, alerts.take)
    opened: Board | None = None
    shared: SharedCounters | None = None
    store: CounterStore
    if redis is not None:
        store = shared = _shared(redis, soft, clock, replicas)
        readings = _of_redis(shared)
    else:
        opened = None if board is None else open_board(board, clock.wall)
        store = memory = MemoryCounters(clock, board=opened, observe=soft.observe, snapshots=budgets is not None)
        readings = (Reading("switchgear_limit_counters", "Counters in memory.", lambda: {(): len(memory)}),)
    limiter = Limiter(store, soft, clock=clock, price=price)
    limiter.configure(rules)
    feed = None if budgets is None else BudgetFeed(limiter, budgets, clock)
    return Limits(limiter, alerts, feed, opened, readings, shared)


def _shared(settings: RedisSettings, soft: SoftLimits, clock: Clock, replicas: int) -> SharedCounters:
    # Heavy, and an optional extra: imported where Redis is configured.
    from gateway.stores.counters_redis import RedisCounters  # noqa: PLC0415
    from gateway.stores.counters_shared import SharedCounters  # noqa: PLC0415

    redis = RedisCounters(
        settings.url.reveal(),
        clock=clock,
        timeout=settings.timeout,
        connections=settings.connections,
        observe=soft.observe,
    )
    local = MemoryCounters(clock, observe=soft.observe)
    return SharedCounters(redis, local, clock=clock, replicas=replicas)


def _of_redis(store: SharedCounters) -> tuple[Metric, ...]:
    return (
        Reading(
            "switchgear_limit_redis_up",
            "Whether limits are counted in Redis (1), or alone while it is lost (0).",
            lambda: {(): int(store.up)},
        ),
        Reading(
            "switchgear_limit_redis_losses_total",
            "How often Redis was lost.",
            lambda: {(): store.losses},
            kind="counter",
        ),
        Reading(
            "switchgear_limit_admitted_alone_total",
            "Calls admitted while Redis was lost.",
            lambda: {(): store.admitted_alone},
            kind="counter",
        ),
    )
