"""One exchange with an upstream that speaks a dialect over HTTP: the call goes out verbatim or translated, and back likewise.

It knows no vendor: what differs between vendors is in the `Wire` that a provider gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.core.answer import replay
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError, UpstreamBroken, UpstreamRefused, UpstreamUnreachable
from gateway.core.events import Event, Finished, FinishReason, Started, Verbatim
from gateway.core.responder import Send
from gateway.core.target import Target
from gateway.dialects.dialect import Dialect, Outcome
from gateway.dialects.splice import splice
from gateway.dialects.sse import SseParser
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts, Upstream
from gateway.providers.retry_after import retry_after

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
_EDGE_BYTES = 4096  # of a stream's beginning and end, kept for its usage
_NOTHING_READ = Outcome()
_JSON = b"application/json"
_PASSED_PREFIXES = (
    b"x-ratelimit-",
    b"anthropic-ratelimit-",
    b"openai-",
    b"x-request-id",
    b"request-id",
    b"retry-after",
)


class Wire(Protocol):
    """What a provider knows about reaching one of its models in one dialect."""

    upstream: Upstream
    dialect: Dialect

    def headers(self, call: Call, key: str | None) -> tuple[tuple[bytes, bytes], ...]:
        """Give the request's headers, credentials included."""
        ...

    def path(self, call: Call, target: Target) -> bytes:
        """Give the path below the base URL."""
        ...

    def changes(self, call: Call, target: Target) -> Mapping[str, bytes]:
        """Give the top-level fields (encoded JSON) that a verbatim body needs changed."""
        ...

    def adapt(self, body: dict[str, object], call: Call) -> dict[str, object]:
        """Change a translated body where this upstream differs from the dialect."""
        ...

    def credentials(self) -> Sequence[str | None]:
        """Give the keys to try, in order; (None,) where none is needed."""
        ...

    def stripper(self, call: Call) -> Callable[[bytes], bytes] | None:
        """Give what takes out of a verbatim stream (whole events) what we asked for and the client did not, if anything."""
        ...


