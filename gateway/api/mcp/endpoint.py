"""The ASGI endpoint of /mcp: says who calls, and hands the request to the official server, which is loaded when /mcp is configured or first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import structlog

from gateway.api.asgi import AsgiSend, Message, Receive, Scope, reply
from gateway.api.attending import attend
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.errors import dialect_of, reply_error
from gateway.api.mcp.cancelling import cancelled, may_be_one
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.replying import is_reply, reply_to
from gateway.api.mcp.sessions import HEADER, SESSION, key_of, session_of
from gateway.api.mcp.speaking import SPEAKING, Speaking, event
from gateway.api.mcp_door.guarded import MESSAGE
from gateway.api.mcp_door.refusing import INVALID_REQUEST, Refused, refused_by
from gateway.api.plain import CALLER
from gateway.core.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, SwitchgearError
from gateway.core.items import Json

if TYPE_CHECKING:
    from gateway.api.mcp.serving import Serving

log = structlog.get_logger()

PATH: Final = "/mcp"
CALL_ID: Final = "switchgear.call"
REQUEST_ID: Final = "switchgear.mcp.request"
"""What the client calls its request, in the scope of one whose answer is a stream."""
_INTERNAL: Final = -32603
_STREAM: Final = b"text/event-stream"
_SWEEP: Final = 3600.0
"""Seconds between two looks for what was kept of sessions that are over."""
_VERSION: Final = b"mcp-protocol-version"
_STATELESS: Final = b"2026-07-28"
"""The first revision that knows no sessions; revisions are dates."""


class McpEndpoint:
    """Answers requests while `run` runs. `desk` is None where this server keeps no runs: then there is nothing at /mcp."""

    methods = ("GET", "POST")

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
                while True:
                    await self._desk.sessions.sweep()
                    await anyio.sleep(_SWEEP)
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
        if self._desk is not None and await self._is_told(self._desk, scope, send):
            return
        if self._desk is not None and may_be_one(scope):
            ended, receive = await cancelled(receive, scope[CALLER], key_of(scope), self._desk.calling)
            if ended:
                await reply(send, 202, b"", [])
                return
        if scope["method"] == "GET":
            await self._overhear(scope, receive, send)
            return
        relay = _Relay(scope, send, self._begins(scope))
        scope[SPEAKING] = relay.speaking

        async def answer(call: None, relay: _Relay) -> None:
            del call
            await (await self._loaded()).answer(scope, receive, relay.send)

        await attend(self._edge, scope, None, answer, relay)

    async def _loaded(self) -> Serving:
        """Give the official server. Raises InternalError where it has ended."""
        self._wanted.set()
        await self._ready.wait()
        if self._serving is None:
            raise InternalError
        return self._serving

    async def _overhear(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer with the stream of a session."""
        session, caller = session_of(scope), scope[CALLER]
        if session is None:
            refusal = refused_by(MethodNotAllowed(f"Without a session {PATH} takes POST, not GET.", allowed=("POST",)))
            refusal.headers += ((b"allow", b"POST"),)
            await refusal.reply(send)
            return

        async def answer(call: None, relay: _Relay) -> None:
            del call
            overhearing = (await self._loaded()).overhearing
            with overhearing.place(caller):
                await overhearing.answer(scope, receive, relay.send, caller, session)

        await attend(self._edge, scope, None, answer, _Relay(scope, send, ""))

    async def _is_told(self, desk: McpDesk, scope: Scope, send: AsgiSend) -> bool:
        """Find the session of a request of earlier revisions, and take what is an answer of its client's; True where that was all."""
        headers = dict(scope["headers"])
        if headers.get(_VERSION, b"") >= _STATELESS or HEADER not in headers:
            return False
        caller, message = scope[CALLER], scope.get(MESSAGE)
        try:
            scope[SESSION] = desk.sessions.open(headers[HEADER].decode("latin-1"), caller)
        except NotFound as error:
            await Refused(404, error.message).reply(send)
            return True
        session = session_of(scope)
        if session is None or message is None or not is_reply(message):
            return False
        try:
            await reply_to(desk.calling, desk.states, caller, session, message)
        except SwitchgearError as error:
            # 404 would say that there is no such session.
            refused = Refused(400 if isinstance(error, NotFound | InvalidRequest) else error.status, error.message)
            refused.code = INVALID_REQUEST
            await refused.reply(send)
        else:
            await reply(send, 202, b"", [])
        return True

    def _begins(self, scope: Scope) -> str:
        """Give the name of the session that a request begins; empty where it begins none."""
        message: Any = scope.get(MESSAGE)
        if self._desk is None or not isinstance(message, dict) or message.get("method") != "initialize":
            return ""
        params = message.get("params")
        return self._desk.sessions.begin(scope[CALLER], params if isinstance(params, dict) else {})

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
            # A session is kept by its client, so there is nothing to end.
            msg = f"{PATH} takes POST, not {scope['method']}."
            raise MethodNotAllowed(msg, allowed=self.methods)


class _Relay:
    """The answer on its way. A client that begins a session as before 2026-07-28 is given a name for it, which nobody keeps."""

    call = None

    def __init__(self, scope: Scope, send: AsgiSend, session: str) -> None:
        self._scope = scope
        self._session = session
        self._send = send
        self.speaking = Speaking(send)
        self._begun = False
        self._ended = False
        self._streams = False

    async def send(self, message: Message) -> None:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self._begun = True
            self._streams = dict(message["headers"]).get(b"content-type", b"").startswith(_STREAM)
            if self._session and message["status"] == 200:
                message = {**message, "headers": [*message["headers"], (HEADER, self._session.encode())]}
        elif not message.get("more_body"):
            self._ended = True
        await self.speaking.pass_on(message)

    async def fail(self, error: SwitchgearError) -> None:
        """End the answer with an error. Of one that has begun it is the last event: not every client takes an end without an answer for one."""
        if self._ended:
            return
        self._ended = True
        if self._begun:
            known = self._streams and REQUEST_ID in self._scope
            last = event(_failure(self._scope[REQUEST_ID], error)) if known else b""
            await self.speaking.pass_on({"type": "http.response.body", "body": last})
            return
        headers = [(b"content-type", b"application/json")]
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"%b"}}' % _plain(error.message)
        await reply(self._send, error.status, body, headers)

    async def keep_alive(self, idle: float) -> None:
        """The official server keeps its streams alive by itself."""


def _failure(request: str | int, error: SwitchgearError) -> dict[str, Json]:
    told: dict[str, Json] = {"code": _INTERNAL, "message": error.message, "data": {"code": error.code}}
    return {"jsonrpc": "2.0", "id": request, "error": told}


def _plain(text: str) -> bytes:
    """Give a sentence of ours so that it can stand in JSON as it is."""
    return text.replace("\\", "").replace('"', "'").encode("ascii", "replace")
