"""What the admin API works on: the ports, as far as this server has them, and the log of what was done with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from gateway.api.admin_door import Asked
from gateway.core.clock import Clock
from gateway.core.errors import Unavailable
from gateway.core.ids import NewId
from gateway.stores.audit import AuditActor, AuditObject
from gateway.stores.audit_chain import AuditHead
from gateway.stores.audit_log import AuditLog
from gateway.stores.batches import BatchStore
from gateway.stores.budgets import BudgetStore
from gateway.stores.directory import Directory
from gateway.stores.key_material import digest_key, make_key, shown_prefix
from gateway.stores.key_ring import KeyRing
from gateway.stores.ledger import LedgerStore
from gateway.stores.memories import MemoryStore
from gateway.stores.shadows import ShadowStore

T = TypeVar("T")


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made: the only moment at which `key` is known. `digest` is its keyed hash, `prefix` its beginning."""

    key: str
    prefix: str
    digest: bytes

    def __repr__(self) -> str:
        return f"NewKey(prefix={self.prefix!r})"


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The ports. Any may be None where the configuration has no database: what needs it then says so.

    `anchors` reads the heads of the audit log that were kept outside the database. `write_ledger` writes the rows that wait.
    """

    clock: Clock
    new_id: NewId
    directory: Directory | None = None
    ring: KeyRing | None = None
    ledger: LedgerStore | None = None
    budgets: BudgetStore | None = None
    batches: BatchStore | None = None
    shadows: ShadowStore | None = None
    memories: MemoryStore | None = None
    audit: AuditLog | None = None
    anchors: Callable[[], Awaitable[tuple[AuditHead, ...]]] | None = None
    write_ledger: Callable[[], Awaitable[None]] | None = None

    @property
    def the_directory(self) -> Directory:
        """Give the directory. Raises Unavailable."""
        return _there(self.directory)

    @property
    def the_ledger(self) -> LedgerStore:
        """Give the ledger. Raises Unavailable."""
        return _there(self.ledger)

    @property
    def the_budgets(self) -> BudgetStore:
        """Give the budgets. Raises Unavailable."""
        return _there(self.budgets)

    @property
    def the_batches(self) -> BatchStore:
        """Give the batches. Raises Unavailable."""
        return _there(self.batches)

    @property
    def the_shadows(self) -> ShadowStore:
        """Give the comparisons of shadows. Raises Unavailable."""
        return _there(self.shadows)

    @property
    def the_memories(self) -> MemoryStore:
        """Give the memories. Raises Unavailable."""
        return _there(self.memories)

    @property
    def the_audit(self) -> AuditLog:
        """Give the audit log. Raises Unavailable."""
        return _there(self.audit)

    def new_key(self) -> NewKey:
        """Make a key. Raises Unavailable."""
        pepper = _there(self.ring).pepper
        key = make_key()
        return NewKey(key=key, prefix=shown_prefix(key), digest=digest_key(key.encode("ascii"), pepper))

    async def keys_changed(self) -> None:
        """See to it that what happened to keys holds here before the answer is read; other replicas find out by themselves."""
        if self.ring is not None:
            await self.ring.refresh()

    @asynccontextmanager
    async def audited(
        self, asked: Asked, action: str, about: tuple[str, str, str], details: Mapping[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Surround what is done to `about` (kind, id, tenant): it does not take place without its entry in the audit log.

        The body may add to the details that it is given.
        """
        kind, identifier, tenant = about
        actor = AuditActor.of(asked.caller, address=asked.address)
        noun = AuditObject(kind=kind, id=identifier, tenant=tenant)
        async with self.the_audit.around(action, actor=actor, about=noun, details=details) as found:
            yield found


def _there(port: T | None) -> T:
    if port is None:
        msg = "This server keeps no state: set `database` in its configuration to administer keys, budgets and usage."
        raise Unavailable(msg)
    return port
