"""The door of every model endpoint: from a request to a Call, through the pipeline, and back through a relay.

A raw ASGI class, because this is the hot path: no middleware, no Request object, no task of its own for a request, and none of the
server's for what is known and needs no waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import structlog

from gateway.api.asgi import AsgiSend, Receive, Scope, direct_of
from gateway.api.attending import attend
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge, Generation, refuse_while_draining
from gateway.api.errors import reply_error
from gateway.api.heading import Heading, heading_of
from gateway.api.identity import KeysWanted
from gateway.api.relay import DocumentRelay, Relay, StreamRelay
from gateway.cache.wishes import wish_of
from gateway.core.cached import CacheWish
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.errors import (
    ClientLeft,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    SwitchgearError,
)
from gateway.core.items import Json
from gateway.core.known import Known
from gateway.core.prompt_use import PromptUse
from gateway.core.record import Record
from gateway.core.responder import NOTHING, Responder
from gateway.core.strict_json import decode_object
from gateway.dialects.dialect import Dialect
from gateway.dialects.splice import cut
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.pipeline.shaped_wish import asks_for_form, decode_formed

log = structlog.get_logger()

MOST_OF_A_NAME: Final = 200
"""Characters of a model's name that a record of a refused request keeps."""
_NONE: Final[dict[str, Any]] = {}


