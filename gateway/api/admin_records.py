"""The five methods that every noun of the directory has: list, make, show, change, delete. What differs is a `Noun`'s business.

The order is the same everywhere: is it seen, is it covered by the caller's own rights, is it written down; then it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_rights import require_cover
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import MAX_PAGE, Body, Cursor, Id, Limit
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.errors import InvalidRequest
from gateway.stores.directory import Directory, Repository


class Record(Protocol):
    """What all records of the directory have."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


R = TypeVar("R", bound=Record)


class ListQuery(Body, frozen=True, kw_only=True):
    """What every list takes; more fields of a subclass are what to filter by."""

    tenant: Id | None = None
    limit: Limit = 100
    after: Cursor = ""

    def where(self) -> dict[str, str]:
        """Give the filters that were named."""
        common = ("tenant", "limit", "after")
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name not in common}
        return {name: value for name, value in fields.items() if value is not None}


class Noun(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """One kind of record. `word` is what it is called ("service_account").

    `make` reads a body to a record; `amend` reads the changes to one; both check that the caller's rights cover them.
    `cover` checks that they cover the record as it is. `show` gives what may be shown. `tenant_of` gives whose it is.
    `holds` is the field of a key that names such a record: its keys are deleted with it. Empty where it holds none.
    """

    word: str
    repository: Callable[[Directory], Repository[R]]
    query: type[ListQuery]
    make: Callable[[Asked], R]
    amend: Callable[[Asked, R], dict[str, Any]]
    cover: Callable[[Asked, R], None]
    show: Callable[[R], dict[str, Any]]
    tenant_of: Callable[[R], str]
    holds: str = ""


class Family(Generic[R]):
    """The endpoints of one noun."""

    def __init__(self, edge: Edge, services: Services, noun: Noun[R]) -> None:
        self._edge = edge
        self._services = services
        self._noun = noun

    def many(self) -> AsgiApp:
        """Give the endpoint of the collection."""
        deeds = {"GET": Deed(right="read", perform=self.list), "POST": Deed(right="write", perform=self._create)}
        return admin_endpoint(self._edge, self._noun.word, deeds)

    def one(self) -> AsgiApp:
        """Give the endpoint of one object."""
        deeds = {
            "GET": Deed(right="read", perform=self._show),
            "PATCH": Deed(right="write", perform=self._change),
            "DELETE": Deed(right="write", perform=self._delete),
        }
        return admin_endpoint(self._edge, self._noun.word, deeds)

    async def found(self, asked: Asked) -> R:
        """Give the object that the path names. Raises NotFound, for a foreign one too."""
        record = await self._repository.find(asked.id, tenant=asked.tenants(None))
        if record is None:
            raise absent(self._noun.word)
        return record

    @property
    def _repository(self) -> Repository[R]:
        return self._noun.repository(self._services.the_directory)

    async def list(self, asked: Asked) -> Document:
        """Give a page of what the caller sees."""
        query = asked.query(self._noun.query)
        page = await self._repository.list(
            tenant=asked.tenants(query.tenant), where=query.where(), after=query.after, limit=query.limit
        )
        return listed([self._noun.show(record) for record in page.items], page.next)

    async def _create(self, asked: Asked) -> Document:
        record = self._noun.make(asked)
        details = worth_noting(self._noun.show(record))
        async with self._services.audited(asked, f"{self._noun.word}.created", self._object(record), details):
            made = await self._repository.create(record)
        return json_document(self._noun.show(made))

    async def _show(self, asked: Asked) -> Document:
        return json_document(self._noun.show(await self.found(asked)))

    async def _change(self, asked: Asked) -> Document:
        record = await self.found(asked)
        self._noun.cover(asked, record)
        changes = self._noun.amend(asked, record)
        if not changes:
            msg = "There is nothing to change in this body."
            raise InvalidRequest(msg)
        async with self._services.audited(asked, f"{self._noun.word}.updated", self._object(record), changes):
            changed = await self._repository.update(asked.id, changes, tenant=asked.tenants(None))
        await self._services.keys_changed()
        return json_document(self._noun.show(changed))

    async def _delete(self, asked: Asked) -> Document:
        record = await self.found(asked)
        self._noun.cover(asked, record)
        if self._noun.holds:
            await self._cover_keys(asked, self._noun.holds)
        async with self._services.audited(asked, f"{self._noun.word}.deleted", self._object(record)):
            await self._repository.delete(asked.id, tenant=asked.tenants(None))
        await self._services.keys_changed()
        return json_document({"object": self._noun.word, "id": record.id, "deleted": True})

    async def _cover_keys(self, asked: Asked, holder: str) -> None:
        """Raise Forbidden where a key that works and would go too is not the caller's to revoke."""
        keys, now = self._services.the_directory.keys, self._services.clock.wall()
        page = await keys.list(tenant=asked.tenants(None), where={holder: asked.id}, limit=MAX_PAGE)
        while True:
            for key in page.items:
                if key.works_at(now):
                    require_cover(asked.caller, role=key.role, models=key.models, tools=key.tools)
            if not page.next:
                return
            page = await keys.list(
                tenant=asked.tenants(None), where={holder: asked.id}, after=page.next, limit=MAX_PAGE
            )

    def _object(self, record: R) -> tuple[str, str, str]:
        return self._noun.word, record.id, self._noun.tenant_of(record)


def listed(entries: list[Any], following: str) -> Document:
    """Give a page of a list. `next` is what to send as `after`; null at the end."""
    return json_document({"object": "list", "data": entries, "has_more": bool(following), "next": following or None})


def worth_noting(shown: dict[str, Any]) -> dict[str, Any]:
    """Give what of a new object goes into the audit log: what was said of it, and not what an entry says anyway."""
    said_anyway = ("object", "id", "tenant", "created_at", "updated_at", "state", "version")
    return {
        name: value for name, value in shown.items() if name not in said_anyway and value not in (None, "", (), [], {})
    }


def amended(body: msgspec.Struct) -> dict[str, Any]:
    """Give the fields of a body that were named in it."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}
