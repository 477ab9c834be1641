"""The WebSocket of /v1/responses: one connection, one response after the other, each asked for by a `response.create`.

It ends when its client leaves, when nothing was asked for too long, when it is too old, and when the server goes down: never in the middle of a
response, but when the client itself leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from anyio import CancelScope, EndOfStream, WouldBlock, create_memory_object_stream, create_task_group, current_time

from gateway.api.asgi import AsgiApp, AsgiSend, Message, Receive, Scope
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.errors import reply_error
from gateway.api.socket_memory import Memory
from gateway.api.socket_messages import CREATE, STEER, BadMessage, error_message, not_steered, read_message
from gateway.api.socket_turn import Turns
from gateway.config.settings import WebSocketSettings
from gateway.core.errors import SwitchgearError
from gateway.dialects.openai_responses import OPENAI_RESPONSES

MOST_WAITING: Final = 16
"""Requests of one WebSocket that wait while another is answered."""
MOST_LANES: Final = 32
_HTTP: Final = "websocket."
_NOT_PASSED: Final = (b"content-encoding", b"content-length", b"content-type")
_ABOUT_SOCKETS: Final = b"responses_websockets"

_SERVER, _DEPARTURE, _DRAIN = "switchgear.server", "switchgear.departure", "switchgear.drain"

NORMAL, POLICY, RESTART = 1000, 1008, 1012


class Leaving:
    """Tells the one who answers that the client has left; requests of HTTP have the server's notice for that."""

    def __init__(self) -> None:
        self._left = False
        self._tell: Callable[[], None] | None = None

    @property
    def has_left(self) -> bool:
        """Whether the client has left."""
        return self._left

    def subscribe(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client leaves; at once where it has."""
        if self._left:
            tell()
        else:
            self._tell = tell

    def unsubscribe(self) -> None:
        """Forget whom to tell."""
        self._tell = None

    def leave(self) -> None:
        """The client has left."""
        self._left = True
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()


class ResponsesSocket:
    """The ASGI endpoint. `door` is that of POST /v1/responses; `keeps` is whether responses can be kept."""

    def __init__(self, edge: Edge, door: AsgiApp, settings: WebSocketSettings, *, keeps: bool) -> None:
        self._edge = edge
        self._door = door
        self._settings = settings
        self._keeps = keeps

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Serve one WebSocket, if its caller may come in."""
        await receive()
        try:
            refuse_while_draining(scope)
            await self._edge.current().identity.identify(scope["headers"], scope.get("client"))
        except SwitchgearError as error:
            await reply_error(_as_http(send), OPENAI_RESPONSES, error, [])
            return
        await send({"type": "websocket.accept"})
        await _Session(self._edge, self._door, self._settings, scope, receive, send, keeps=self._keeps).run()


class _Session:
    def __init__(
        self,
        edge: Edge,
        door: AsgiApp,
        settings: WebSocketSettings,
        scope: Scope,
        receive: Receive,
        send: AsgiSend,
        *,
        keeps: bool,
    ) -> None:
        self._now = edge.clock.monotonic
        self._depth = edge.json_depth
        self._most_bytes = 2 * edge.body_bytes
        self._bytes = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._idle_timeout = settings.idle_timeout
        self._lifetime = settings.lifetime
        self._until = self._now() + settings.lifetime
        memory = Memory(settings.remembered_bytes)
        self._turns = Turns(edge, door, self._request_scope, self._tell, memory, keeps=keeps)
        self._put, self._messages = create_memory_object_stream[str](MOST_WAITING)
        self._leaving = Leaving()
        self._waiting = CancelScope()
        self._lanes: set[str] = set()
        self._draining = False

    async def run(self) -> None:
        drain = self._scope["extensions"][_DRAIN]
        drain.subscribe(self._drain)
        with self._put, self._messages:
            async with create_task_group() as tasks:
                tasks.start_soon(self._listen)
                await self._work()
                tasks.cancel_scope.cancel()
        drain.unsubscribe()

    def _drain(self) -> None:
        self._draining = True
        self._waiting.cancel()

    async def _listen(self) -> None:
        """Take messages in, and notice that the client leaves, also while a response is under way."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                break
            text: str = message["text"]
            self._bytes += len(text)
            if self._bytes > self._most_bytes or not self._take(text):
                await self._close(POLICY, "Too many messages wait for an answer.")
                break
        self._leaving.leave()
        self._put.close()

    def _take(self, text: str) -> bool:
        try:
            self._put.send_nowait(text)
        except WouldBlock:
            return False
        return True

    async def _work(self) -> None:
        while not self._leaving.has_left and (message := await self._next()) is not None:
            await self._answer(message)
        if not self._leaving.has_left:
            await self._end()

    async def _next(self) -> str | None:
        """Give the next message, None where there is none to wait for any longer."""
        seconds = min(self._idle_timeout, self._until - self._now())
        if self._draining or seconds <= 0:
            return None
        self._waiting = CancelScope(deadline=current_time() + seconds)
        with self._waiting:
            try:
                text = await self._messages.receive()
            except EndOfStream:
                return None
            self._bytes -= len(text)
            return text
        return None

    async def _end(self) -> None:
        if self._draining:
            await self._close(RESTART, "The server is shutting down.")
        elif self._now() >= self._until:
            msg = f"A WebSocket lasts {self._lifetime:g} s, and this one has. Open another one to go on."
            await self._tell(error_message(BadMessage(msg, "websocket_connection_limit_reached"), "", {}))
            await self._close(NORMAL, "The WebSocket is too old.")
        else:
            await self._close(NORMAL, f"Nothing was asked for {self._idle_timeout:g} s.")

    async def _answer(self, text: str) -> None:
        try:
            said = read_message(text, depth=self._depth)
            if said.kind == STEER:
                await self._tell(not_steered(said))
            elif said.kind == CREATE:
                self._take_lane(said.lane)
                await self._turns.answer(said)
        except SwitchgearError as error:
            await self._tell(error_message(error, "", {}))

    def _take_lane(self, lane: str) -> None:
        if not lane or lane in self._lanes:
            return
        if len(self._lanes) >= MOST_LANES:
            msg = f"A WebSocket has at most {MOST_LANES} different stream ids. Use one of them again, or open another WebSocket."
            raise BadMessage(msg, "websocket_stream_limit_reached", "stream_id")
        self._lanes.add(lane)

    def _request_scope(self) -> Scope:
        """Give the scope of a request, from that of the opening handshake."""
        given = self._scope
        return {
            "type": "http",
            "method": "POST",
            "path": given["path"],
            "raw_path": given["raw_path"],
            "query_string": b"",
            "headers": [*_passed(given["headers"]), (b"content-type", b"application/json")],
            "client": given.get("client"),
            "extensions": {_SERVER: given["extensions"][_SERVER], _DEPARTURE: self._leaving},
        }

    async def _tell(self, message: bytes) -> None:
        await self._send({"type": "websocket.send", "text": message.decode()})

    async def _close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


def _passed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Give the headers of the handshake that are those of each request: an upstream that is asked over HTTP need not hear of WebSockets."""
    return [
        (name, value)
        for name, value in headers
        if name not in _NOT_PASSED and not (name == b"openai-beta" and _ABOUT_SOCKETS in value)
    ]


def _as_http(send: AsgiSend) -> AsgiSend:
    """Give a send for an answer in place of the WebSocket."""

    async def answer(message: Message) -> None:
        await send({**message, "type": _HTTP + message["type"]})

    return answer
