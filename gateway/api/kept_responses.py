"""/v1/responses/{id}: showing a stored response, looking on at it, cancelling and deleting it, and what it was asked.

A response belongs to a tenant: every caller of it sees it, and for all others it is not there.
"""

from __future__ import annotations

from typing import Annotated

import structlog
from msgspec import Meta

from gateway.agents.desk import RunDesk
from gateway.api.admin_shapes import decode_query
from gateway.api.asgi import AsgiApp, AsgiSend, Receive, Scope
from gateway.api.attending import attend
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.errors import reply_error
from gateway.api.noting import note
from gateway.api.pages import INCLUDE, IncludeQuery, ItemsQuery, pick
from gateway.api.plain import CALLER, Document, PlainEndpoint, by_method, json_document
from gateway.api.run_relay import RunStream
from gateway.api.stored_ids import response_id
from gateway.core.caller import Caller
from gateway.core.errors import InternalError, InvalidRequest, NotFound, SwitchgearError
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.stores.audit_log import AuditLog

log = structlog.get_logger()

ONE_PATH = "/v1/responses/{response}"
CANCEL_PATH = "/v1/responses/{response}/cancel"
ITEMS_PATH = "/v1/responses/{response}/input_items"
_MOST_EVENTS = 2**53


class RetrieveQuery(IncludeQuery, frozen=True, kw_only=True):
    """How to show a response."""

    stream: Annotated[bool, Meta(description="Give its events, those to come as well, until its end.")] = False
    starting_after: (
        Annotated[int, Meta(ge=-1, le=_MOST_EVENTS, description="Give only events after the one with this number.")]
        | None
    ) = None
    include_obfuscation: Annotated[bool | None, Meta(description="Taken; nothing is padded.")] = None


def endpoints(edge: Edge, desk: RunDesk | None, audit: AuditLog | None = None) -> dict[str, AsgiApp]:
    """Give the endpoints; without a desk they say that this server keeps no responses."""
    responses = _Responses(desk, audit)
    one = by_method(edge, {"GET": responses.show, "DELETE": responses.delete})
    return {
        ONE_PATH: _OneResponse(edge, responses, one),
        CANCEL_PATH: by_method(edge, {"POST": responses.cancel}),
        ITEMS_PATH: by_method(edge, {"GET": responses.items}),
    }


class _Responses:
    def __init__(self, desk: RunDesk | None, audit: AuditLog | None) -> None:
        self._audit = audit
        self._there = desk

    @property
    def desk(self) -> RunDesk:
        if self._there is None:
            msg = "This server keeps no responses: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        return self._there

    async def show(self, scope: Scope, receive: Receive) -> Document:
        del receive
        desk, query = self.desk, _query(scope)
        if query.starting_after is not None:
            msg = "`starting_after` is for streams: ask with `stream=true`."
            raise InvalidRequest(msg, param="starting_after")
        run = await desk.find(_tenant(scope), _named(scope))
        return json_document(await desk.document(run))

    async def delete(self, scope: Scope, receive: Receive) -> Document:
        del receive
        desk, name = self.desk, _named(scope)
        await desk.remove(_tenant(scope), name)
        note(self._audit, scope, "response.deleted", ("response", name))
        return json_document({"id": name, "object": "response", "deleted": True})

    async def cancel(self, scope: Scope, receive: Receive) -> Document:
        del receive
        desk = self.desk
        run = await desk.cancel(_tenant(scope), _named(scope))
        note(self._audit, scope, "response.cancelled", ("response", run.id))
        return json_document(await desk.document(run))

    async def items(self, scope: Scope, receive: Receive) -> Document:
        del receive
        desk = self.desk
        query = decode_query(scope.get("query_string", b""), ItemsQuery, lists=INCLUDE)
        items = await desk.input_items(_tenant(scope), _named(scope))
        return json_document(pick([item.body for item in items], query))


class _OneResponse:
    """Answers with a stream where one is asked for."""

    def __init__(self, edge: Edge, responses: _Responses, plain: PlainEndpoint) -> None:
        self._edge = edge
        self._responses = responses
        self._plain = plain
        self.methods = plain.methods

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        if scope["method"] != "GET" or b"stream=" not in scope.get("query_string", b""):
            await self._plain(scope, receive, send)
            return
        edge = self._edge
        try:
            scope[CALLER] = await edge.current().identity.identify(scope["headers"], scope.get("client"))
            desk, query, name = self._responses.desk, _query(scope), _named(scope)
            if query.stream:
                refuse_while_draining(scope)
        except SwitchgearError as error:
            await reply_error(send, OPENAI_RESPONSES, error, [])
            return
        except Exception:
            log.exception("endpoint.crashed", path=scope["path"])
            await reply_error(send, OPENAI_RESPONSES, InternalError(), [])
            return
        if not query.stream:
            await self._plain(scope, receive, send)
            return
        after = -1 if query.starting_after is None else query.starting_after

        async def follow(call: None, relay: RunStream) -> None:
            del call
            await desk.follow(_tenant(scope), name, relay.take, after=after)
            await relay.end()

        await attend(edge, scope, None, follow, RunStream(None, send, edge.clock.monotonic, after))


def _query(scope: Scope) -> RetrieveQuery:
    return decode_query(scope.get("query_string", b""), RetrieveQuery, lists=INCLUDE)


def _named(scope: Scope) -> str:
    return response_id(scope["path_params"]["response"])


def _tenant(scope: Scope) -> str:
    caller: Caller = scope[CALLER]
    return caller.tenant
