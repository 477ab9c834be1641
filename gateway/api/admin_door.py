"""The door of the admin API: who asks, with which right, for what. What is then done is each endpoint family's own business.

A foreign object and an absent one are the same here: one message, without the id that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from gateway.api.admin_rights import is_platform_owner, sees
from gateway.api.admin_shapes import MAX_BODY, decode_body, decode_query
from gateway.api.asgi import Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge
from gateway.api.plain import Document, PlainEndpoint
from gateway.core.caller import Caller
from gateway.core.errors import Forbidden, NotFound
from gateway.core.rights import Right, rights_of

T = TypeVar("T", bound=msgspec.Struct)

_ID = re.compile(r"[A-Za-z0-9._:@+/-]{1,128}")  # names of models may have slashes
PRIVATE = ((b"cache-control", b"no-store"),)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request: who asks, from which address, the id in the path (empty where there is none), query and body as they came."""

    caller: Caller
    address: str
    id: str
    accept: bytes
    query_bytes: bytes
    body_bytes: bytes
    depth: int

    def query(self, shape: type[T]) -> T:
        """Give the query string as `shape`. Raises InvalidRequest."""
        return decode_query(self.query_bytes, shape)

    def body(self, shape: type[T]) -> T:
        """Give the body as `shape`. Raises InvalidRequest."""
        return decode_body(self.body_bytes, shape, depth=self.depth)

    def tenant(self, wanted: str | None) -> str:
        """Give the tenant to act in: the one that is named, else the caller's. Raises NotFound for one that is not seen."""
        if wanted is None:
            return self.caller.tenant
        if not sees(self.caller, wanted):
            raise absent("tenant")
        return wanted

    def tenants(self, wanted: str | None) -> str | None:
        """Give the tenant to look into; None is all of them, which only a platform owner can look into at once."""
        return None if wanted is None and is_platform_owner(self.caller) else self.tenant(wanted)


Perform = Callable[[Asked], Awaitable[Document]]


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What one method of an endpoint does, and the right that it takes."""

    right: Right
    perform: Perform


def admin_endpoint(edge: Edge, what: str, deeds: Mapping[str, Deed]) -> PlainEndpoint:
    """Give an endpoint that does `deeds`, by method, to a `what`. GET answers HEAD too."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        deed = deeds["GET" if scope["method"] == "HEAD" else scope["method"]]
        document = await deed.perform(await read_asked(edge, scope, receive, what=what, right=deed.right))
        return msgspec.structs.replace(document, headers=(*document.headers, *PRIVATE))

    # Public, as far as PlainEndpoint is concerned: who calls is asked here, once, with all that a key may be bound to.
    methods = tuple(deeds) + (("HEAD",) if "GET" in deeds else ())
    return PlainEndpoint(edge, compute, methods=methods, public=True)


async def read_asked(edge: Edge, scope: Scope, receive: Receive, *, what: str, right: Right) -> Asked:
    """Read a request, and check that its caller has the right. Raises Unauthenticated, Forbidden and InvalidRequest."""
    headers = dict(scope["headers"])
    caller = await identified(edge, scope)
    require_right(caller, right)
    body = await read_body(receive, min(MAX_BODY, edge.body_bytes))
    if body:
        check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
    identifier = next(iter(scope.get("path_params", {}).values()), None)
    if identifier is not None and not _ID.fullmatch(identifier):
        # Nothing has such an id, so no store need be asked.
        raise absent(what)
    return Asked(
        caller=caller,
        address=(scope.get("client") or ("",))[0],
        id=identifier or "",
        accept=headers.get(b"accept", b""),
        query_bytes=scope.get("query_string", b""),
        body_bytes=body,
        depth=min(10, edge.json_depth),
    )


async def identified(edge: Edge, scope: Scope) -> Caller:
    """Give who asks. Raises Unauthenticated, Forbidden where a key may not be used from there, and RateLimited."""
    return await edge.current().identity.identify(scope["headers"], scope.get("client"))


def require_right(caller: Caller, right: Right) -> None:
    """Raise Forbidden where the caller's role has not this right."""
    if right in rights_of(caller.role):
        return
    if caller.kind == "anonymous":
        msg = "Administration needs a key with a role, from whatever address you come."
        raise Forbidden(msg)
    if not caller.role:
        msg = "This key has no administrative role. A key with one is made by `switchgear key create --role ROLE`."
        raise Forbidden(msg)
    msg = f"The role {caller.role!r} has not the right to do this ({right})."
    raise Forbidden(msg)


def absent(what: str) -> NotFound:
    """Give the one error for what does not exist, or not for this caller."""
    return NotFound(f"There is no such {what} here.")
