"""What every dialect offers: the same pure functions, two for the edge, two for providers. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation
from gateway.core.errors import SwitchgearError
from gateway.core.events import Event
from gateway.core.items import Json
from gateway.core.usage import Usage


class EncodedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request body for an upstream, and the names of the parameters that were left out of it.

    `refused` are those of them that are no hints: without permission they are an error.
    """

    body: dict[str, Json]
    dropped: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read off an answer's bytes without decoding all of it.

    `complete` says whether the answer's own end mark was there; `error` is the code of an error sent inside the answer.
    """

    usage: Usage | None = None
    finish_reason: str | None = None
    complete: bool = True
    error: str | None = None


class EventDecoder(Protocol):
    """Turns one upstream stream into events. One object an answer."""

    def feed(self, name: str, data: bytes) -> Sequence[Event]:
        """Take one server-sent event (`name` is "" where the API names none), give the hub's events.

        The first result begins with `Started` (its `target` is filled in by the provider). An event of an unknown type gives
        nothing. Raises UpstreamRefused for an error sent in the stream, UpstreamBroken for what cannot be understood.
        """
        ...

    def finish(self) -> Sequence[Event]:
        """The stream has ended: give what is left, `Finished` last unless it was given. Raises UpstreamBroken if cut off."""
        ...


class EventEncoder(Protocol):
    """Turns the hub's events into one client stream. One object an answer."""

    def encode(self, event: Event) -> bytes:
        """Give the server-sent events, whole, for one event; b"" where there is nothing to say."""
        ...

    def error(self, error: SwitchgearError) -> bytes:
        """Give the stream's terminal error event. Nothing follows it."""
        ...


class Dialect(Protocol):
    """One public API's wire format. Every method is pure."""

    name: str
    operation: Operation

    # The edge.
    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Check a request body and translate it. Raises InvalidRequest with `param` set to the path of the fault."""
        ...

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Give the JSON document for a whole answer. (Operations without items have their result in `answer.items`' stead.)"""
        ...

    def event_encoder(self, call: Call) -> EventEncoder:
        """Give an encoder for one streamed answer to `call`."""
        ...

    def encode_error(self, error: SwitchgearError) -> bytes:
        """Give the JSON document for an error. The HTTP status is `error.status`."""
        ...

    # Providers.
    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Translate a call for an upstream that speaks this dialect.

        A parameter that this dialect cannot express raises UnsupportedParameter, or is left out and named in `dropped` when
        `drop` is true. Hints, whose absence does not change the answer, are always left out and named. The prefix is
        lowered byte-stably: equal items give equal JSON.
        """
        ...

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """Translate an upstream's whole answer (`target` is filled in by the provider). Raises UpstreamBroken."""
        ...

    def event_decoder(self) -> EventDecoder:
        """Give a decoder for one streamed answer."""
        ...

    def read_answer(self, body: bytes) -> Outcome:
        """Read usage and finish reason off a whole answer's bytes. Never raises: an unreadable body gives an empty Outcome."""
        ...

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """The same for a stream, of which the first and the last few KiB are given (they may overlap when it is short)."""
        ...

    def says_nothing(self, data: bytes) -> bool:
        """Whether whole events from a stream's beginning say nothing yet: an answer that ends with them is none."""
        ...

    def read_error(self, status: int, body: bytes) -> SwitchgearError:
        """Translate an upstream's error answer. Never raises: HTML and garbage give an UpstreamRefused that says so."""
        ...
