"""One HTTP/1.1 connection to an upstream: bytes to responses, one exchange at a time, with its own clock.

It knows nothing of other connections; whoever owns it (`Owner`) hears when it is free again and when it is closed.
Framing follows RFC 9112; the parser is llhttp by way of httptools, in its strict mode.
"""

import asyncio
from typing import Protocol, cast

import httptools

from gateway.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout
from gateway.providers.http.lazy_timer import TICK, LazyTimer
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from gateway.providers.http.response import NativeResponse

HEAD_LIMIT = 64 * 1024
BUFFER_LIMIT = 256 * 1024
IDLE_SECONDS = 60.0
# A kept-alive connection that the server gave up at the moment of our write fails within a round trip. What fails later may
# have been begun by the server, and is not repeated.
STALE_SECONDS = 0.5
_WRITE_PIECE = 64 * 1024
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class StaleConnection(UpstreamBroken):
    """A kept-alive connection was closed as the request was written, before a byte of response: it may be sent again."""


class Owner(Protocol):
    """What a connection tells the pool it belongs to."""

    def released(self, connection: "Connection") -> None:
        """Take back a connection whose response is complete."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Forget a connection; called exactly once."""
        ...


class Connection(asyncio.Protocol):
    """One connection. `uses` counts complete exchanges, `closed` is final."""

    __slots__ = (
        "_barren",
        "_headers",
        "_interim",
        "_keep",
        "_loop",
        "_name",
        "_owner",
        "_parser",
        "_response",
        "_surplus",
        "_timer",
        "_transport",
        "_uploading",
        "_write_paused",
        "_written_at",
        "closed",
        "paused",
        "uses",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, name: str) -> None:
        self._loop = loop
        self._owner = owner
        self._name = name
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: NativeResponse | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._interim = False
        self._keep = False
        self._surplus = False
        self.paused = False
        self._uploading = False
        self._write_paused = False
        self._barren = 0
        self._written_at = 0.0
        self._timer = LazyTimer(loop, self._on_deadline)
        self.closed = False
        self.uses = 0

    # --- one exchange ---

    async def exchange(
        self, head: bytes, request: HttpRequest, timeouts: HttpTimeouts, total_at: float
    ) -> NativeResponse:
        """Write the request and return the response when its head has come.

        `total_at` is in the loop's time. Raises UpstreamTimeout, UpstreamBroken or StaleConnection; the connection is closed
        then, as it is on cancellation.
        """
        response = self._response = NativeResponse(self, request.method, timeouts, total_at)
        self._barren = 0
        body = request.body
        try:
            if len(body) <= _WRITE_PIECE:
                self._writable()
                # After all that is ready now: requests that came together leave together, and so come their answers.
                self._loop.call_soon(self._write_small, head + body if body else head)
            else:
                await self._write_large(head, body, response)
            if response.status == 0 and response.error is None:
                now = self._written_at = self._loop.time()
                self._timer.set(min(now + timeouts.first_byte, total_at))
                response.wake = wake = self._loop.create_future()
                await wake
        except BaseException:
            response.abandon()
            raise
        if response.error is not None and response.status == 0:
            raise response.error
        return response

    def _write_small(self, data: bytes) -> None:
        if self._transport is not None and not self.closed:  # it may have been lost since
            self._transport.write(data)

    async def _write_large(self, head: bytes, body: bytes, response: NativeResponse) -> None:
        """Write in pieces, as fast as the upstream takes them; stop when it has refused the request."""
        transport = self._writable()
        view = memoryview(body)
        self._uploading = True
        transport.writelines((head, view[:_WRITE_PIECE]))
        for start in range(_WRITE_PIECE, len(body), _WRITE_PIECE):
            while self._write_paused and not self.closed and response.status < 400:
                self._written_at = self._loop.time()
                self._timer.set(min(self._written_at + response.timeouts.idle, response.total_at))
                response.wake = wake = self._loop.create_future()
                await wake
            if self.closed or response.status >= 400:
                return  # The connection has half a request on it: it stays marked, and is not used again.
            transport.write(view[start : start + _WRITE_PIECE])
        self._uploading = False

    def expect_body(self) -> "asyncio.Future[None]":
        """Start the idle timeout and return the future that the next piece of body, end or error completes."""
        response = self._response
        if response is None:
            raise UpstreamBroken(f"{self._name} is not answering any more")
        # Only noted: the timer moves when it fires too early, not with every piece of a stream.
        response.idle_at = idle_at = self._loop.time() + response.timeouts.idle
        if idle_at < self._timer.deadline:
            self._timer.set(min(idle_at, response.total_at))
        response.wake = wake = self._loop.create_future()
        return wake

    def drained(self) -> None:
        """Go on reading from the network if that was paused: the buffer is empty again."""
        if self.paused and self._transport is not None:
            self.paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close the socket at once and tell the owner; the response in flight, if any, is left to its holder."""
        if self.closed:
            return
        self.closed = True
        self._parser = None
        self._timer.discard()
        response, self._response = self._response, None
        if response is not None:
            response.carrier = None
        if self._transport is not None:
            self._transport.abort()
        self._owner.closed(self)

    def discard(self) -> None:
        """Give up a connection that is being opened; the owner hears nothing of it."""
        self.closed = True
        self._parser = None
        self._timer.discard()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; a connection that was given up while it was opened is closed."""
        self._transport = cast("asyncio.Transport", transport)
        if self.closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then do once what the whole packet asks for."""
        response, parser = self._response, self._parser
        if response is None or parser is None:
            self.close()  # Bytes that nobody asked for: the connection's framing cannot be trusted any more.
            return
        response.touched = True
        self._barren += len(data)
        pieces, status = response.pieces, response.status
        before = len(pieces)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not response.finished:
                self._fail(self._malformed(exc))
                return
            self._surplus = True
        got = len(pieces) - before
        if got > 1:
            pieces[before:] = [b"".join(pieces[before:])]
        if got and response.sink is not None and self._diverted(response) and not response.finished:
            return
        self._tell(response, got=bool(got), head=response.status != status)

    def _tell(self, response: NativeResponse, *, got: bool, head: bool) -> None:
        """Let the response's holder know what a packet brought: the end, a piece of body, the head."""
        if response.finished:
            self._finish(response)
            response.news()
        elif got or head:
            self._barren = 0
            if response.pieces and got:
                response.buffered += len(response.pieces[-1])
                if response.buffered > BUFFER_LIMIT:
                    self._hold_back()
            response.news()
        elif self._barren > HEAD_LIMIT:
            self._fail(UpstreamBroken(f"{self._name} sent more than {HEAD_LIMIT} bytes of headers"))

    def _diverted(self, response: NativeResponse) -> bool:
        """Give the piece that has just come to the sink; whether it wants more."""
        sink = response.sink
        self._barren = 0
        response.idle_at = self._loop.time() + response.timeouts.idle
        return sink is not None and sink(response.pieces.pop())

    def eof_received(self) -> None:
        """Take the end of the stream as the end of the connection: a client needs no half-closed one."""
        response = self._response
        if response is not None and response.status and not self._keep and self._ends_with_connection(response):
            response.finished = True
            self._finish(response)
            response.news()
        else:
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the response in flight, if there is one."""
        response = self._response
        if self.closed or response is None:
            self.close()
            return
        reason = f" ({exc})" if exc is not None else ""
        if response.status:
            self._fail(UpstreamBroken(f"{self._name} closed the connection before the end of its answer{reason}"))
            return
        kind = UpstreamBroken
        if self.uses and not response.touched:
            early = self._loop.time() - self._written_at <= STALE_SECONDS
            if early or self._uploading or response.method in _REPEATABLE:
                kind = StaleConnection
        self._fail(kind(f"{self._name} closed the connection without an answer{reason}"))

    def pause_writing(self) -> None:
        """Hold back the rest of a large body."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on with a large body."""
        self._write_paused = False
        response = self._response
        if response is not None and self._uploading:
            response.news()

    # --- the parser's callbacks ---

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self._response is None or self._response.finished:
            raise UpstreamBroken("more than one response")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; a trailer is dropped."""
        if not cast("NativeResponse", self._response).status:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Publish the head, unless it is an interim one."""
        parser, response = self._parser, self._response
        if parser is None or response is None:
            return
        status = parser.get_status_code()
        if status < 200:
            self._interim = True
            return
        self._interim = False
        if self._barren > HEAD_LIMIT and sum(len(name) + len(value) + 4 for name, value in self._headers) > HEAD_LIMIT:
            raise UpstreamBroken(f"more than {HEAD_LIMIT} bytes of headers")
        response.headers = tuple(self._headers)
        response.status = status
        self._keep = parser.should_keep_alive()
        if response.method == b"HEAD":
            response.finished = True

    def on_body(self, body: bytes) -> None:
        """Buffer a piece of body."""
        response = self._response
        if response is None or response.finished:
            self._surplus = True
            return
        response.pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a final response."""
        if not self._interim:
            cast("NativeResponse", self._response).finished = True

    # --- endings ---

    def _writable(self) -> asyncio.Transport:
        transport = self._transport
        if transport is None or self.closed:
            raise StaleConnection(f"{self._name} closed the connection")
        return transport

    def _malformed(self, exc: Exception) -> UpstreamBroken:
        cause = exc.__context__
        reason = cause.message if isinstance(cause, UpstreamBroken) else str(exc)
        return UpstreamBroken(f"{self._name} sent something that is not an HTTP response ({reason})")

    def _hold_back(self) -> None:
        """Stop reading from the network: the reader does not keep up."""
        if not self.paused and self._transport is not None:
            self.paused = True
            self._transport.pause_reading()

    def _ends_with_connection(self, response: NativeResponse) -> bool:
        if response.header(b"content-length") is not None:
            return False
        return not (response.header(b"transfer-encoding") or b"").lower().endswith(b"chunked")

    def _finish(self, response: NativeResponse) -> None:
        """Part from a complete response, and become free or closed."""
        transport = self._transport
        clean = self._keep and not self._surplus and not self._uploading
        if not clean or transport is None or transport.get_write_buffer_size():
            self.close()
            return
        response.carrier = None
        self._response = None
        self.uses += 1
        if response.method == b"HEAD":
            self._parser = httptools.HttpResponseParser(
                self
            )  # The old one still expects the body that HEAD leaves out.
        self._timer.set(self._loop.time() + IDLE_SECONDS)
        self._owner.released(self)

    def _fail(self, error: UpstreamError) -> None:
        response = self._response
        self.close()
        if response is not None:
            response.error = error
            response.news()

    # --- time ---

    def _on_deadline(self) -> None:
        response = self._response
        now = self._loop.time() + TICK
        if response is None:
            self.close()
        elif response.wake is None and now < response.total_at:
            self._timer.set(response.total_at)  # Nobody waits for the upstream: only the total runs.
        elif response.status and now < (due := min(response.idle_at, response.total_at)):
            self._timer.set(due)  # Body has come since the timer was set.
        else:
            self._fail(self._timed_out(response, now))

    def _timed_out(self, response: NativeResponse, now: float) -> UpstreamTimeout:
        limits = response.timeouts
        if now >= response.total_at:
            return UpstreamTimeout(f"{self._name} did not finish its answer within {limits.total:g} s (total timeout)")
        if response.status:
            return UpstreamTimeout(f"{self._name} sent nothing for {limits.idle:g} s (idle timeout)")
        if self._uploading:
            return UpstreamTimeout(f"{self._name} took nothing of the request for {limits.idle:g} s (idle timeout)")
        return UpstreamTimeout(
            f"{self._name} did not begin its answer within {limits.first_byte:g} s (first-byte timeout)"
        )
