"""/admin/tenants: organisations. Only a platform owner changes them; others see their own.

Names are unique over all tenants, so whoever may rename one can find out who else is here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.admin_door import Asked
from gateway.api.admin_records import Family, ListQuery, Noun, amended
from gateway.api.admin_rights import is_platform_owner
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Name
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.core.errors import Forbidden
from gateway.stores.directory import Tenant

LIST_PATH = "/admin/tenants"
ONE_PATH = "/admin/tenants/{tenant}"


class TenantQuery(ListQuery, frozen=True, kw_only=True):
    """Which tenants to list."""

    name: Name | None = None


class NewTenant(Body, frozen=True, kw_only=True):
    """A tenant to make."""

    name: Name


class TenantChange(Body, frozen=True, kw_only=True):
    """What to change of a tenant."""

    name: Name | UnsetType = UNSET


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    def make(asked: Asked) -> Tenant:
        _require_platform_owner(asked)
        return Tenant(id=services.new_id("tenant_"), name=asked.body(NewTenant).name, created_at=services.clock.wall())

    def amend(asked: Asked, record: Tenant) -> dict[str, Any]:
        del record
        return amended(asked.body(TenantChange))

    def cover(asked: Asked, record: Tenant) -> None:
        del record
        _require_platform_owner(asked)

    noun = Noun[Tenant](
        word="tenant",
        repository=lambda directory: directory.tenants,
        query=TenantQuery,
        make=make,
        amend=amend,
        cover=cover,
        show=shown,
        tenant_of=lambda record: record.id,
    )
    family = Family(edge, services, noun)
    return {LIST_PATH: family.many(), ONE_PATH: family.one()}


def shown(record: Tenant) -> dict[str, Any]:
    """Give what may be shown."""
    return {"object": "tenant", **msgspec.structs.asdict(record)}


def _require_platform_owner(asked: Asked) -> None:
    if not is_platform_owner(asked.caller):
        msg = "Tenants are made, renamed and deleted by an owner of the default tenant only."
        raise Forbidden(msg)
