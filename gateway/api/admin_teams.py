"""/admin/teams: the parts of a tenant."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.admin_door import Asked
from gateway.api.admin_records import Family, ListQuery, Noun, amended
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Id, Name
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.stores.directory import Team

LIST_PATH = "/admin/teams"
ONE_PATH = "/admin/teams/{team}"


class TeamQuery(ListQuery, frozen=True, kw_only=True):
    """Which teams to list."""

    name: Name | None = None


class NewTeam(Body, frozen=True, kw_only=True):
    """A team to make; without `tenant` in the caller's own."""

    name: Name
    tenant: Id | None = None


class TeamChange(Body, frozen=True, kw_only=True):
    """What to change of a team."""

    name: Name | UnsetType = UNSET


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    def make(asked: Asked) -> Team:
        body = asked.body(NewTeam)
        return Team(
            id=services.new_id("team_"),
            tenant=asked.tenant(body.tenant),
            name=body.name,
            created_at=services.clock.wall(),
        )

    def amend(asked: Asked, record: Team) -> dict[str, Any]:
        del record
        return amended(asked.body(TeamChange))

    noun = Noun[Team](
        word="team",
        repository=lambda directory: directory.teams,
        query=TeamQuery,
        make=make,
        amend=amend,
        cover=lambda asked, record: None,
        show=shown,
        tenant_of=lambda record: record.tenant,
    )
    family = Family(edge, services, noun)
    return {LIST_PATH: family.many(), ONE_PATH: family.one()}


def shown(record: Team) -> dict[str, Any]:
    """Give what may be shown."""
    return {"object": "team", **msgspec.structs.asdict(record)}
