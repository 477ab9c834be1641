"""/admin/users: the people of a tenant, and their roles."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.api.admin_door import Asked
from gateway.api.admin_records import Family, ListQuery, Noun, amended
from gateway.api.admin_rights import require_cover
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Id, Name, OptionalId, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.stores.directory import Role, User

LIST_PATH = "/admin/users"
ONE_PATH = "/admin/users/{user}"

Email = Annotated[
    str, Meta(max_length=254, pattern=r"^([^\s@<>()\u0000-\u001f\u007f]+@[^\s@<>()\u0000-\u001f\u007f]+)?(?![\s\S])")
]
RoleField = Annotated[Role, Meta(description="What the person may administer.")]


class UserQuery(ListQuery, frozen=True, kw_only=True):
    """Which users to list."""

    name: Name | None = None
    team: Id | None = None
    email: Email | None = None
    subject: Text | None = None
    role: RoleField | None = None


class NewUser(Body, frozen=True, kw_only=True):
    """A user to make; without `tenant` in the caller's own. `subject` is the identity provider's name for the person."""

    name: Name
    tenant: Id | None = None
    team: OptionalId = ""
    email: Email = ""
    subject: Text = ""
    role: RoleField = "member"


class UserChange(Body, frozen=True, kw_only=True):
    """What to change of a user; an empty text takes it away."""

    name: Name | UnsetType = UNSET
    team: OptionalId | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    subject: Text | UnsetType = UNSET
    role: RoleField | UnsetType = UNSET


def endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    def make(asked: Asked) -> User:
        body = asked.body(NewUser)
        require_cover(asked.caller, role=body.role)
        return User(
            id=services.new_id("user_"),
            tenant=asked.tenant(body.tenant),
            name=body.name,
            created_at=services.clock.wall(),
            team=body.team,
            email=body.email,
            subject=body.subject,
            role=body.role,
        )

    def amend(asked: Asked, record: User) -> dict[str, Any]:
        del record
        changes = amended(asked.body(UserChange))
        require_cover(asked.caller, role=changes.get("role", ""))
        return changes

    noun = Noun[User](
        word="user",
        repository=lambda directory: directory.users,
        query=UserQuery,
        make=make,
        amend=amend,
        # Who changes the e-mail address or the subject of an owner can become that owner.
        cover=lambda asked, record: require_cover(asked.caller, role=record.role),
        show=shown,
        tenant_of=lambda record: record.tenant,
        holds="user",
    )
    family = Family(edge, services, noun)
    return {LIST_PATH: family.many(), ONE_PATH: family.one()}


def shown(record: User) -> dict[str, Any]:
    """Give what may be shown."""
    return {"object": "user", **msgspec.structs.asdict(record)}
