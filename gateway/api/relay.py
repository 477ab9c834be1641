"""Writes an answer's events to the client: as server-sent events, or folded to one document. One code path for both.

Nothing is written before the first content event, so that until then an error can still have an HTTP status of its own
(and another target can still answer). After that an error is a terminal event in the client's dialect.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable

from gateway.api.asgi import AsgiSend, Direct, Headers, reply
from gateway.api.errors import reply_error
from gateway.core.answer import AnswerBuilder
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import ASIDE, Cached, Continued, Event, Finished, Started, Verbatim
from gateway.core.responder import NOTHING, Lane, give
from gateway.dialects.dialect import Dialect, EventEncoder
from gateway.dialects.sse import KEEP_ALIVE

EVENT_STREAM = b"text/event-stream; charset=utf-8"
_JSON = b"application/json"
_STREAMED = (
    (b"content-type", EVENT_STREAM),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_UNSEEN = re.compile(r"[^ -~]")
_MOST_DROPPED = 1024


def answer_headers(call: Call, started: Started | None, now: float) -> Headers:
    """Give the headers that every answer carries: call id, target served, overhead in ms, what was left out."""
    if started is None:
        return [(b"x-switchgear-call-id", call.id.encode())]
    overhead = (now - call.received - started.waited) * 1000
    headers = [
        (b"x-switchgear-call-id", call.id.encode()),
        (b"x-switchgear-target", started.target.encode("latin-1", "replace")),
        (b"x-switchgear-overhead-ms", b"%.3f" % max(overhead, 0.0)),
        *started.headers,
        *started.limits,
    ]
    if started.version:
        headers.append((b"x-switchgear-version", started.version.encode("latin-1", "replace")))
    if started.dropped:
        headers.append((b"x-switchgear-dropped", _shown(started.dropped)))
    if started.emulated:
        headers.append((b"x-switchgear-emulated", _shown(started.emulated)))
    if started.structured:
        headers.append((b"x-switchgear-structured", started.structured.encode("ascii")))
    return headers


def _shown(names: Iterable[str]) -> bytes:
    """Give names that a client chose as a header's value: what is not visible ASCII becomes a question mark."""
    return _UNSEEN.sub("?", ", ".join(names))[:_MOST_DROPPED].encode("ascii")


class DocumentRelay:
    """A Send that answers with one JSON document."""

    def __init__(
        self, call: Call, dialect: Dialect, send: AsgiSend, now: Callable[[], float], direct: Direct | None = None
    ) -> None:
        self._direct = direct
        self.call = call
        self._dialect = dialect
        self._send = send
        self._now = now
        self._started: Started | None = None
        self._builder: AnswerBuilder | None = None
        self.answered = False

    def __call__(self, event: Event) -> Awaitable[None]:
        """Take the next event."""
        kind = type(event)
        if kind is Verbatim:
            started = self._started
            content_type = None if started is None else started.content_type
            return self._answer(event.data, (content_type or "application/json").encode("latin-1", "replace"))  # type: ignore[union-attr]  # `kind is` does not narrow
        if kind is Started:
            self._started = event  # type: ignore[assignment]  # as above
        elif not self.answered and not isinstance(event, ASIDE):
            builder = self._fold(event)
            if isinstance(event, Finished):
                return self._answer(self._dialect.encode_answer(builder.answer(), self.call), _JSON)
        return NOTHING

    def whole(self, told: Cached, started: Started, data: Verbatim, finished: Finished) -> Awaitable[None]:
        """Take an answer that is all there."""
        del told, finished
        self._started = started
        return self._answer(data.data, (started.content_type or "application/json").encode("latin-1", "replace"))

    def _fold(self, event: Event) -> AnswerBuilder:
        builder = self._builder
        if builder is None:
            builder = self._builder = AnswerBuilder()
            if self._started is not None:
                builder.add(self._started)
        builder.add(event)
        return builder

    def _answer(self, body: bytes, content_type: bytes) -> Awaitable[None]:
        headers = [(b"content-type", content_type), *answer_headers(self.call, self._started, self._now())]
        self.answered = True
        return reply(self._send, 200, body, headers, self._direct)

    async def fail(self, error: SwitchgearError) -> None:
        """Answer with an error; nothing when the answer is out already."""
        if not self.answered:
            self.answered = True
            await reply_error(self._send, self._dialect, error, answer_headers(self.call, self._started, self._now()))

    async def keep_alive(self, idle: float) -> None:
        """Documents have nothing to keep alive with."""


