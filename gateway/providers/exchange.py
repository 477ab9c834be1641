"""One exchange with an upstream that speaks a dialect over HTTP: the call goes out verbatim or translated, and back likewise.

It knows no vendor: what differs between vendors is in the `Wire` that a provider gives it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.core.answer import replay
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError, UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamUnreachable
from gateway.core.events import CutShort, Event, Finished, FinishReason, Started, Verbatim
from gateway.core.responder import Lane, Send, lane_of
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.dialects.dialect import Dialect, EventDecoder, Outcome
from gateway.dialects.splice import splice
from gateway.dialects.sse import SseParser
from gateway.providers.beginning import Beginning
from gateway.providers.cutting import Cutter, Seen
from gateway.providers.http.protocol import HttpRequest, HttpResponse, HttpTimeouts, Upstream
from gateway.providers.keyring import hide_key
from gateway.providers.passed_headers import passed_headers
from gateway.providers.retry_after import retry_after
from gateway.providers.uncounted import cut_short, of_answer, of_stream

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
_CLOSING = (
    1.0  # seconds that the end of a body may take after the last event of an answer, which the client has by then
)
_ANSWER_FIELDS = frozenset({"choices", "content", "data", "output", "results"})


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
        response, key = await self._open(call, body)
        waited = time.perf_counter() - begun
        try:
            headers, limits = passed_headers(response.headers)
            started = Started(
                id=call.id,
                model=call.model,
                created=int(time.time()),
                target=self._name,
                waited=waited,
                status=response.status,
                content_type=_text(response.header(b"content-type")) if same else None,
                headers=headers,
                limits=limits,
                dropped=dropped,
            )
            streams = call.stream and call.operation == "generate"
            if same:
                relay = self._relay_stream if streams else self._relay_document
            else:
                relay = self._translate_stream if streams else self._translate_document
            await relay(call, response, started, send)
        except SwitchgearError as error:
            hide_key(error, key)
            raise
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

    async def _open(self, call: Call, body: bytes) -> tuple[HttpResponse, str | None]:
        """Send with each key in turn until one is accepted, and give it too; raise the last refusal."""
        path = self._wire.path(call, self._target)
        refusal: SwitchgearError | None = None
        for key in self._wire.credentials():
            request = HttpRequest(path=path, headers=self._wire.headers(call, key), body=body)
            response = await self._wire.upstream.request(request, self._timeouts)
            if response.status < 300:
                return response, key
            found = await self._refusal(response)
            hide_key(found, key)
            if not (isinstance(found, UpstreamRefused) and found.blames_key):
                raise found
            # A key that is only tired says more than one that is dead: the caller may come back for it.
            if refusal is None or refusal.status != 429:
                refusal = found
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
        outcome, estimate = self._wire.dialect.read_answer(body), None
        if outcome.usage is None or outcome.error is not None or not outcome.complete:
            fields = self._must_be_json(started.content_type, body)
            self._must_be_an_answer(fields, body)
            if not outcome.complete and outcome.error is None:
                raise self._nothing_said()
            estimate = self._estimate(call, fields) if outcome.usage is None else None
        await send(started)
        await send(Verbatim(body))
        await send(_finished(outcome, estimate))

    def _estimate(self, call: Call, fields: dict[str, object]) -> Usage | None:
        """Estimate an answer that nobody counted; None where it is so odd that nobody can tell what it says."""
        try:
            return of_answer(call, self._wire.dialect.decode_answer(fields))
        except SwitchgearError:
            return None

    def _nothing_said(self) -> UpstreamBroken:
        return UpstreamBroken(f"The upstream {self._name} sent an answer with nothing in it.")

    async def _relay_stream(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        if not _is_event_stream(started.content_type):
            await self._refuse_document(response, started.content_type)
        await send(started)
        dialect, seen = self._wire.dialect, Seen()
        try:
            lost = await self._pump(call, response, seen, send)
            outcome = dialect.read_stream(seen.head, seen.tail)
            self._must_be_complete(outcome, lost)
        except BaseException:
            known = dialect.read_stream(seen.head, seen.tail).usage
            if known is not None or seen.events > 1:  # a lone event may be the error itself
                # Nothing is written any more, so this does not wait, and cannot be cancelled.
                await send(CutShort(usage=cut_short(known, call, seen.events)))
            raise
        if outcome.error is not None:
            outcome = msgspec.structs.replace(outcome, usage=cut_short(outcome.usage, call, seen.events))
        await send(_finished(outcome, of_stream(call, seen.events) if outcome.usage is None else None))

    async def _pump(self, call: Call, response: HttpResponse, seen: Seen, send: Send) -> UpstreamError | None:
        """Hand the stream's bytes on, cut at event boundaries. Gives how the connection was lost, if it was."""
        cutter, beginning = Cutter(seen, self._wire.stripper(call)), Beginning(self._wire.dialect)
        while True:
            try:
                data = await response.read()
            except UpstreamError as error:
                if not beginning.over:
                    raise
                return error
            if not data:
                break
            data = cutter.cut(data)
            if not beginning.over:
                data = beginning.take(data)
            if data:
                await send(Verbatim(data))
            if (lane := lane_of(send)) is not None:
                await self._take_lane(response, cutter, lane, send)
        rest = cutter.rest()
        if not beginning.over and not (rest := beginning.take(rest)):
            raise self._nothing_said()
        if rest:
            await send(Verbatim(rest))
        return None

    async def _take_lane(self, response: HttpResponse, cutter: Cutter, lane: Lane, send: Send) -> None:
        """Let pieces go from connection to connection with nobody woken, as long as the client keeps up."""
        left: list[bytes] = []
        faults: list[UpstreamBroken] = []

        def sink(data: bytes) -> bool:
            try:
                whole = cutter.cut(data)
            except UpstreamBroken as fault:
                faults.append(fault)
                return False
            if not whole or lane(whole):
                return True
            left.append(whole)
            return False

        await response.divert(sink)
        if faults:
            raise faults[0]
        for whole in left:
            await send(Verbatim(whole))

    def _must_be_complete(self, outcome: Outcome, lost: UpstreamError | None) -> None:
        """Raise for a stream that broke off: not for one that was lost, or never closed, after its last event.

        (An error as the last event is an end: the client has seen it.)
        """
        if not outcome.complete and outcome.error is None:
            raise lost or UpstreamBroken(f"The upstream {self._name} ended its stream before the answer was complete.")

    async def _translate_document(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        body = await response.read_all(MAX_ANSWER_BYTES)
        fields = self._must_be_json(_text(response.header(b"content-type")), body)
        answer = self._wire.dialect.decode_answer(fields)
        if answer.finished.usage is None:
            finished = msgspec.structs.replace(answer.finished, estimate=of_answer(call, answer))
            answer = msgspec.structs.replace(answer, finished=finished)
        await _send_all(replay(answer), started, send)

    async def _translate_stream(self, call: Call, response: HttpResponse, started: Started, send: Send) -> None:
        content_type = _text(response.header(b"content-type"))
        if not _is_event_stream(content_type):
            await self._refuse_document(response, content_type)
        parser, decoder = SseParser(), self._wire.dialect.event_decoder()
        events = 0
        until = math.inf  # when nobody waits any longer for the end of a body whose last event has come
        try:
            lost: UpstreamError | None = None
            while True:
                try:
                    data = await (response.read() if until == math.inf else _rest(response, until))
                except UpstreamError as error:
                    lost = error
                    break
                for name, payload in parser.feed(data) if data else parser.finish():
                    events += 1
                    given = decoder.feed(name, payload)
                    if given and type(given[-1]) is Finished:
                        given = _counted(given, of_stream(call, events))
                        until = min(until, asyncio.get_running_loop().time() + _CLOSING)
                    await _send_all(given, started, send)
                if not data:
                    break
            await _send_all(_counted(_finish(decoder, lost), of_stream(call, events)), started, send)
        except BaseException:
            if events > 1:  # a lone event may be the error itself
                await send(CutShort(usage=cut_short(None, call, events)))
            raise

    def _must_be_json(self, content_type: str | None, body: bytes) -> dict[str, object]:
        try:
            fields = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            what = content_type or "no content type"
            raise UpstreamBroken(f"The upstream {self._name} sent what is not JSON ({what}).") from exc
        if not isinstance(fields, dict):
            raise UpstreamBroken(f"The upstream {self._name} sent JSON that is not an object.")
        return fields

    def _must_be_an_answer(self, fields: dict[str, object], body: bytes) -> None:
        """Raise for an error that came with status 200. (A Response that failed is an answer, and tells so itself.)"""
        if fields.get("error") and not any(fields.get(name) for name in _ANSWER_FIELDS):
            self._wire.dialect.decode_answer(fields)
            raise self._wire.dialect.read_error(502, body)

    async def _refuse_document(self, response: HttpResponse, content_type: str | None) -> None:
        """A stream was asked for and something else came: perhaps an error with status 200."""
        body = await response.read_all(MAX_ERROR_BYTES)
        if content_type is not None and content_type.lower().startswith("application/json") and b'"error"' in body:
            self._must_be_an_answer(self._must_be_json(content_type, body), body)
        raise UpstreamBroken(f"The upstream {self._name} sent {content_type or 'no content type'} instead of a stream.")


async def _rest(response: HttpResponse, until: float) -> bytes:
    """Read on after the last event: b"" at the end of the body, or at the loop's time `until`, which leaves the connection."""
    try:
        async with asyncio.timeout_at(until):
            return await response.read()
    except TimeoutError:
        return b""


def _finish(decoder: EventDecoder, lost: UpstreamError | None) -> Sequence[Event]:
    """Give the last events of a stream, also where the connection was lost after they had come."""
    try:
        return decoder.finish()
    except UpstreamBroken as error:
        raise lost or error from None


def _counted(events: Sequence[Event], estimate: Usage | None) -> Sequence[Event]:
    """Give events whose last one, where it finishes an answer that the upstream did not count, has an estimate."""
    last = events[-1] if events else None
    if not isinstance(last, Finished) or last.usage is not None:
        return events
    return (*events[:-1], msgspec.structs.replace(last, estimate=estimate))


def _is_event_stream(content_type: str | None) -> bool:
    return content_type is not None and content_type.lower().startswith("text/event-stream")


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


def _finished(outcome: Outcome, estimate: Usage | None = None) -> Finished:
    reason = _REASONS.get(outcome.finish_reason or "stop", "stop")
    return Finished(reason=reason, usage=outcome.usage, error=outcome.error, estimate=estimate)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
