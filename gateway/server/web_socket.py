"""One WebSocket connection (RFC 6455), which was an HTTP connection until its client asked for this. `websockets` reads and writes the frames.

The application gets ASGI's websocket events. It may refuse with a whole HTTP answer (`websocket.http.response`), and finds in
`scope["extensions"]` the server's state and a Departure that fires when the server begins to drain: an idle WebSocket is then its to close. Text
only: there is no use for binary messages here, and no compression, which costs more than it saves on a model's words.
"""

import asyncio
import math
from typing import Any, Final, cast

import structlog
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.server.asgi import ASGIApp, Message, Scope
from gateway.server.deadlines import LINGER_SECONDS
from gateway.server.departure import DRAIN, SERVER, Departure
from gateway.server.refusal import Refused, refusal_bytes
from gateway.server.state import EdgeState

log = structlog.get_logger()

HTTP_ANSWER: Final = "websocket.http.response"
_LEFT: Final = 1006  # nobody said goodbye
_OWN: Final = (b"content-length", b"content-type")
_MOST_UNHEARD: Final = 100
"""Pings of a client that reads none of the answers: each is answered, and the answers have to lie somewhere."""


class WebSocket(asyncio.Protocol):
    """One connection; a protocol of the event loop in the place of the HTTP connection that it was.

    `deadline` is when the client has to be asked whether it lives, or has to have said so; `write_deadline` when it has to have taken something.
    """

    def __init__(
        self, scope: Scope, accept: bytes, transport: asyncio.Transport, edge: EdgeState, shared: ServerState
    ) -> None:
        self.deadline = self.write_deadline = math.inf
        self._scope = scope
        self._accept = accept
        self._transport = transport
        self._edge = edge
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._frames = ServerProtocol(state=State.OPEN, max_size=edge.options.body_bytes)
        self._drain = Departure()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._pieces = bytearray()
        self._binary = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._unsent = self._unheard = 0
        self._accepted = self._told = self._asked = self._gone = False
        self._refusal: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._opened_at = self._loop.time()
        self._ended: tuple[int, str] | None = None  # the close code, and the reason for the log
        scope["extensions"] = {SERVER: edge, DRAIN: self._drain, HTTP_ANSWER: {}}

    def begin(self, app: ASGIApp, rest: bytes) -> None:
        """Take the connection over; `rest` is what came behind the request. Nothing is read before the application has accepted."""
        self._transport.pause_reading()
        self._transport.set_protocol(self)
        self._shared.connections.add(self)  # type: ignore[arg-type] # what the server does with one, this can
        self._edge.sockets.add(self)
        self._inbox.put_nowait({"type": "websocket.connect"})
        if rest:
            self._frames.receive_data(rest)
        task = self._loop.create_task(self._run(app))
        task.add_done_callback(self._shared.tasks.discard)
        self._shared.tasks.add(task)

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._inbox.get, self._send)
        except Exception:
            # The last line of defence, as with HTTP: whatever the application raised, the client hears of it and the log knows why.
            log.exception("server.application.failed", path=self._scope["path"])
        if self._gone:
            return
        if self._accepted:
            self._close(CloseCode.INTERNAL_ERROR, "")
        else:
            message = "The server made a mistake; it has been logged."
            self._refuse(Refused(500, "internal_error", message))

    # What the client sends

    def data_received(self, data: bytes) -> None:
        """Take frames in."""
        self._frames.receive_data(data)
        self._take_frames()

    def eof_received(self) -> bool:
        """The client sends nothing more: it has left."""
        return False

    def _take_frames(self) -> None:
        for frame in cast("list[Frame]", self._frames.events_received()):  # no request: the handshake is over
            opcode = frame.opcode
            if opcode is Opcode.CLOSE:
                code = self._frames.close_rcvd.code if self._frames.close_rcvd else _LEFT
                self._end_by(code, "the client closed it")  # in no words of its own: they may be any
                self._tell_left(code)
            elif opcode is Opcode.PONG:
                self._asked = False
                self.deadline = self._loop.time() + self._edge.options.ping_interval
            elif opcode is not Opcode.PING:
                self._take_piece(frame)
            elif not self._writable.is_set():
                self._unheard += 1
        if self._frames.parser_exc is not None:
            sent = self._frames.close_sent
            self._end_by(sent.code if sent else _LEFT, "the client broke the protocol")
            self._tell_left(_LEFT)
        self._flush()
        if self._unheard > _MOST_UNHEARD:
            self._transport.abort()

    def _take_piece(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._binary = frame.opcode is Opcode.BINARY
        # In one piece: a list of pieces, each of a byte or of none, would cost many times what they hold.
        self._pieces += frame.data
        if not frame.fin:
            return
        data, self._pieces = self._pieces, bytearray()
        if self._told:
            return
        if self._binary:
            self._fail(CloseCode.UNSUPPORTED_DATA, "Messages are text.")
            return
        try:
            self._inbox.put_nowait({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "A message is not UTF-8.")

    def _fail(self, code: int, reason: str) -> None:
        self._frames.fail(code, reason)
        self._end_by(code, reason)
        self._tell_left(code)

    def _end_by(self, code: int, reason: str) -> None:
        """Note why it ends; the first reason counts."""
        if self._ended is None:
            self._ended = (int(code), reason)

    def _tell_left(self, code: int) -> None:
        if not self._told:
            self._told = True
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code})

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        del exc
        self._gone = True
        self.deadline = self.write_deadline = math.inf
        self._tell_left(_LEFT)
        self._writable.set()
        if self._accepted and self in self._edge.sockets:
            code, reason = self._ended or (_LEFT, "the connection was lost")
            seconds = round(self._loop.time() - self._opened_at, 3)
            log.info("server.websocket.closed", path=self._scope["path"], code=code, reason=reason, s=seconds)
        self._edge.sockets.discard(self)
        self._shared.connections.discard(self)
        if not self._shared.connections:
            self._edge.emptied.set()

    # What the application sends

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._gone:
            return
        if kind == "websocket.send" and self._accepted:
            await self._writable.wait()
            if self._frames.state is State.OPEN:
                self._frames.send_text(message["text"].encode())
                self._flush()
        elif kind == "websocket.accept" and not self._accepted and self._refusal is None:
            self._open(message.get("headers", ()))
        elif kind == "websocket.close" and self._accepted:
            self._close(message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason") or "")
        elif kind == f"{HTTP_ANSWER}.start" and not self._accepted:
            self._refusal = (message["status"], list(message.get("headers", ())))
        elif kind == f"{HTTP_ANSWER}.body" and self._refusal is not None:
            status, given = self._refusal
            headers = [header for header in given if header[0] not in _OWN]
            self._end_http(
                refusal_bytes(Refused(status, "", "", headers=headers), message.get("body", b""), with_body=True)
            )
        else:
            msg = f"unexpected ASGI message {kind!r}"
            raise RuntimeError(msg)

    def _open(self, headers: Any) -> None:
        self._accepted = True
        lines = [b"HTTP/1.1 101 Switching Protocols", b"upgrade: websocket", b"connection: Upgrade"]
        lines += [b"sec-websocket-accept: " + self._accept, *(b"%b: %b" % header for header in headers), b"", b""]
        self._transport.write(b"\r\n".join(lines))
        self.deadline = self._loop.time() + self._edge.options.ping_interval
        self._transport.resume_reading()
        self._opened_at = self._loop.time()
        log.debug("server.websocket.opened", path=self._scope["path"], open=len(self._edge.sockets))
        self._take_frames()

    def _close(self, code: int, reason: str) -> None:
        self._told = True  # nobody listens any more
        self._end_by(code, reason or "the application ended")
        if self._frames.state is State.OPEN:
            self._frames.send_close(code, reason)
            self._flush()
        # The client answers with a close of its own; one that does not is cut.
        self.deadline = self._loop.time() + LINGER_SECONDS

    def _flush(self) -> None:
        for data in self._frames.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
                self.deadline = self._loop.time() + LINGER_SECONDS

    def _refuse(self, refused: Refused) -> None:
        body = self._edge.render_error(
            self._scope["raw_path"], list(self._scope["headers"]), refused.status, refused.code, refused.message
        )
        self._end_http(refusal_bytes(refused, body, with_body=True))

    def _end_http(self, answer: bytes) -> None:
        self._told = True
        self._transport.write(answer)
        self._transport.close()
        self.deadline = self._loop.time() + LINGER_SECONDS

    # What the server asks of a connection

    def begin_drain(self) -> None:
        """Tell the application that the server goes down."""
        self._drain.leave()

    def shutdown(self) -> None:
        """Close now: what has been written is sent."""
        self._tell_left(CloseCode.GOING_AWAY)
        if self._accepted:
            self._close(CloseCode.GOING_AWAY, "The server is shutting down.")
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._transport.abort()

    # Deadlines

    def expire(self, now: float) -> None:
        """Called by `sweep`: ask the client whether it lives; cut one that did not say so, or takes nothing of what is written."""
        if now >= self.write_deadline:
            unsent = self._transport.get_write_buffer_size()
            if unsent >= self._unsent:
                self._end_by(_LEFT, "the client took nothing of what was written")
                self._transport.abort()
                return
            self._unsent, self.write_deadline = unsent, now + self._edge.options.idle_timeout
        if now < self.deadline:
            return
        if self._asked:
            self._end_by(_LEFT, "the client did not answer a ping")
        if self._asked or self._frames.state is not State.OPEN or self._transport.is_closing():
            self._transport.abort()
            return
        self._asked = True
        self.deadline = now + self._edge.options.ping_interval
        self._frames.send_ping(b"")
        self._flush()

    def pause_writing(self) -> None:
        """The client takes less than is written: it has `idle_timeout` to take something."""
        self._writable.clear()
        self._unsent = self._transport.get_write_buffer_size()
        self.write_deadline = self._loop.time() + self._edge.options.idle_timeout

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._unheard = 0
        self._writable.set()
        self.write_deadline = math.inf