class Door:
    """The ASGI endpoint of one dialect."""

    methods = ("POST",)

    def __init__(self, edge: Edge, dialect: Dialect) -> None:
        self._edge = edge
        self._dialect = dialect

    def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> Awaitable[None]:
        """Answer one request: what is known and needs no waiting, before this returns."""
        edge = self._edge
        generation = edge.current()
        asked = Asked(edge.new_id("call_"), edge.clock.monotonic())
        try:
            call = self._recognized(scope, generation, asked)
        except SwitchgearError as error:
            return self._refuse(send, error, asked)
        except Exception:
            log.exception("call.crashed", call=asked.call_id)
            return self._refuse(send, InternalError(), asked)
        if call is None:
            return self._receive(scope, receive, send, asked)
        relay = self._relay(scope, call, send)
        try:
            rest = generation.routes[call.model].responder(call, relay)
        except Exception as error:  # noqa: BLE001 - raised again where the call is answered
            rest = _raised(error)
        if rest is NOTHING:
            return NOTHING
        generation.hold()
        return self._wait(scope, call, relay, rest, generation)

    async def _receive(self, scope: Scope, receive: Receive, send: AsgiSend, asked: Asked) -> None:
        """Answer a request of which something is to be waited for."""
        # Asked for only now: between the call of this and its first step the configuration may have changed.
        generation = self._edge.current()
        generation.hold()
        try:
            found = await self._read(scope, receive, generation, asked)
            answer = self._answering(scope, send, generation, asked, found)
        except ClientLeft as error:
            self._record_refusal(error, asked)
        except SwitchgearError as error:
            await self._refuse(send, error, asked)
        except Exception:
            log.exception("call.crashed", call=asked.call_id)
            await self._refuse(send, InternalError(), asked)
        else:
            await answer
        finally:
            generation.release()

    async def _wait(
        self, scope: Scope, call: Call, relay: Relay, rest: Awaitable[None], generation: Generation
    ) -> None:
        """Answer what is left of a call that was begun."""
        try:
            await attend(self._edge, scope, call, lambda _call, _relay: rest, relay)
        finally:
            generation.release()

    def _answering(
        self, scope: Scope, send: AsgiSend, generation: Generation, asked: Asked, found: Reading
    ) -> Awaitable[None]:
        """Give what answers a request that was read, to be waited for."""
        call, responder = self._admit(generation, asked, found)
        return attend(self._edge, scope, call, responder, self._relay(scope, call, send))

    def _relay(self, scope: Scope, call: Call, send: AsgiSend) -> Relay:
        now = self._edge.clock.monotonic
        direct = direct_of(scope)
        if not call.stream or call.operation != "generate":
            return DocumentRelay(call, self._dialect, send, now, direct)
        return StreamRelay(call, self._dialect, send, now, direct)

    def _recognized(self, scope: Scope, generation: Generation, asked: Asked) -> Call | None:
        """Give the call of a request that is all there, with a body that is known; None where something is to be waited for."""
        body: bytes | None = scope.get("extensions", _NONE).get("switchgear.body")
        # A server that goes down reads whatever comes anew.
        if body is None or scope["method"] != "POST":
            return None
        known = self._recalled(generation, body)
        if known is None:
            return None
        heading = heading_of(scope)
        try:
            asked.caller = caller = generation.identity.caller(
                heading.authorization,
                heading.api_key,
                scope.get("client"),
                heading.forwarded,
                heading.origin,
                heading.host,
            )
        except KeysWanted:
            return None
        if heading.content_type != b"application/json" or heading.content_encoding is not None:
            check_media_type(heading.content_type, heading.content_encoding)
        asked.model, asked.stream = known.model, known.stream
        wish = None if heading.cache is None else wish_of(heading.cache, None)
        return self._call(asked, heading, caller, body, known, wish)

    def _recalled(self, generation: Generation, body: bytes) -> Known | None:
        """Give what is known of a body from before, where it may be answered by that."""
        known = generation.bodies.find(self._dialect.name, body)
        return known if known is None or self._stands_alone(known.fields) else None

    def _stands_alone(self, fields: dict[str, Json]) -> bool:
        """Whether a body says all that becomes of it here, and needs nobody but the pipeline."""
        del fields
        return True

    async def _read(self, scope: Scope, receive: Receive, generation: Generation, asked: Asked) -> Reading:
        """Establish the caller, take the body in, and check what every dialect has: model and stream."""
        edge = self._edge
        refuse_while_draining(scope)
        if scope["method"] != "POST":
            msg = f"{scope['path']} takes POST, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)
        found = Reading(heading_of(scope))
        told, identity, peer = found.heading, generation.identity, scope.get("client")
        try:
            caller = identity.caller(told.authorization, told.api_key, peer, told.forwarded, told.origin, told.host)
        except KeysWanted:
            caller = await identity.admit(
                told.authorization, told.api_key, peer, told.forwarded, told.origin, told.host
            )
        asked.caller = found.caller = caller
        check_media_type(told.content_type, told.content_encoding)
        found.body = await read_body(receive, edge.body_bytes)
        known = found.known = self._recalled(generation, found.body)
        if known is not None:
            found.fields, asked.model, asked.stream = known.fields, known.model, known.stream
            return found
        fields = decode_object(found.body, depth=edge.json_depth)
        fields = found.fields = self._opened(generation, found, fields)
        model = fields.get("model")
        if not isinstance(model, str) or not model:
            msg = "`model` is required and must be a non-empty string."
            raise InvalidRequest(msg, param="model")
        asked.model = model
        stream = fields.get("stream")
        if stream is not None and not isinstance(stream, bool):
            msg = "`stream` must be true or false."
            raise InvalidRequest(msg, param="stream")
        asked.stream = bool(stream)
        return found

    def _opened(self, generation: Generation, found: Reading, fields: dict[str, Json]) -> dict[str, Json]:
        """Give the fields of a body with what they stand for."""
        del generation, found
        return fields

    def _admit(self, generation: Generation, asked: Asked, found: Reading) -> tuple[Call, Responder]:
        """Make the call of a request, and find who answers it."""
        wishes = found.heading.cache
        wish: CacheWish | None = None
        known = found.known
        if known is not None:
            wish = None if wishes is None else wish_of(wishes, None)
        else:
            personal = "cache" in found.fields
            if personal:
                # It is for us: no upstream sees it.
                wish = wish_of(wishes or {}, found.fields.pop("cache"))
                found.body = cut(found.body, "cache")
            elif wishes is not None:
                wish = wish_of(wishes, None)
            known = self._understood(generation, asked, found, personal=personal)
        call = self._call(asked, found.heading, found.caller, found.body, known, wish)
        return call, generation.routes[known.model].responder

    def _understood(self, generation: Generation, asked: Asked, found: Reading, *, personal: bool) -> Known:
        """Give what a body says to the route of its model. Raises ModelNotFound."""
        dialect, model, fields, caller = self._dialect, asked.model, found.fields, found.caller
        route = generation.routes.get(model)
        if route is None:
            # A hint must not name what the caller may not use.
            authorizer = generation.authorizer
            route = find_route(generation.routes, model, shown=lambda near: offered(authorizer, caller, near.subject))
        relayed = route.relays(dialect.name)
        formed = relayed and route.shapes and dialect.operation == "generate" and asks_for_form(fields)
        content = decode_formed(dialect, fields) if formed else None if relayed else dialect.decode_call(fields)
        known = Known(fields=fields, model=model, stream=asked.stream, content=content)
        if route.caches and not personal:  # what a body asks of the cache, it asks for once
            generation.bodies.meet(dialect.name, found.body, known)
        return known

    def _call(
        self, asked: Asked, heading: Heading, caller: Caller, body: bytes, known: Known, wish: CacheWish | None
    ) -> Call:
        dialect = self._dialect
        return Call(
            id=asked.call_id,
            operation=dialect.operation,
            dialect=dialect.name,
            model=known.model,
            stream=known.stream,
            caller=caller,
            received=asked.received,
            body=body,
            fields=known.fields,
            content=known.content,
            session=None if heading.session is None else heading.session.decode("latin-1"),
            trace=heading.trace,
            headers=heading.passed,
            background=self._edge.background,
            cache=wish,
            known=known,
        )

    async def _refuse(self, send: AsgiSend, error: SwitchgearError, asked: Asked) -> None:
        self._record_refusal(error, asked)
        await reply_error(send, self._dialect, error, [(b"x-switchgear-call-id", asked.call_id.encode())])

    def _record_refusal(self, error: SwitchgearError, asked: Asked) -> None:
        """Record a request that never became a call, with what was known of it by then."""
        clock = self._edge.clock
        duration = clock.monotonic() - asked.received
        caller = asked.caller
        self._edge.take_record(
            Record(
                id=asked.call_id,
                started_at=clock.wall() - duration,
                operation=self._dialect.operation,
                dialect=self._dialect.name,
                stream=asked.stream,
                caller="" if caller is None else caller.id,
                model=asked.model[:MOST_OF_A_NAME],
                provider=None,
                served=None,
                route=(),
                status=error.status,
                duration=duration,
                first_token=None,
                upstream=None,
                usage=None,
                cost=None,
                finish_reason=None,
                error=error.code,
                parameters={},
                tenant="" if caller is None else caller.tenant,
                team="" if caller is None else caller.team,
                user="" if caller is None else caller.user,
                tags=() if caller is None else caller.tags,
            )
        )


async def _raised(error: Exception) -> None:
    raise error


class Asked:
    """What is known of a request so far."""

    __slots__ = ("call_id", "caller", "model", "received", "stream")

    def __init__(self, call_id: str, received: float) -> None:
        self.call_id = call_id
        self.received = received
        self.caller: Caller | None = None
        self.model = ""
        self.stream = False


class Reading:
    """What the door reads of a request: its heading, who calls, the body and its fields, and what was known of the body before.

    `prompt` is the template that the fields were filled in by.

    The fields of a known body are those of all requests with it, and never to be changed.
    """

    __slots__ = ("body", "caller", "fields", "heading", "known", "prompt")

    def __init__(self, heading: Heading) -> None:
        self.heading = heading
        self.body = b""
        self.fields: dict[str, Json] = {}
        self.caller = ANONYMOUS
        self.known: Known | None = None
        self.prompt: PromptUse | None = None
