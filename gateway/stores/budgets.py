"""The port of budgets: limits that are made while the server runs, and the counts that outlive it. No rule is applied here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from gateway.stores.counters import Count


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit made at run time. The fields are those of a limit of the configuration.

    `tenant` is whose it is: it counts that tenant's calls only; empty is everybody's, and the platform's owner makes those.
    `limit` is whole; money is in nano-dollars. Times are seconds since 1970. `version` grows with every change.
    """

    id: str
    tenant: str
    name: str
    count: Literal["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]
    limit: int
    per: tuple[str, ...] = ()
    match: Mapping[str, tuple[str, ...]] = {}
    window: str = "month"
    window_kind: Literal["rolling", "calendar"] = "calendar"
    time_zone: str = "UTC"
    soft: tuple[float, ...] = ()
    hard: bool = True
    created_at: float = 0.0
    updated_at: float = 0.0
    version: int = 1


class BudgetStore(Protocol):
    """Keeps budgets. A `tenant` of None asks for all tenants'. Everything raises StoreUnavailable when it cannot be asked."""

    async def add(self, budget: Budget) -> None:
        """Keep a new one. Raises Conflict when its tenant has one of that name."""
        ...

    async def replace(self, budget: Budget) -> bool:
        """Put it in the place of the version before it; False when there is none of its id, tenant and that version."""
        ...

    async def remove(self, tenant: str | None, budget: str) -> bool:
        """Remove one; False when the tenant has none of that id."""
        ...

    async def find(self, tenant: str | None, budget: str) -> Budget | None:
        """Give one, or None when the tenant has none of that id."""
        ...

    async def list(self, tenant: str | None) -> Sequence[Budget]:
        """Give all of them, by name."""
        ...

    async def revision(self) -> int:
        """Give a number that grows with every change of any budget."""
        ...

    async def save_counts(self, counts: Iterable[Count], now: float) -> None:
        """Keep what slots hold, in place of what was kept of them, and forget those that expired before `now`."""
        ...

    async def load_counts(self, now: float) -> Sequence[Count]:
        """Give what was kept and has not expired."""
        ...
