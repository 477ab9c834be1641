"""One client connection: uvicorn's httptools protocol with the limits, deadlines and framing rules that it lacks.

It decides what is refused before the application runs, and tells a request when its client has left. Routes, dialects and
bodies' contents are not its business. Deadlines are numbers that `sweep` looks at, not timers: the usual request, which
arrives in one read, touches the clock once.

A read that ends inside a head or a body arms a deadline. A request refused while an earlier one is still being answered
is answered after it. A body fault (deadline, size, framing) before the response has started gives the application
`http.disconnect` and the client the error; after that, the connection is cut. Refusals end the connection, by a half
close: closing with unread input would reset the connection and could destroy the answer on its way.
"""

import asyncio
import math
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, cast

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from gateway.server import head as heads
from gateway.server.cycle import answer_to, close, disconnect, raised
from gateway.server.deadlines import LINGER_SECONDS
from gateway.server.departure import DEPARTURE, SERVER, Departure
from gateway.server.refusal import Headers, Refused, as_refused, refusal_bytes
from gateway.server.repeated import HOLD_SECONDS, Memory, head_of
from gateway.server.state import EdgeState
from gateway.server.upgrading import UpgradingProtocol
from gateway.server.wire import ResponseTransport, TimedFlow

log = structlog.get_logger()

# Where the reader is. ENDED: nothing more is read as HTTP, what arrives is thrown away.
WAITING, HEAD, BODY, ENDED = range(4)

TURNED_AWAY_AT_ONCE = 64  # connections over the limit that get a 503; more are cut without one
CHUNK_OVERHEAD_BYTES = 65536  # chunk sizes, extensions and trailers may cost this and eight times the data


