"""/admin/keys: virtual keys. A key is shown once, in the answer that makes it; nothing here can give it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin_door import Asked, Deed, admin_endpoint
from gateway.api.admin_records import Family, ListQuery, Noun, amended, worth_noting
from gateway.api.admin_rights import require_cover
from gateway.api.admin_services import NewKey, Services
from gateway.api.admin_shapes import END, Body, Id, Name, OptionalId, Patterns, TagName, Tags, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.errors import Conflict, InvalidRequest
from gateway.stores.directory import Role, VirtualKey
from gateway.stores.held_key import BOOTSTRAP_MARK, parse_network, parse_origin

LIST_PATH = "/admin/keys"
ONE_PATH = "/admin/keys/{key}"
ROTATE_PATH = "/admin/keys/{key}/rotate"
REVOKE_PATH = "/admin/keys/{key}/revoke"

Network = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[ -~]+{END}")]
Networks = Annotated[list[Network], Meta(max_length=100, description="Addresses and networks that it may come from.")]
Origin = Annotated[str, Meta(min_length=1, max_length=256, pattern=rf"^[!-~]+{END}")]
Origins = Annotated[list[Origin], Meta(max_length=100, description="Web origins that it may come from.")]
Metadata = Annotated[dict[TagName, Text], Meta(max_length=50, description="Whatever you note about the key.")]
KeyRole = Annotated[
    Role | Literal[""], Meta(description="What the key may administer; empty is nothing: a key for calls only.")
]
ExpiresAt = Annotated[float, Meta(ge=0, le=1e11, description="Seconds since 1970 (UTC).")]
ExpiresIn = Annotated[float, Meta(gt=0, le=1e9, description="Seconds from now, instead of `expires_at`.")]
Overlap = Annotated[float, Meta(ge=0, le=31_622_400, description="Seconds that the old key still works.")]


class KeyQuery(ListQuery, frozen=True, kw_only=True):
    """Which keys to list."""

    name: Name | None = None
    team: Id | None = None
    user: Id | None = None
    service_account: Id | None = None


class NewKeyBody(Body, frozen=True, kw_only=True):
    """A key to make; without `tenant` in the caller's own. It belongs to a user or to a service account, or to neither."""

    name: Name
    tenant: Id | None = None
    team: OptionalId = ""
    user: OptionalId = ""
    service_account: OptionalId = ""
    role: KeyRole = ""
    expires_at: ExpiresAt | None = None
    expires_in: ExpiresIn | None = None
    models: Patterns = msgspec.field(default_factory=list)
    tools: Patterns = msgspec.field(default_factory=list)
    ips: Networks = msgspec.field(default_factory=list)
    origins: Origins = msgspec.field(default_factory=list)
    tags: Tags = msgspec.field(default_factory=dict)
    metadata: Metadata = msgspec.field(default_factory=dict)


class KeyChange(Body, frozen=True, kw_only=True):
    """What to change of a key; lists and mappings are replaced whole."""

    name: Name | UnsetType = UNSET
    team: OptionalId | UnsetType = UNSET
    role: KeyRole | UnsetType = UNSET
    expires_at: ExpiresAt | UnsetType | None = UNSET
    expires_in: ExpiresIn | UnsetType = UNSET
    models: Patterns | UnsetType = UNSET
    tools: Patterns | UnsetType = UNSET
    ips: Networks | UnsetType = UNSET
    origins: Origins | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class Rotation(Body, frozen=True, kw_only=True):
    """How to replace a key: how long both work, and when the new one ends (without it: when the old one would have)."""

    overlap: Overlap = 3600.0
    expires_at: ExpiresAt | None = None
    expires_in: ExpiresIn | None = None


class Nothing(Body, frozen=True, kw_only=True):
    """A body without fields."""


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""
    return _Keys(edge, services).endpoints()