class Exchange:
    """A Responder: one target, reached over one wire, verbatim (the call is in the wire's dialect) or translated."""

    def __init__(self, wire: Wire, target: Target, *, verbatim: bool) -> None:
        self._wire = wire
        self._target = target
        self._name = target.name
        self._verbatim = verbatim
        limits = target.timeouts
        self._timeouts = HttpTimeouts(
            connect=limits.connect, first_byte=limits.first_token, idle=limits.idle, total=limits.total
        )

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer the call from the upstream."""
        same = self._verbatim
        body, dropped = self._body(call)
        begun = time.perf_counter()
        response = await self._open(call, body)
        waited = time.perf_counter() - begun
        try:
            started = Started(
                id=call.id,
                model=call.model,
                created=int(time.time()),
                target=self._name,
                waited=waited,
                status=response.status,
                content_type=_text(response.header(b"content-type")) if same else None,
                headers=tuple(h for h in response.headers if h[0].startswith(_PASSED_PREFIXES)),
                dropped=dropped,
            )
            streams = call.stream and call.operation == "generate"
            if same:
                relay = self._relay_stream if streams else self._relay_document
            else:
                relay = self._translate_stream if streams else self._translate_document
            await relay(call, response, started, send)
        finally:
            await response.aclose()

    def _body(self, call: Call) -> tuple[bytes, tuple[str, ...]]:
        wire = self._wire
        if self._verbatim:
            changes = wire.changes(call, self._target)
            return (splice(call.body, changes) if changes else call.body), ()
        if call.content is None:
            msg = "the route promised a verbatim dialect and got another"
            raise RuntimeError(msg)
        target = self._target
        encoded = wire.dialect.encode_call(call.content, model=target.model, stream=call.stream, drop=target.drop)
        return msgspec.json.encode(wire.adapt(encoded.body, call)), encoded.dropped

    async def _open(self, call: Call, body: bytes) -> HttpResponse:
        """Send with each key in turn until one is accepted; raise the last refusal."""
        path = self._wire.path(call, self._target)
        refusal: SwitchgearError | None = None
        for key in self._wire.credentials():
            request = HttpRequest(path=path, headers=self._wire.headers(call, key), body=body)
            response = await self._wire.upstream.request(request, self._timeouts)
            if response.status < 300:
                return response
            refusal = await self._refusal(response)
            if not (isinstance(refusal, UpstreamRefused) and refusal.blames_key):
                raise refusal
        raise refusal or UpstreamUnreachable("No key is configured for this provider.")

    async def _refusal(self, response: HttpResponse) -> SwitchgearError:
        try:
            if 300 <= response.status < 400:
                return UpstreamBroken(f"The upstream {self._name} answered with a redirect ({response.status}).")
            body = await response.read_all(MAX_ERROR_BYTES)
            error = self._wire.dialect.read_error(response.status, body)
            error.retry_after = retry_after(response, now=time.time())
            return error
        finally:
            await response.aclose()

    async def _relay_document(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        body = await response.read_all(MAX_ANSWER_BYTES)
        outcome = self._wire.dialect.read_answer(body)
        if outcome == _NOTHING_READ:
            self._must_be_json(started.content_type, body)
        await send(started)
        await send(Verbatim(body))
        await send(_finished(outcome))

    async def _relay_stream(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        if started.content_type is None or not started.content_type.startswith("text/event-stream"):
            await self._refuse_document(response, started.content_type)
        await send(started)
        strip = self._wire.stripper(call)
        head = tail = held = b""
        while data := await response.read():
            if len(head) < _EDGE_BYTES:
                head += data
            tail = (tail + data)[-_EDGE_BYTES:] if len(data) < _EDGE_BYTES else data[-_EDGE_BYTES:]
            if held or not data.endswith(b"\n\n"):
                data, held = _at_boundary(held + data)
            if strip is not None:
                data = strip(data)
            if data:
                await send(Verbatim(data))
        if held:
            await send(Verbatim(held if strip is None else strip(held)))
        outcome = self._wire.dialect.read_stream(head, tail)
        if not outcome.complete:
            raise UpstreamBroken(f"The upstream {self._name} ended its stream before the answer was complete.")
        await send(_finished(outcome))

    async def _translate_document(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        body = await response.read_all(MAX_ANSWER_BYTES)
        fields = self._must_be_json(_text(response.header(b"content-type")), body)
        answer = self._wire.dialect.decode_answer(fields)
        await _send_all(replay(answer), started, send)

    async def _translate_stream(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        content_type = _text(response.header(b"content-type"))
        if content_type is None or not content_type.startswith("text/event-stream"):
            await self._refuse_document(response, content_type)
        parser, decoder = SseParser(), self._wire.dialect.event_decoder()
        while data := await response.read():
            for name, payload in parser.feed(data):
                await _send_all(decoder.feed(name, payload), started, send)
        for name, payload in parser.finish():
            await _send_all(decoder.feed(name, payload), started, send)
        await _send_all(decoder.finish(), started, send)

    def _must_be_json(self, content_type: str | None, body: bytes) -> dict[str, object]:
        try:
            fields = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            what = content_type or "no content type"
            raise UpstreamBroken(f"The upstream {self._name} sent what is not JSON ({what}).") from exc
        if not isinstance(fields, dict):
            raise UpstreamBroken(f"The upstream {self._name} sent JSON that is not an object.")
        return fields

    async def _refuse_document(self, response: HttpResponse, content_type: str | None) -> None:
        """A stream was asked for and something else came: perhaps an error with status 200."""
        body = await response.read_all(MAX_ERROR_BYTES)
        error = self._wire.dialect.read_error(response.status, body)
        if content_type is not None and content_type.startswith(_JSON.decode()) and b'"error"' in body:
            raise error
        raise UpstreamBroken(f"The upstream {self._name} sent {content_type or 'no content type'} instead of a stream.")


def _at_boundary(data: bytes) -> tuple[bytes, bytes]:
    """Split after the last complete event."""
    cut = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
    return (b"", data) if cut < 5 else (data[:cut], data[cut:])


async def _send_all(events: Iterable[Event], started: Started, send: Send) -> None:
    """Pass events on; the decoded `Started` lends its id to the one that knows the target."""
    for event in events:
        stamped = event
        if isinstance(event, Started):
            identity = {"id": event.id or started.id, "created": event.created or started.created}
            stamped = msgspec.structs.replace(started, **identity)
        await send(stamped)


_REASONS: dict[str, FinishReason] = {
    "stop": "stop", "end_turn": "stop", "completed": "stop", "length": "length", "max_tokens": "length",
    "max_output_tokens": "length", "tool_calls": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "refusal": "refusal", "pause_turn": "pause", "stop_sequence": "stop_sequence",
}  # fmt: skip


def _finished(outcome: Outcome) -> Finished:
    return Finished(reason=_REASONS.get(outcome.finish_reason or "stop", "stop"), usage=outcome.usage)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
