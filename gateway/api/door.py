"""The door of every model endpoint: from a request to a Call, through the pipeline, and back through a relay.

A raw ASGI class, because this is the hot path: no middleware, no Request object, no task of its own for a request.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from gateway.api.asgi import AsgiSend, Receive, Scope
from gateway.api.attending import attend
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge, Generation, refuse_while_draining
from gateway.api.errors import reply_error
from gateway.api.identity import KeysWanted, raise_contradiction
from gateway.api.relay import DocumentRelay, Relay, StreamRelay
from gateway.cache.wishes import CONTROL, HEADERS, wish_of
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
from gateway.core.record import Record
from gateway.core.responder import Responder
from gateway.core.strict_json import decode_object
from gateway.dialects.dialect import Dialect
from gateway.dialects.splice import cut
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.pipeline.shaped_wish import asks_for_form, decode_formed

log = structlog.get_logger()

TRACEPARENT_BYTES = 55
MOST_OF_A_NAME = 200
"""Characters of a model's name that a record of a refused request keeps."""
PASSED_HEADERS = frozenset({b"anthropic-beta", b"anthropic-version", b"openai-beta"})


class Door:
    """The ASGI endpoint of one dialect."""

    methods = ("POST",)

    def __init__(self, edge: Edge, dialect: Dialect) -> None:
        self._edge = edge
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        edge = self._edge
        received = edge.clock.monotonic()
        call_id = edge.new_id("call_")
        generation = edge.current()
        generation.hold()
        asked = Asked(call_id, received)
        try:
            found = await self._read(scope, receive, generation, asked)
            call, responder = self._admit(generation, asked, found)
        except ClientLeft as error:
            self._record_refusal(error, asked)
        except SwitchgearError as error:
            await self._refuse(send, error, asked)
        except Exception:
            log.exception("call.crashed", call=call_id)
            await self._refuse(send, InternalError(), asked)
        else:
            await attend(edge, scope, call, responder, self._relay(scope, call, send))
        finally:
            generation.release()

    def _relay(self, scope: Scope, call: Call, send: AsgiSend) -> Relay:
        now = self._edge.clock.monotonic
        if not call.stream or call.operation != "generate":
            return DocumentRelay(call, self._dialect, send, now)
        direct = scope.get("extensions", {}).get("switchgear.answer")
        return StreamRelay(call, self._dialect, send, now, direct)

    async def _read(self, scope: Scope, receive: Receive, generation: Generation, asked: Asked) -> Reading:
        """Establish the caller, take the body in, and check what every dialect has: model and stream."""
        edge = self._edge
        refuse_while_draining(scope)
        if scope["method"] != "POST":
            msg = f"{scope['path']} takes POST, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)
        found = _read_headers(scope["headers"])
        identity, peer = generation.identity, scope.get("client")
        try:
            caller = identity.caller(found.authorization, found.api_key, peer, found.forwarded, found.origin)
        except KeysWanted:
            caller = await identity.admit(found.authorization, found.api_key, peer, found.forwarded, found.origin)
        asked.caller = found.caller = caller
        check_media_type(found.content_type, found.content_encoding)
        found.body = await read_body(receive, edge.body_bytes)
        fields = found.fields = decode_object(found.body, depth=edge.json_depth)
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

    def _admit(self, generation: Generation, asked: Asked, found: Reading) -> tuple[Call, Responder]:
        """Make the call of a request, and find who answers it."""
        edge, dialect, model = self._edge, self._dialect, asked.model
        body, fields, caller = found.body, found.fields, found.caller
        wish: CacheWish | None = None
        if "cache" in fields:
            # It is for us: no upstream sees it.
            wish, body = wish_of(found.cache or {}, fields.pop("cache")), cut(body, "cache")
        elif found.cache is not None:
            wish = wish_of(found.cache, None)
        route = generation.routes.get(model)
        if route is None:
            # A hint must not name what the caller may not use.
            authorizer = generation.authorizer
            route = find_route(generation.routes, model, shown=lambda near: offered(authorizer, caller, near.subject))
        relayed = route.relays(dialect.name)
        formed = relayed and route.shapes and dialect.operation == "generate" and asks_for_form(fields)
        call = Call(
            id=asked.call_id,
            operation=dialect.operation,
            dialect=dialect.name,
            model=model,
            stream=asked.stream,
            caller=caller,
            received=asked.received,
            body=body,
            fields=fields,
            content=decode_formed(dialect, fields) if formed else None if relayed else dialect.decode_call(fields),
            session=None if found.session is None else found.session.decode("latin-1"),
            trace=found.trace,
            headers=found.passed,
            background=edge.background,
            cache=wish,
        )
        return call, route.responder

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
    """What the door reads of a request: headers, who calls, the body and its fields."""

    __slots__ = (
        "api_key", "authorization", "body", "cache", "caller", "content_encoding", "content_type", "fields", "forwarded", "origin", "passed",
        "session", "trace",
    )  # fmt: skip

    def __init__(self) -> None:
        self.body = b""
        self.fields: dict[str, Json] = {}
        self.caller = ANONYMOUS
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        self.content_type: bytes | None = None
        self.content_encoding: bytes | None = None
        self.forwarded: bytes | None = None
        self.origin: bytes | None = None
        self.session: bytes | None = None
        self.trace: str | None = None
        self.cache: dict[bytes, bytes] | None = None
        self.passed: tuple[tuple[bytes, bytes], ...] = ()


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Reading:
    """One pass over the headers: who calls and from where, whether the body is JSON, in which trace, what an upstream may see."""
    found = Reading()
    for name, value in headers:
        field = _FIELDS.get(name)
        if field is not None:
            if getattr(found, field) not in (None, value):
                raise_contradiction(name)
            setattr(found, field, value)
        elif name == b"x-forwarded-for":
            found.forwarded = value if found.forwarded is None else found.forwarded + b"," + value
        elif name == b"traceparent":
            found.trace = value.decode("latin-1") if len(value) == TRACEPARENT_BYTES else None
        elif name in PASSED_HEADERS:
            found.passed = (*found.passed, (name, value))
        elif name in HEADERS:
            _note_wish(found, name, value)
    return found


def _note_wish(found: Reading, name: bytes, value: bytes) -> None:
    wishes = found.cache
    if wishes is None:
        wishes = found.cache = {}
    before = wishes.get(name)
    if before is None:
        wishes[name] = value
    elif name == CONTROL:
        wishes[name] = before + b"," + value
    elif before != value:
        raise_contradiction(name)


_FIELDS = {
    b"authorization": "authorization",
    b"content-encoding": "content_encoding",
    b"content-type": "content_type",
    b"origin": "origin",
    b"x-api-key": "api_key",
    b"x-session-id": "session",
}
