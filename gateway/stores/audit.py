"""The audit log's nouns and its port: who did what to what, in a chain of hashes. It opens no database and no file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.stores.audit_chain import AuditHead, AuditVerdict
from gateway.stores.audit_details import clean_details, clean_text

MOST_FOUND = 500
"""The most entries that one search gives."""


def _clean(record: msgspec.Struct, *names: str) -> None:
    """Make text fields safe while their record is made: it is frozen for everybody else."""
    for name in names:
        msgspec.structs.force_setattr(record, name, clean_text(getattr(record, name)))


class AuditActor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted: the caller's id (never a key), the tenant and administrative role it had, and the address it came from."""

    id: str
    tenant: str = ""
    role: str = ""
    address: str = ""

    @classmethod
    def of(cls, caller: Caller, *, address: str = "") -> AuditActor:
        """Give the actor that a caller is."""
        return cls(id=caller.id, tenant=caller.tenant, role=caller.role, address=address)

    def __post_init__(self) -> None:
        _clean(self, "id", "tenant", "role", "address")


SYSTEM = AuditActor(id="system", role="system")
"""The server itself: it reloads, drops what is too old, and starts."""


class AuditObject(msgspec.Struct, frozen=True, kw_only=True):
    """What was acted upon. `tenant` is whose it is, and decides who may read the entry; empty is the platform's."""

    kind: str
    id: str = ""
    tenant: str = ""

    def __post_init__(self) -> None:
        _clean(self, "kind", "id", "tenant")


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, before it has a place in the chain. `at` is in ms since 1970 (UTC).

    `id` is random and is the event's for good: what is handed in twice is written once. `details` is made safe whenever an
    event is made: bounded, and without what looks like a credential (see `audit_details`).
    """

    id: str
    at: int
    action: str
    actor: AuditActor
    object: AuditObject
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _clean(self, "action")
        msgspec.structs.force_setattr(self, "details", clean_details(self.details))


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An event in its place. `written` is when it was put there, in ms; the hashes are those of `audit_chain`, in hexadecimal."""

    seq: int
    event: AuditEvent
    written: int
    previous: str
    digest: str
    hash: str


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to find. `tenant` None is every tenant's. `action` ending in a dot is a prefix. Times in ms; `until` is excluded.

    `before` is the sequence number that the entries come before: the last one of the page that was given last.
    """

    tenant: str | None
    action: str | None = None
    actor: str | None = None
    kind: str | None = None
    object: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    limit: int = 100


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of appending: the new entries (none for events that were there already), and the head after them."""

    entries: tuple[AuditEntry, ...]
    head: AuditHead


class AuditStore(Protocol):
    """Keeps the chain. Every method raises StoreUnavailable when the database is away."""

    async def append(self, events: Iterable[AuditEvent]) -> Appended:
        """Put events at the end of the chain, in their order, all or none; one whose id is there already is left out."""
        ...

    async def find(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Give the newest entries first, at most `query.limit` (`MOST_FOUND` at the outside)."""
        ...

    async def head(self) -> AuditHead:
        """Give the end of the chain."""
        ...

    def export(self, *, tenant: str | None = None) -> AsyncIterator[bytes]:
        """Give the whole chain as lines of JSON, the head last; entries of other tenants without their content."""
        ...

    async def verify(self, *, anchors: Iterable[AuditHead] = ()) -> AuditVerdict:
        """Go through the whole chain and say what is wrong with it, and where."""
        ...
