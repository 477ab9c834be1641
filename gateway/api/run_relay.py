"""Gives a stored response to its client: its events as they come, or its document when it has ended."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from gateway.api.asgi import AsgiSend, reply
from gateway.api.errors import reply_error
from gateway.api.relay import EVENT_STREAM, answer_headers
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import Started
from gateway.core.items import Json
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.response_object import failure_code
from gateway.dialects.openai_responses.stored_encode import TERMINAL
from gateway.dialects.sse import KEEP_ALIVE, event
from gateway.stores.runs import RunEvent

_encode = msgspec.json.Encoder().encode


class RunRelay:
    """What both ways of answering have in common. `call` is None for who looks on at a response that goes on without him."""

    def __init__(self, call: Call | None, send: AsgiSend, now: Callable[[], float]) -> None:
        self.call = call
        self._send = send
        self._now = now
        self._started: Started | None = None
        self._started_at = 0.0
        self.asked = False
        self.answered = False

    def asking(self) -> None:
        """Note that a model is asked."""
        self.asked = True

    def started(self, started: Started) -> None:
        """Note who answers, for the headers. What comes after this moment is the model's time, not overhead."""
        self._started, self._started_at = started, self._now()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [] if self.call is None else answer_headers(self.call, self._started, self._started_at)

    async def _refuse(self, error: SwitchgearError) -> None:
        self.answered = True
        await reply_error(self._send, OPENAI_RESPONSES, error, self._headers())


class RunDocument(RunRelay):
    """Answers with a document. Events pass it by."""

    async def take(self, event: RunEvent) -> None:
        """Take an event."""

    async def answer(self, document: dict[str, Json]) -> None:
        """Answer."""
        headers = [(b"content-type", b"application/json"), *self._headers()]
        self.answered = True
        await reply(self._send, 200, _encode(document), headers)

    async def fail(self, error: SwitchgearError) -> None:
        """Answer with an error; nothing when the answer is out already."""
        if not self.answered:
            await self._refuse(error)

    async def keep_alive(self, idle: float) -> None:
        """Documents have nothing to keep alive with."""


class RunStream(RunRelay):
    """Answers with server-sent events. `after` is the number of the event after which the client listens.

    `numbered` gives each event its number as its id, which browsers send back when they connect anew.
    """

    def __init__(
        self, call: Call | None, send: AsgiSend, now: Callable[[], float], after: int = -1, *, numbered: bool = False
    ) -> None:
        super().__init__(call, send, now)
        self._last = after
        self._numbered = numbered
        self._told_end = False
        self._wrote_at = now()
        self._ended = False

    async def take(self, taken: RunEvent) -> None:
        """Write an event."""
        written = event(taken.data, taken.name)
        await self._put(b"id: %d\n%b" % (taken.seq, written) if self._numbered else written)
        self._last, self._told_end = taken.seq, taken.name in TERMINAL

    async def end(self) -> None:
        """Say that this was all."""
        if not self._ended:
            self._ended = True
            await self._begin()
            await self._send({"type": "http.response.body", "body": b""})

    async def fail(self, error: SwitchgearError) -> None:
        """Answer with an error: as a document while nothing was written, else as an event that is not the response's own.

        Nothing follows the end of a response. The event has the number of the last event that was given, so that a client which goes on after it misses nothing.
        """
        if self._ended:
            return
        if not self.answered:
            self._ended = True
            await self._refuse(error)
            return
        if self._told_end:
            await self.end()
            return
        said = {"code": failure_code(error), "message": error.message, "param": error.param}
        await self._put(event(_encode({"type": "error", "sequence_number": self._last, **said}), "error"))
        await self.end()

    async def keep_alive(self, idle: float) -> None:
        """Write a comment when nothing was written for `idle` seconds. Cancelled in a wait of its own, it wrote nothing."""
        before = self._wrote_at
        if self._ended or self._now() - before < idle:
            return
        try:
            await self._put(KEEP_ALIVE)
        except BaseException:
            self._wrote_at = before
            raise

    async def _put(self, data: bytes) -> None:
        # In the far future while a slow client keeps us waiting here: nobody else writes into the stream meanwhile.
        self._wrote_at = math.inf
        await self._begin()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._wrote_at = self._now()

    async def _begin(self) -> None:
        if self.answered:
            return
        headers = self._headers()
        headers += [(b"content-type", EVENT_STREAM), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self.answered = True
