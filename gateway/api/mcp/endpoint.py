"""The ASGI endpoint of /mcp: says who calls, and hands the request to the official server, which is loaded when /mcp is configured or first used."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
import structlog

from gateway.api.asgi import AsgiSend, Message, Receive, Scope, reply
from gateway.api.attending import attend
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.errors import dialect_of, reply_error
from gateway.api.mcp.cancelling import SESSION, cancelled, may_be_one
from gateway.api.mcp.desk import McpDesk
from gateway.api.plain import CALLER
from gateway.core.errors import InternalError, MethodNotAllowed, NotFound, SwitchgearError

if TYPE_CHECKING:
    from gateway.api.mcp.serving import Serving

log = structlog.get_logger()

PATH: Final = "/mcp"
CALL_ID: Final = "switchgear.call"
REQUEST_ID: Final = "switchgear.mcp.request"
"""What the client calls its request, in the scope of one whose answer is a stream."""
_INTERNAL: Final = -32603
_STREAM: Final = b"text/event-stream"
_EVENT: Final = b"event: message\r\ndata: %b\r\n\r\n"
_VERSION: Final = b"mcp-protocol-version"


class McpEndpoint:
    """Answers requests while `run` runs. `desk` is None where this server keeps no runs: then there is nothing at /mcp."""

    methods = ("POST",)

    def __init__(self, edge: Edge, desk: McpDesk | None) -> None:
        self._edge = edge
        self._desk = desk
        self._wanted = anyio.Event()
        self._ready = anyio.Event()
        self._serving: Serving | None = None

    async def run(self) -> None:
        """Run the official server, once it is wanted, until cancelled."""
        if self._desk is None:
            return
        if not self._desk.configured:
            await self._wanted.wait()
        from gateway.api.mcp.serving import Serving  # noqa: PLC0415 see tests/architecture/test_imports.py

        serving = Serving(self._desk, body_bytes=self._edge.body_bytes)
        async with serving.run():
            self._serving = serving
            self._ready.set()
            try:
                await anyio.sleep_forever()
            finally:
                self._serving = None

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer one request."""
        try:
            await self._admit(scope)
        except SwitchgearError as error:
            await reply_error(send, dialect_of(scope), error, [])
            return
        except Exception:
            log.exception("endpoint.crashed", path=PATH)
            await reply_error(send, dialect_of(scope), InternalError(), [])
            return
        if self._desk is not None and (session := may_be_one(scope)):
            ended, receive = await cancelled(receive, scope[CALLER], session, self._desk.calling)
            if ended:
                await reply(send, 202, b"", [])
                return
        relay = _Relay(scope, send)

        async def answer(call: None, relay: _Relay) -> None:
            del call
            self._wanted.set()
            await self._ready.wait()
            if self._serving is None:
                raise InternalError
            await self._serving.answer(scope, receive, relay.send)

        await attend(self._edge, scope, None, answer, relay)

    async def _admit(self, scope: Scope) -> None:
        """Say in the scope who calls. Raises what keeps a request out."""
        if self._desk is None or not self._desk.configured:
            msg = "There is no MCP server here: the section `mcp` of the configuration says what it offers."
            raise NotFound(msg)
        refuse_while_draining(scope)
        if CALLER not in scope:  # else a door before this one has said it
            scope[CALLER] = await self._edge.current().identity.identify(scope["headers"], scope.get("client"))
        scope[CALL_ID] = self._edge.new_id("call_")
        if scope["method"] not in self.methods:
            # There are no sessions, so nothing to end, and nothing is said that nobody asked for.
            msg = f"{PATH} takes POST, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)


class _Relay:
    """The answer on its way. A client that begins a session as before 2026-07-28 is given a name for it, which nobody keeps: it only tells its requests apart."""

    call = None

    def __init__(self, scope: Scope, send: AsgiSend) -> None:
        self._scope = scope
        names = {name for name, _ in scope["headers"]}
        self._names_session = SESSION not in names and _VERSION not in names
        self._send = send
        self._begun = False
        self._ended = False
        self._streams = False

    async def send(self, message: Message) -> None:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self._begun = True
            self._streams = dict(message["headers"]).get(b"content-type", b"").startswith(_STREAM)
            if self._names_session and message["status"] == 200:
                message = {**message, "headers": [*message["headers"], (SESSION, secrets.token_hex(16).encode())]}
        elif not message.get("more_body"):
            self._ended = True
        await self._send(message)

    async def fail(self, error: SwitchgearError) -> None:
        """End the answer with an error. Of one that has begun it is the last event: not every client takes an end without an answer for one."""
        if self._ended:
            return
        self._ended = True
        if self._begun:
            known = self._streams and REQUEST_ID in self._scope
            last = _EVENT % _failure(self._scope[REQUEST_ID], error) if known else b""
            await self._send({"type": "http.response.body", "body": last})
            return
        headers = [(b"content-type", b"application/json")]
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"%b"}}' % _plain(error.message)
        await reply(self._send, error.status, body, headers)

    async def keep_alive(self, idle: float) -> None:
        """The official server keeps its streams alive by itself."""


def _failure(request: str | int, error: SwitchgearError) -> bytes:
    told = {"code": _INTERNAL, "message": error.message, "data": {"code": error.code}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request, "error": told})


def _plain(text: str) -> bytes:
    """Give a sentence of ours so that it can stand in JSON as it is."""
    return text.replace("\\", "").replace('"', "'").encode("ascii", "replace")