class HardenedProtocol(UpgradingProtocol):
    """One connection. `edge` is shared by all; `deadline` and `write_deadline` are times of the event loop's clock."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        edge: EdgeState,
    ) -> None:
        super().__init__(config, server_state, app_state, loop, edge)
        options = edge.options
        self._header_bytes = options.header_bytes
        self._header_count = options.header_count
        self._body_bytes = options.body_bytes
        self._phase = WAITING
        self._head_read = 0  # bytes of reads that began outside a body, but for the one in which the head began
        self._head_size = 0  # names and values of this head
        self._body_read = 0  # bytes of reads that began inside this body
        self._body_size = 0
        self._pending: Refused | None = None
        self._memory = Memory()
        self._messages = 0  # completed by this read

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start the header deadline; over the limit of connections, answer 503."""
        super().connection_made(transport)
        self._wire = transport
        self.flow = self._timed_flow = TimedFlow(transport, self._now)
        self.transport = cast("asyncio.Transport", ResponseTransport(transport, self))
        self.deadline = self._now() + self.edge.options.header_timeout
        excess = len(self.connections) - self.edge.options.connections
        if excess > TURNED_AWAY_AT_ONCE:
            transport.abort()
        elif excess > 0:
            message = "The server has as many connections as it takes. Try again."
            self._refuse(Refused(503, "too_many_connections", message, headers=[(b"retry-after", b"1")]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being handled."""
        self._release()
        self._phase = ENDED
        self.deadline = self.write_deadline = math.inf
        self._pending = None
        self._memory.forget()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            disconnect(self._running)
        super().connection_lost(exc)
        if not self.connections:
            self.edge.emptied.set()
        # No cycle is left to the garbage collector: the proxy refers to us, and so does what refers to the proxy.
        self.transport = self._wire
        self.cycle = self._running = None  # type: ignore[assignment] # nothing is read any more, so nobody asks for it

    def shutdown(self) -> None:
        """Close now: what has been written is sent, a response that is not complete is cut."""
        self._release()
        if self._answering:
            self._wire.abort()
        else:
            self._wire.close()

    def abort(self) -> None:
        """Cut the connection at once; what has not been sent is lost."""
        self._wire.abort()

    @property
    def ended(self) -> bool:
        """Whether nothing more is read."""
        return self._phase == ENDED

    def close_after_response(self) -> None:
        """The cycle's `transport.close()`: lingers while the rest of a body is still on its way."""
        if self._phase == BODY:
            self._linger()
        else:
            self._wire.close()
            self.deadline = self._now() + self.edge.options.idle_timeout

    def _linger(self) -> None:
        self._phase = ENDED
        self.flow.resume_reading()
        if not self._wire.is_closing():
            self._wire.write_eof()
        self.deadline = self._now() + LINGER_SECONDS

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse one read, then see whether it ended inside a message."""
        memory = self._memory
        if memory.held:
            data, self.deadline = memory.joined(data), math.inf
        between = self._phase == WAITING and not self._head_read and not self._answering
        if self._phase == ENDED or (between and self._take_repeated(data)):
            return
        apart, self._messages = memory.forget(), 0
        if self._phase == BODY:
            self._body_read += len(data)
        else:
            self._head_read += len(data)
        upgraded_at = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            upgraded_at = upgrade.args[0]
        except httptools.HttpParserError as exc:
            self._refuse(as_refused(exc))
            return
        if upgraded_at is not None:
            self._take_upgrade(data[upgraded_at:])
        elif self._phase != WAITING or self._head_read:
            self._ended_inside_message()
            if between and self._phase == BODY and not self._body_size:
                memory.apart = data
        elif (between or apart) and self._messages == 1 and self.cycle.keep_alive:
            memory.head = head_of(apart + data, self._body_size, self.url, self.headers, cast("Any", self.scope))

    def _take_repeated(self, data: bytes) -> bool:
        """Take in a request whose head is the last one's, or that head: the parser stands between two requests, and stays there."""
        head = self._memory.head
        if head is None or self.edge.draining:
            return False
        body = head.body(data)
        if body is None:
            if self._memory.hold(data):
                self.deadline = self._now() + HOLD_SECONDS
                return True
            return False
        cycle = self.cycle = head.cycle(self, self.edge, body)
        self.url, self.headers, self.scope = head.url, head.headers, cycle.scope
        self._body_size = len(body)
        self.deadline = math.inf
        self._start_asgi_task(cycle, self.app)
        return True

    def _release(self) -> None:
        """Begin the request whose body has not come."""
        if self._memory.held:
            data = self._memory.joined(b"")
            self._memory.forget()
            self.deadline = math.inf
            self.data_received(data)

    def _ended_inside_message(self) -> None:
        options = self.edge.options
        if self._phase == BODY:
            if self._body_read - self._body_size > CHUNK_OVERHEAD_BYTES + 8 * self._body_size:
                self._refuse(Refused(400, "invalid_body", "The chunks of the body are mostly not data."))
            elif self.deadline == math.inf:
                self._timed_flow.take_paused()
                self.deadline = self._now() + options.body_timeout
        elif self._head_read > options.header_bytes + options.target_bytes:
            self._refuse(heads.head_too_large(self._header_bytes, self._header_count))
        elif self._phase == HEAD and self.deadline == math.inf:
            self.deadline = self._now() + options.header_timeout

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self._phase = HEAD
        self._head_read = self._head_size = 0
        self.deadline = math.inf

    def on_url(self, url: bytes) -> None:
        """Part of the request target."""
        self.url += url
        if len(self.url) > self.edge.options.target_bytes:
            raise heads.target_too_long(self.edge.options.target_bytes)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; trailers are counted by `_ended_inside_message`, and dropped: they come too late to be trusted."""
        if self._phase != HEAD:
            return
        headers = self.headers
        headers.append((name.lower(), value.rstrip(b" \t")))
        self._head_size += len(name) + len(value)
        if self._head_size > self._header_bytes or len(headers) > self._header_count:
            raise heads.head_too_large(self._header_bytes, self._header_count)

    def on_headers_complete(self) -> None:
        """Check the head, then start the request or queue it."""
        self._head_read = 0
        if self.parser.should_upgrade():
            self._check_upgrade()
            return
        self._body_bytes = self.edge.options.large_bodies.get(self.url, self.edge.options.body_bytes)
        self.expect_100_continue = heads.check_head(self.parser.get_http_version(), self.headers, self._body_bytes)
        if not self.url.startswith(b"/"):
            self.url, authority = heads.origin_form(self.url)
            self.headers[:] = [(b"host", authority), *(header for header in self.headers if header[0] != b"host")]
        if len(self.pipeline) >= self.edge.options.pipelined:
            raise Refused(429, "too_many_pipelined_requests", "Wait for answers before sending more requests.")
        cast("dict[str, Any]", self.scope)["extensions"] = {SERVER: self.edge, DEPARTURE: Departure()}
        super().on_headers_complete()
        self._phase = BODY
        self._body_read = self._body_size = 0
        if self.edge.draining:
            self.cycle.keep_alive = False
        if self.pipeline:
            # uvicorn stops reading here. The queue is bounded, and only a reader sees that the client has left.
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """Part of the body; a Content-Length over the limit was refused with the head, so this is about chunks."""
        self._body_size += len(body)
        if self._body_size > self._body_bytes:
            raise heads.body_too_large(self._body_bytes)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has completely arrived."""
        if self._upgrade is not None:
            return
        self._phase = WAITING
        self._messages += 1
        self.deadline = self._now() + self.edge.options.idle_timeout if self.cycle.response_complete else math.inf
        super().on_message_complete()

    # Answering

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        try:
            waiting = app(cycle.scope, cycle.receive, answer_to(cycle).send)
        except Exception as error:  # noqa: BLE001 - raised again where requests are answered
            waiting = raised(error)
        if cycle.response_complete and type(waiting) is not CoroutineType:
            close(cycle)  # it was answered at once: there is nothing to wait for
            return
        # The transport calls us outside of any task, so there is no task group here: `server_state.tasks` is the group,
        # and EdgeServer waits for it and cancels it.
        task = self.loop.create_task(self._answer(cycle, waiting))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, cycle: RequestResponseCycle, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Exception:
            # The last line of defence: whatever the application raised, the client gets a 500 and the log the reason.
            log.exception("server.application.failed", path=cycle.scope["path"])
        else:
            if not cycle.response_complete and not cycle.disconnected:
                log.error("server.application.left_response_incomplete", path=cycle.scope["path"])
        if not cycle.response_complete and not cycle.disconnected:
            self._end_failed(cycle)
        close(cycle)

    def on_response_complete(self) -> None:
        """Start the next request of the queue, or wait for one."""
        if self._wire.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._pending is not None:
            self._write_refusal(self._pending)
        elif self._phase == WAITING:
            self.deadline = self._now() + self.edge.options.idle_timeout
        elif self._phase == BODY and self.expect_100_continue:
            self._linger()  # whether the body will come is the client's choice: the framing is lost (RFC 9110, 10.1.1)

    def _refuse(self, refused: Refused) -> None:
        """Read no more; answer now, or after the requests that came before."""
        self.edge.refused[refused.code] += 1
        log.debug("server.request.refused", status=refused.status, code=refused.code)
        phase, self._phase = self._phase, ENDED
        self.deadline = math.inf
        if phase == BODY and self.cycle is self._running:
            self._refuse_body(refused, self.cycle)
            return
        if phase == BODY:
            self.pipeline.popleft()  # queued, and never started
        if self._answering:
            self._pending = refused
        else:
            self._write_refusal(refused)

    def _refuse_body(self, refused: Refused, cycle: RequestResponseCycle) -> None:
        if cycle.response_complete:
            self._linger()
            return
        disconnect(cycle)
        if cycle.response_started:
            self._wire.abort()
        else:
            self._write_refusal(refused)

    def _write_refusal(self, refused: Refused) -> None:
        begun = self.headers is not None
        path, headers = (self.url, self.headers) if begun else (b"", [])
        self._write(refused, path, headers, with_body=not begun or self.parser.get_method() != b"HEAD")

    def _end_failed(self, cycle: RequestResponseCycle) -> None:
        """The application left its response incomplete: a 500 if nothing was sent, else a cut, which cannot pass for an end."""
        cycle.disconnected = True
        self._running = None
        if cycle.response_started:
            self._wire.abort()
            return
        path, headers = cycle.scope["raw_path"], list(cycle.scope["headers"])
        refused = Refused(500, "internal_error", "The server made a mistake; it has been logged.")
        self._write(refused, path, headers, with_body=cycle.scope["method"] != "HEAD")

    def _write(self, refused: Refused, path: bytes, headers: Headers, *, with_body: bool) -> None:
        body = self.edge.render_error(path, headers, refused.status, refused.code, refused.message)
        self._wire.write(refusal_bytes(refused, body, with_body=with_body))
        self._linger()

    # Deadlines

    def expire(self, now: float) -> None:
        """Called by `sweep` when `deadline` or `write_deadline` has passed."""
        if now >= self.write_deadline:
            self._cut_if_stalled(now)
        if now < self.deadline:
            return
        if self._memory.held:
            self._release()
            return
        options = self.edge.options
        if self._phase == ENDED or self._wire.is_closing():
            self._wire.abort()
        elif self._phase == HEAD:
            message = f"The request's header did not arrive within {options.header_timeout:g} s."
            self._refuse(Refused(408, "header_timeout", message))
        elif self._phase == WAITING:
            self._wire.close()  # silently: a 408 here could be taken for the answer to a request that is on its way
            self.deadline = now + options.idle_timeout
        elif paused := self._timed_flow.take_paused():
            self.deadline = now + paused  # the application was slow to read, not the client to send
        else:
            message = f"The request's body did not arrive within {options.body_timeout:g} s."
            self._refuse(Refused(408, "body_timeout", message))