class _Keys:
    """The endpoints of keys; what all nouns have is Family's."""

    def __init__(self, edge: Edge, services: Services) -> None:
        self._edge = edge
        self._services = services
        noun = Noun[VirtualKey](
            word="key",
            repository=lambda directory: directory.keys,
            query=KeyQuery,
            make=self._make,
            amend=self._amend,
            cover=_cover,
            show=self._shown,
            tenant_of=lambda record: record.tenant,
        )
        self._family = Family(edge, services, noun)

    def endpoints(self) -> dict[str, AsgiApp]:
        many = {
            "GET": Deed(right="read", perform=self._family.list),
            "POST": Deed(right="write", perform=self._create),
        }
        return {
            LIST_PATH: admin_endpoint(self._edge, "key", many),
            ONE_PATH: self._family.one(),
            ROTATE_PATH: admin_endpoint(self._edge, "key", {"POST": Deed(right="write", perform=self._rotate)}),
            REVOKE_PATH: admin_endpoint(self._edge, "key", {"POST": Deed(right="write", perform=self._revoke)}),
        }

    async def _create(self, asked: Asked) -> Document:
        made = self._services.new_key()
        record = msgspec.structs.replace(self._make(asked), digest=made.digest, prefix=made.prefix)
        record = msgspec.structs.replace(record, team=record.team or await self._holders_team(record))
        details = worth_noting(self._shown(record))
        async with self._services.audited(asked, "key.created", ("key", record.id, record.tenant), details):
            kept = await self._services.the_directory.keys.create(record)
        await self._services.keys_changed()
        return self._once(kept, made)

    async def _rotate(self, asked: Asked) -> Document:
        old = await self._family.found(asked)
        # Whoever rotates a key holds the new one.
        _cover(asked, old)
        body = asked.body(Rotation) if asked.body_bytes else Rotation()
        now = self._services.clock.wall()
        if not old.works_at(now) or old.replaced_by:
            msg = "This key was revoked, replaced or has expired: make a new one."
            raise Conflict(msg)
        made = self._services.new_key()
        ends = self._expiry(body.expires_at, body.expires_in)
        successor = msgspec.structs.replace(
            old,
            id=self._services.new_id("key_"),
            digest=made.digest,
            prefix=made.prefix,
            created_at=now,
            last_used_at=None,
            expires_at=old.expires_at if ends is None else ends,
            metadata=_unmarked(old.metadata),
        )
        details = {"successor": successor.id, "overlap": body.overlap, "expires_at": successor.expires_at}
        async with self._services.audited(asked, "key.rotated", ("key", old.id, old.tenant), details):
            kept = await self._services.the_directory.keys.rotate(
                old.id, successor, tenant=asked.tenants(None), overlap_ends_at=now + body.overlap
            )
        await self._services.keys_changed()
        return self._once(kept, made)

    async def _revoke(self, asked: Asked) -> Document:
        key = await self._family.found(asked)
        _cover(asked, key)
        if asked.body_bytes:
            asked.body(Nothing)
        async with self._services.audited(asked, "key.revoked", ("key", key.id, key.tenant)):
            revoked = await self._services.the_directory.keys.revoke(
                key.id, tenant=asked.tenants(None), at=self._services.clock.wall()
            )
        await self._services.keys_changed()
        return json_document(self._shown(revoked))

    async def _holders_team(self, record: VirtualKey) -> str:
        """Give the team of whom the key belongs to; empty where there is none. That a holder is missing, the store says."""
        directory = self._services.the_directory
        if record.user:
            user = await directory.users.find(record.user, tenant=record.tenant)
            return "" if user is None else user.team
        if record.service_account:
            account = await directory.service_accounts.find(record.service_account, tenant=record.tenant)
            return "" if account is None else account.team
        return ""

    def _make(self, asked: Asked) -> VirtualKey:
        body = asked.body(NewKeyBody)
        if body.user and body.service_account:
            msg = "A key belongs to a user or to a service account, not to both."
            raise InvalidRequest(msg, param="service_account")
        require_cover(asked.caller, role=body.role, models=body.models, tools=body.tools)
        return VirtualKey(
            id=self._services.new_id("key_"),
            tenant=asked.tenant(body.tenant),
            name=body.name,
            prefix="",
            digest=b"",
            created_at=self._services.clock.wall(),
            team=body.team,
            user=body.user,
            service_account=body.service_account,
            role=body.role,
            expires_at=self._expiry(body.expires_at, body.expires_in),
            models=tuple(body.models),
            tools=tuple(body.tools),
            ips=_read_each("ips", body.ips, parse_network),
            origins=_read_each("origins", body.origins, parse_origin),
            tags=tuple(sorted(body.tags.items())),
            metadata=_unmarked(body.metadata),
        )

    def _amend(self, asked: Asked, record: VirtualKey) -> dict[str, Any]:
        del record
        changes = amended(asked.body(KeyChange))
        if "expires_in" in changes:
            changes["expires_at"] = self._expiry(changes.get("expires_at"), changes.pop("expires_in"))
        require_cover(
            asked.caller, role=changes.get("role", ""), models=changes.get("models"), tools=changes.get("tools")
        )
        return {name: _AS_KEPT.get(name, _as_it_is)(value) for name, value in changes.items()}

    def _expiry(self, at: float | None, within: float | None) -> float | None:
        """Give the time at which a key ends. Raises InvalidRequest for two of them, and for one that is over."""
        if at is not None and within is not None:
            msg = "Give `expires_at` or `expires_in`, not both."
            raise InvalidRequest(msg, param="expires_in")
        now = self._services.clock.wall()
        if at is not None and at <= now:
            msg = "`expires_at` is over already."
            raise InvalidRequest(msg, param="expires_at")
        return now + within if within is not None else at

    def _shown(self, record: VirtualKey) -> dict[str, Any]:
        return shown(record, self._services.clock.wall())

    def _once(self, record: VirtualKey, made: NewKey) -> Document:
        return json_document({**self._shown(record), "key": made.key})


