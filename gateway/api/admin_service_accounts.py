"""/admin/service_accounts: the programs of a tenant."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.admin_door import Asked
from gateway.api.admin_records import Family, ListQuery, Noun, amended
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Id, Name, OptionalId
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.stores.directory import ServiceAccount

LIST_PATH = "/admin/service_accounts"
ONE_PATH = "/admin/service_accounts/{service_account}"


class ServiceAccountQuery(ListQuery, frozen=True, kw_only=True):
    """Which service accounts to list."""

    name: Name | None = None
    team: Id | None = None


class NewServiceAccount(Body, frozen=True, kw_only=True):
    """A service account to make; without `tenant` in the caller's own."""

    name: Name
    tenant: Id | None = None
    team: OptionalId = ""


class ServiceAccountChange(Body, frozen=True, kw_only=True):
    """What to change of a service account; an empty team takes it out of its team."""

    name: Name | UnsetType = UNSET
    team: OptionalId | UnsetType = UNSET


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    def make(asked: Asked) -> ServiceAccount:
        body = asked.body(NewServiceAccount)
        return ServiceAccount(
            id=services.new_id("service_"),
            tenant=asked.tenant(body.tenant),
            name=body.name,
            created_at=services.clock.wall(),
            team=body.team,
        )

    def amend(asked: Asked, record: ServiceAccount) -> dict[str, Any]:
        del record
        return amended(asked.body(ServiceAccountChange))

    noun = Noun[ServiceAccount](
        word="service_account",
        repository=lambda directory: directory.service_accounts,
        query=ServiceAccountQuery,
        make=make,
        amend=amend,
        cover=lambda asked, record: None,
        show=shown,
        tenant_of=lambda record: record.tenant,
        holds="service_account",
    )
    family = Family(edge, services, noun)
    return {LIST_PATH: family.many(), ONE_PATH: family.one()}


def shown(record: ServiceAccount) -> dict[str, Any]:
    """Give what may be shown."""
    return {"object": "service_account", **msgspec.structs.asdict(record)}