class StreamRelay:
    """A Send that answers with server-sent events. `direct` is for pieces that need nobody's attention."""

    def __init__(
        self, call: Call, dialect: Dialect, send: AsgiSend, now: Callable[[], float], direct: Direct | None = None
    ) -> None:
        self._direct = direct
        self._pieces_seen = 0
        self.call = call
        self._dialect = dialect
        self._send = send
        self._now = now
        self._started: Started | None = None
        self._encoder: EventEncoder | None = None
        self._wrote_at = call.received
        self._held = b""
        self.answered = False
        self._ended = False

    def whole(self, told: Cached, started: Started, data: Verbatim, finished: Finished) -> Awaitable[None]:
        """Take a stream that is all there; it goes out in one go where the client is quick enough."""
        del told
        self._started = started
        if self.answered or self._direct is None or not self._direct.whole(200, self._headers(), data.data):
            return give(self, (data, finished))
        self.answered = self._ended = True
        return NOTHING

    async def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, Verbatim):
            if not self.answered:
                await self._begin()
            # As _put, written out: this is done for every piece of every stream.
            self._wrote_at = math.inf
            await self._send({"type": "http.response.body", "body": event.data, "more_body": True})
            self._wrote_at = self._now()
            return
        if isinstance(event, Started):
            self._started = event
            if event.content_type is None:
                self._encoder = self._dialect.event_encoder(self.call)
        if isinstance(event, Finished):
            await self._end(b"" if self._encoder is None else self._encoder.encode(event))
            return
        if self._encoder is not None and not isinstance(event, ASIDE):
            await self._write(self._encoder.encode(event), begin=not isinstance(event, Started))
        if isinstance(event, Continued) and self.answered:
            # The headers are out; clients leave comments aside.
            await self._put(b": continued by %b\n\n" % _shown((event.target,)))

    def lane(self) -> Lane | None:
        """Whole events of a verbatim stream may go out without waiting, once the answer has begun."""
        return self._direct.write if self._direct is not None and self.answered and not self._ended else None

    async def _write(self, data: bytes, *, begin: bool) -> None:
        if not data:
            return
        if not self.answered:
            # The start of the stream waits for content, so that an error before it still has its status.
            self._held = self._held + data
            if not begin:
                return
            data, self._held = self._held, b""
            await self._begin()
        elif self._held:
            data, self._held = self._held + data, b""
        await self._put(data)

    async def _put(self, data: bytes) -> None:
        """Write whole events.

        While a slow client keeps us waiting here, nobody else writes into the stream: it was then written to in the far future.
        """
        self._wrote_at = math.inf
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._wrote_at = self._now()

    def _headers(self) -> Headers:
        return [*answer_headers(self.call, self._started, self._now()), *_STREAMED]

    async def _begin(self) -> None:
        headers = self._headers()
        self._wrote_at = math.inf
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._wrote_at = self._now()
        self.answered = True

    async def _end(self, data: bytes) -> None:
        if self._ended:
            return
        self._ended = True
        if not self.answered:
            await self._begin()
        await self._send({"type": "http.response.body", "body": self._held + data})

    async def fail(self, error: SwitchgearError) -> None:
        """Answer with an error: as a document while nothing was written, else as the stream's last event."""
        if self._ended:
            return
        if not self.answered:
            self.answered = self._ended = True
            await reply_error(self._send, self._dialect, error, answer_headers(self.call, self._started, self._now()))
            return
        encoder = self._encoder or self._dialect.event_encoder(self.call)
        await self._end(encoder.error(error))

    async def keep_alive(self, idle: float) -> None:
        """Write a comment when nothing was written for `idle` seconds; begins the stream if it has not begun.

        Nothing is written while a slow client keeps the stream waiting. Cancelled in a wait of its own, it wrote nothing.
        """
        if self._direct is not None and self._direct.pieces != self._pieces_seen:
            self._pieces_seen = self._direct.pieces
            self._wrote_at = max(
                self._wrote_at, self._now()
            )  # or a little earlier: nobody looks at the clock for a piece
        before = self._wrote_at
        if self._ended or self._now() - before < idle:
            return
        try:
            if not self.answered:
                await self._begin()
            await self._put(KEEP_ALIVE)
        except BaseException:
            self._wrote_at = before
            raise


Relay = DocumentRelay | StreamRelay