def shown(record: VirtualKey, now: float) -> dict[str, Any]:
    """Give what may be shown of a key: neither the key nor its digest. `state` says whether it works now."""
    fields = msgspec.structs.asdict(record)
    del fields["digest"]
    fields["tags"] = dict(record.tags)
    return {"object": "key", **fields, "state": _state(record, now)}


def _state(record: VirtualKey, now: float) -> str:
    if record.works_at(now):
        return "rotating" if record.replaced_by else "active"
    if record.revoked_at is not None and record.revoked_at <= now:
        return "revoked"
    return "replaced" if record.replaced_by else "expired"


def _read_each(name: str, given: Iterable[str], parse: Callable[[str], object]) -> tuple[str, ...]:
    """Give networks or origins in the one form in which they are compared. Raises InvalidRequest for what is none."""
    try:
        return tuple(str(parse(text)) for text in given)
    except ValueError as exc:
        raise InvalidRequest(f"{exc}.", param=name) from exc


def _unmarked(metadata: dict[str, str]) -> dict[str, str]:
    """Give metadata without the mark of the key that was made at the first start: no other key has it."""
    return {name: value for name, value in metadata.items() if name != BOOTSTRAP_MARK}


def _as_it_is(value: Any) -> Any:
    return value


_AS_KEPT: dict[str, Callable[[Any], Any]] = {
    "models": tuple,
    "tools": tuple,
    "ips": lambda given: _read_each("ips", given, parse_network),
    "origins": lambda given: _read_each("origins", given, parse_origin),
    "tags": lambda given: tuple(sorted(given.items())),
    "metadata": _unmarked,
}
"""How fields of a change are kept."""


def _cover(asked: Asked, record: VirtualKey) -> None:
    require_cover(asked.caller, role=record.role, models=record.models, tools=record.tools)
