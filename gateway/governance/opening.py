"""What governs calls: opens the stores that the settings name, and what works on them, before the application is made.

Without a database there are the configuration's keys and tokens, and nothing is kept. It decides nothing itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec

from gateway.accounting.limits.opening import Limits, open_limits
from gateway.api.admin_services import Services
from gateway.api.identity import Identities
from gateway.config import Settings
from gateway.config.database_settings import SqliteSettings
from gateway.config.paths import resolve_path
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.ids import new_id
from gateway.governance.in_force import PricesInForce
from gateway.governance.state import State, store_metrics, store_states
from gateway.live import ReloadReport
from gateway.stores.audit import AuditObject
from gateway.stores.budgets import BudgetStore
from gateway.telemetry.metrics import Metric

if TYPE_CHECKING:
    from gateway.governance.kept import Kept


class Runs(Protocol):
    """Something that works in the background until it is cancelled."""

    async def run(self) -> None:
        """Work."""
        ...


class Governance:
    """The parts, for the composition root. `kept` is None without a database; `metrics` are those of all parts."""

    def __init__(
        self,
        identities: Identities,
        services: Services,
        limits: Limits,
        prices: PricesInForce,
        kept: Kept | None = None,
    ) -> None:
        self.identities = identities
        self.services = services
        self.limits = limits
        self.prices = prices
        self.kept = kept
        self.metrics: tuple[Metric, ...] = (*limits.metrics, *(() if kept is None else store_metrics(kept)))

    def stores(self) -> dict[str, State]:
        """Give the state of each store, for /readyz."""
        return store_states(self.limits, self.kept)

    def take_reload(self, settings: Settings, reason: str, report: ReloadReport) -> None:
        """Put the limits of the settings in force into force, and the reload into the audit log, also one that was refused."""
        self.limits.limiter.configure(settings.limits)
        if self.kept is None:
            return
        details: dict[str, object] = {"reason": reason, "generation": report.generation}
        if report.status == "refused":
            details["faults"] = [str(fault) for fault in report.faults]
        else:
            details["changes"] = [f"{change.kind} {change.path}" for change in report.changes]
        action = "config.refused" if report.status == "refused" else "config.reloaded"
        self.kept.audit.record_later(action, about=AuditObject(kind="config"), details=details)

    async def start(self) -> None:
        """Take in what limits counted before, ahead of the first call."""
        await self.limits.start()

    async def run(self) -> None:
        """Keep everything going until cancelled."""
        kept = self.kept
        workers: list[Runs] = [self.limits]
        if kept is not None:
            workers += [kept.ring, kept.ledger, kept.audit]
        async with anyio.create_task_group() as tasks:
            for worker in workers:
                tasks.start_soon(worker.run)

    async def finish(self) -> None:
        """Write what the last records left, when `run` has ended."""
        if self.kept is not None:
            await self.kept.ledger.aclose()


def without_stores(settings: Settings, clock: Clock) -> Governance:
    """Give what there is without a database: counts then end with the process."""
    prices = PricesInForce()
    limits = _limits(settings, prices, clock)
    return Governance(Identities(clock=clock), Services(clock=clock, new_id=new_id), limits, prices)


@asynccontextmanager
async def open_governance(
    settings: Settings, *, base: Path, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK
) -> AsyncIterator[Governance]:
    """Open what the settings name, and close it at the end. Relative paths count from `base`, the configuration's folder.

    Raises GovernanceRefused.
    """
    if settings.database is None:
        yield without_stores(settings, clock)
        return
    # Loads SQLAlchemy, 0.4 s, which only those pay who have a database.
    from gateway.governance.stores import open_stores  # noqa: PLC0415

    located = _located(settings, lambda text: resolve_path(text, base=base, environ=environ))
    prices = PricesInForce()
    kept = await open_stores(located, clock=clock, pricing=prices)
    try:
        database = located.database
        board = Path(f"{database.path}.limits") if isinstance(database, SqliteSettings) else None
        limits = _limits(located, prices, clock, board, kept.services.budgets)
        yield Governance(Identities(ring=kept.ring, clock=clock), kept.services, limits, prices, kept)
    finally:
        with anyio.CancelScope(shield=True):
            await kept.database.aclose()


def _limits(
    settings: Settings,
    prices: PricesInForce,
    clock: Clock,
    board: Path | None = None,
    budgets: BudgetStore | None = None,
) -> Limits:
    redis = settings.redis
    return open_limits(
        settings.limits,
        clock=clock,
        price=prices.of_model,
        board=board,
        budgets=budgets,
        redis=redis,
        replicas=1 if redis is None else redis.replicas,
    )


def _located(settings: Settings, located: Callable[[str], Path]) -> Settings:
    """Give the settings with absolute paths."""
    replace = msgspec.structs.replace
    database, access, audit = settings.database, settings.access, settings.audit
    if isinstance(database, SqliteSettings):
        database = replace(database, path=str(located(database.path)))
    if access.bootstrap_key_file is not None:
        access = replace(access, bootstrap_key_file=str(located(access.bootstrap_key_file)))
    batches = settings.batches
    if batches is not None:
        batches = replace(batches, folder=str(located(batches.folder)))
    anchor = None if audit.anchor is None else str(located(audit.anchor))
    return replace(
        settings,
        database=database,
        access=access,
        batches=batches,
        audit=replace(audit, anchor=anchor, queue=str(located(audit.queue))),
        ledger=replace(settings.ledger, spool=str(located(settings.ledger.spool))),
    )
