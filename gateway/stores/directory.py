"""Directory: who there is (tenants, teams, users, service accounts) and the virtual keys that they hold.

This is the port: the records, and what a store of them does. It never says who may read or change them, and never sees a
key, only its digest. Every look-up is within one tenant; `tenant=None` is for the platform's own owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

Role = Literal["owner", "admin", "auditor", "approver", "member"]
ROLES: Final[tuple[Role, ...]] = ("owner", "admin", "auditor", "approver", "member")

MOST_AT_ONCE: Final = 1000
"""The most records in one page."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation. Names are unique. `created_at` is seconds since 1970, here and below."""

    id: str
    name: str
    created_at: float


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a tenant; its name is unique there."""

    id: str
    tenant: str
    name: str
    created_at: float


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a tenant. `team`, `email` and `subject` are empty where there is none.

    `email` is kept in lower case; `subject` is the identity provider's name for the person. Each is unique in its tenant.
    """

    id: str
    tenant: str
    name: str
    created_at: float
    team: str = ""
    email: str = ""
    subject: str = ""
    role: Role = "member"


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A program in a tenant; its name is unique there. `team` is empty where there is none."""

    id: str
    tenant: str
    name: str
    created_at: float
    team: str = ""


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the data plane, or with a `role` of the administration too. The key itself is kept nowhere.

    `prefix` is its beginning, for display; `digest` its keyed hash, unique. It belongs to `user` or to `service_account`
    (at most one of them; the other is empty), and to `team` if any. `models` and `tools` are patterns of what it may ask
    for, `ips` the networks and `origins` the web origins that it may come from; none is everything. `tags` go to limits
    and the ledger. Times are seconds since 1970, None when the thing has not happened or never will. After a rotation
    `replaced_by` is the successor's id and the key works until `overlap_ends_at`.
    """

    id: str
    tenant: str
    name: str
    prefix: str
    digest: bytes
    created_at: float
    team: str = ""
    user: str = ""
    service_account: str = ""
    role: Role | Literal[""] = ""
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None
    replaced_by: str = ""
    overlap_ends_at: float | None = None
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, str] = {}

    def works_at(self, now: float) -> bool:
        """Whether the key opens anything at this time (seconds since 1970)."""
        ends = (self.revoked_at, self.expires_at, self.overlap_ends_at)
        return all(end is None or now < end for end in ends)

    def __repr__(self) -> str:
        # Not the digest: a repr ends up in logs.
        return f"VirtualKey(id={self.id!r}, tenant={self.tenant!r}, prefix={self.prefix!r})"


class KeyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to keys after some revision: those made or changed, and the ids of those that are gone.

    `revision` is where to go on from. A key may be told of twice, never not at all.
    """

    revision: int
    keys: tuple[VirtualKey, ...] = ()
    removed: tuple[str, ...] = ()


R = TypeVar("R")


class Page(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """Some of a list, oldest first. `next` is the `after` of the page that follows, empty at the end."""

    items: tuple[R, ...]
    next: str = ""


class Repository(Protocol[R]):
    """What there is of one noun. `tenant` is whose; with None, anybody's. A foreign record is as good as none.

    All raise StoreUnavailable when the store is away.
    """

    async def create(self, record: R) -> R:
        """Add a record and return it as kept (names in Unicode's form NFC, addresses in lower case).

        Raises Conflict when its id or something unique is taken, InvalidRequest for a value that cannot be kept or a
        team, user, service account or tenant that is not there.
        """
        ...

    async def find(self, record_id: str, *, tenant: str | None) -> R | None:
        """Return the record of that id, if there is one."""
        ...

    async def list(
        self, *, tenant: str | None, where: Mapping[str, str] = {}, after: str = "", limit: int = 100
    ) -> Page[R]:
        """Return records by age, `limit` at once (at most 1000), those whose fields equal `where`.

        A record that is there all the while comes exactly once, whatever is made or deleted between pages.
        `where` may name `name` and each field that refers to something else, and `email`, `subject` and `role` of users.
        Raises InvalidRequest for an `after` that no page gave, and for another field.
        """
        ...

    async def update(self, record_id: str, changes: Mapping[str, object], *, tenant: str | None) -> R:
        """Change the fields named, leave the others, and return the record.

        Raises NotFound, Conflict and InvalidRequest; a field that cannot change is an InvalidRequest.
        """
        ...

    async def delete(self, record_id: str, *, tenant: str | None) -> None:
        """Remove a record; with a user or a service account its keys.

        Raises NotFound, and Conflict while others refer to it, or for the default tenant.
        """
        ...


class Keys(Repository[VirtualKey], Protocol):
    """Virtual keys. `update` leaves alone what makes the key itself: revoke and rotate are acts of their own."""

    async def revoke(self, key_id: str, *, tenant: str | None, at: float) -> VirtualKey:
        """End a key at this time; one that was revoked before keeps its time. Raises NotFound."""
        ...

    async def rotate(
        self, key_id: str, successor: VirtualKey, *, tenant: str | None, overlap_ends_at: float
    ) -> VirtualKey:
        """Add `successor` and let the old key work until `overlap_ends_at`, both or neither; return the successor.

        Raises NotFound, and Conflict for a key that was revoked or rotated before.
        """
        ...

    async def revision(self) -> int:
        """Return a number that grows with every change to a key (`touch` is none). One integer is read."""
        ...

    async def changed_since(self, revision: int) -> KeyChanges:
        """Return what happened to the keys of all tenants after this revision; 0 is before everything."""
        ...

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys (by id) were last used, in one transaction. It never goes back; unknown ids are ignored."""
        ...


class Directory(Protocol):
    """The five nouns."""

    @property
    def tenants(self) -> Repository[Tenant]:
        """Tenants; a tenant's own id is its `tenant`."""
        ...

    @property
    def teams(self) -> Repository[Team]:
        """Teams."""
        ...

    @property
    def users(self) -> Repository[User]:
        """People."""
        ...

    @property
    def service_accounts(self) -> Repository[ServiceAccount]:
        """Programs."""
        ...

    @property
    def keys(self) -> Keys:
        """Virtual keys."""
        ...
