"""The fault matrix: every fault of an upstream, what a caller is told of it, and what is tried before that. docs/faults.md says the same.

`whole` is for calls that wait for the whole answer (embeddings among them), `stream` for those that stream; None where the
fault does not exist there. `tried` says what comes before the caller is told: "again" asks the same target once more, after the others;
"elsewhere" asks the others alone; "nothing" is told at once. What is no error, or comes after the first content, is never tried again.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tests.faults import upstream_faults as faults
from tests.faults.faulty_upstream import LAST_CHUNK, STREAM_HEAD, chunk, document
from tests.faults.upstream_faults import BROKEN, LATE, Answered, CutOff, Error

Outcome = Error | CutOff | Answered
Tried = Literal["again", "elsewhere", "nothing"]
UNREACHABLE = Error(status=502, code="upstream_unreachable")
GENERATED = ("chat", "responses", "messages")
WELL = Answered()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `make` gives what the upstream does; None: it is the address that is wrong, `provider` names it.

    `only` are the APIs that the fault exists in, `serial` says that its calls are made one after another.
    """

    says: str
    whole: Outcome | None
    stream: Outcome | None
    tried: Tried = "again"
    make: Callable[[Any], Any] | None = None
    provider: str = "up"
    only: tuple[str, ...] = (*GENERATED, "embeddings")
    serial: bool = False


def absurd_chunk(upstream):
    async def behave(peer, asked):
        head = STREAM_HEAD if asked.stream else STREAM_HEAD.replace(b"text/event-stream", b"application/json")
        await peer.send(head + b"ffffffffffffffffff\r\n{")
        await peer.left()

    return behave


def gigantic(upstream):
    """More than any answer, or any event, may have. It is sent piece by piece until nobody takes it any more."""

    async def behave(peer, asked):
        if asked.stream:
            await peer.send(STREAM_HEAD + b"%x\r\ndata: " % (1 << 30))
        else:
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n{" % (1 << 30)
            )
        for _ in range(1 << 10):
            await peer.send(b"x" * (1 << 20))

    return behave


def no_choices(upstream):
    """An answer in which nothing was chosen: a document without entries, a stream whose only events count tokens."""

    async def behave(peer, asked):
        if not asked.stream:
            await faults.nothing_said(upstream)(peer, asked)
            return
        event = json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []})
        await peer.send(STREAM_HEAD + chunk(f"data: {event}\n\n".encode()) + chunk(b"data: [DONE]\n\n") + LAST_CHUNK)

    return behave


def one_index_for_two_calls(upstream):
    """Two calls of tools under one index: their arguments must not run into each other."""

    async def behave(peer, asked):
        if not asked.stream:
            calls = [_call("call_a", '{"city": "Aachen"}'), _call("call_b", '{"city": "Bonn"}')]
            answer = json.loads(upstream.answers.documents["chat"])
            answer["choices"][0] |= {
                "message": {"role": "assistant", "content": None, "tool_calls": calls},
                "finish_reason": "tool_calls",
            }
            await peer.send(document(json.dumps(answer).encode()))
            return
        deltas: list[dict[str, Any]] = [
            {"role": "assistant", "tool_calls": [{**_call("call_a", ""), "index": 0}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Aachen"}'}}]},
            {"tool_calls": [{**_call("call_b", ""), "index": 0}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Bonn"}'}}]},
        ]
        choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
        frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        lines = [{**frame, "choices": [choice]} for choice in choices]
        usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        lines.append({**frame, "choices": [], "usage": usage})
        await peer.send(STREAM_HEAD + b"".join(chunk(f"data: {json.dumps(line)}\n\n".encode()) for line in lines))
        await peer.send(chunk(b"data: [DONE]\n\n") + LAST_CHUNK)

    return behave


def _call(name, arguments):
    return {"id": name, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def one_block_twice(upstream):
    """Anthropic's form of it: a block that begins while one of the same index is open."""

    async def behave(peer, asked):
        events = upstream.answers.events[asked.api]
        twice = next(event for event in events if b"content_block_start" in event)
        position = events.index(twice)
        await peer.send(
            STREAM_HEAD + b"".join(map(chunk, [*events[: position + 1], twice, *events[position + 1 :]])) + LAST_CHUNK
        )

    return behave


def refuse(status, **more):
    return faults.plain(faults.refuse(status, **more))


def page(status):
    return faults.plain(faults.raw(document(faults.PAGE, status=status, kind=b"text/html")))


REFUSED = Error(status=502, text="It said so.")
CREDENTIALS = Error(status=502, code="upstream_credentials")
FAULTS = {
    "refused": Fault(says="connection refused", provider="refused", whole=UNREACHABLE, stream=UNREACHABLE),
    "dns": Fault(says="the name is not known (DNS)", provider="dns", whole=UNREACHABLE, stream=UNREACHABLE),
    "tls": Fault(says="a certificate that nobody vouches for (TLS)", provider="tls", whole=UNREACHABLE, stream=UNREACHABLE),
    "no-tls": Fault(says="no TLS where it should be", provider="no-tls", whole=UNREACHABLE, stream=UNREACHABLE),
    "connect-timeout": Fault(says="no connection in time", provider="full", whole=LATE, stream=LATE),
    "no-first-byte": Fault(says="no first byte in time", make=faults.plain(faults.silent), whole=LATE, stream=LATE),
    "head-only": Fault(says="a head, then silence", make=faults.plain(faults.hang_after_head), whole=LATE, stream=LATE),
    "stall": Fault(says="stalls in the middle", make=faults.broken_off(faults.stall), whole=LATE, stream=CutOff(text="timeout")),
    "slow-drip": Fault(says="drips byte by byte, and never an event", make=faults.slow_drip, whole=LATE, stream=LATE),
    "closed": Fault(
        says="closes at once", make=faults.plain(faults.raw(b"", close=True)), whole=BROKEN, stream=BROKEN,
    ),
    "not-http": Fault(
        says="speaks something else than HTTP", make=faults.plain(faults.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", close=True)),
        whole=BROKEN, stream=BROKEN,
    ),
    "truncated": Fault(
        says="closes in the middle (truncated JSON, truncated events)", make=faults.broken_off(faults.close), whole=BROKEN,
        stream=CutOff(text=""),
    ),
    "truncated-json": Fault(
        says="ends well, with JSON that does not", make=faults.truncated_json, whole=BROKEN, stream=BROKEN,
    ),
    "broken-event": Fault(says="begins with an event that is not JSON", make=faults.broken_event, whole=None, stream=BROKEN),
    "truncated-sse": Fault(
        says="ends well, before the last event", make=faults.broken_off(faults.end_well), whole=None, stream=CutOff(text="before"),
    ),
    "reset": Fault(says="resets in the middle", make=faults.broken_off(faults.reset), whole=BROKEN, stream=CutOff(text="")),
    "html": Fault(says="a web page with status 200", make=page(200), whole=BROKEN, stream=BROKEN),
    "html-502": Fault(says="a web page with status 502", make=page(502), whole=Error(status=502), stream=Error(status=502)),
    "wrong-type": Fault(says="the wrong content type", make=faults.wrong_type, whole=WELL, stream=BROKEN),
    "empty": Fault(says="nothing, with status 200", make=faults.plain(faults.raw(document(b""))), whole=BROKEN, stream=BROKEN),
    "400": Fault(says="400", make=refuse(400), whole=Error(status=400, text="It said so."), stream=Error(status=400), tried="nothing"),
    "401": Fault(says="401 with every key", make=refuse(401), whole=CREDENTIALS, stream=CREDENTIALS, tried="elsewhere"),
    "403": Fault(says="403 with every key", make=refuse(403), whole=CREDENTIALS, stream=CREDENTIALS, tried="elsewhere"),
    "404": Fault(says="404", make=refuse(404), whole=Error(status=404), stream=Error(status=404), tried="elsewhere"),
    "408": Fault(says="408", make=refuse(408), whole=Error(status=504), stream=Error(status=504)),
    "413": Fault(says="413", make=refuse(413), whole=Error(status=413), stream=Error(status=413), tried="nothing"),
    "429": Fault(
        says="429", make=refuse(429), whole=Error(status=429, retry_after="1"), stream=Error(status=429, retry_after="1"),
    ),
    "429-retry-after": Fault(
        says="429 with a Retry-After that is too long to wait for", make=refuse(429, headers=b"retry-after: 12\r\n"),
        whole=Error(status=429, retry_after="12"), stream=Error(status=429, retry_after="12"), tried="elsewhere", serial=True,
    ),
    "500": Fault(says="500", make=refuse(500), whole=REFUSED, stream=REFUSED),
    "502": Fault(says="502", make=refuse(502), whole=REFUSED, stream=REFUSED),
    "503": Fault(says="503", make=refuse(503), whole=Error(status=503), stream=Error(status=503)),
    "529": Fault(says="529", make=refuse(529), whole=Error(status=503), stream=Error(status=503)),
    "error-in-200": Fault(
        says="an error (too many requests) as all that comes with status 200", make=faults.error_first,
        whole=Error(status=429, text="Not now."), stream=Error(status=429, text="Not now."),
    ),
    "error-in-stream": Fault(
        says="an error event in the middle of a stream", make=faults.error_in_the_middle, whole=None, stream=CutOff(text="Gave up."),
    ),
    "no-choices": Fault(
        says="`choices` or `data` that is empty", make=no_choices, whole=BROKEN, stream=BROKEN, only=("chat", "embeddings"),
    ),
    "one-index": Fault(
        says="two tool calls under one index (chat)", make=one_index_for_two_calls, whole=WELL, stream=WELL, only=("chat",),
    ),
    "one-block": Fault(
        says="two blocks under one index (messages)", make=one_block_twice, whole=None, stream=WELL, only=("messages",),
    ),
    "no-usage": Fault(
        says="no usage", make=faults.without_usage, whole=Answered(usage=False), stream=Answered(usage=False),
    ),
    "never-closed": Fault(says="the connection stays open after the last event", make=faults.never_ends, whole=None, stream=WELL),
    "reset-after-end": Fault(says="a reset after the last byte or event", make=faults.reset_at_the_end, whole=WELL, stream=WELL),
    "gigantic": Fault(
        says="an answer over 64 MiB, an event over 16 MiB", make=gigantic, whole=BROKEN, stream=BROKEN, only=("chat",), serial=True,
    ),
    "absurd-chunk": Fault(says="a chunk longer than memory", make=absurd_chunk, whole=BROKEN, stream=BROKEN),
}  # fmt: skip


def seen(outcome: Outcome | None) -> str:
    """What a caller sees, as the page says it."""
    if outcome is None:
        return "-"
    if isinstance(outcome, CutOff):
        return "200, an error as the last event"
    if isinstance(outcome, Answered):
        return "the answer" if outcome.usage else "the answer; its usage is estimated"
    code = f" `{outcome.code}`" if outcome.code else ""
    after = f", `Retry-After: {outcome.retry_after}`" if outcome.retry_after else ""
    return f"{outcome.status}{code}{after}"


def moves_on(fault: Fault, outcome: Outcome | None) -> bool:
    """Whether another target is asked before the caller is told."""
    return isinstance(outcome, Error) and fault.tried != "nothing"


def tried(fault: Fault) -> str:
    """What is tried, as the page says it."""
    outcomes = [one for one in (fault.whole, fault.stream) if one is not None]
    if not any(isinstance(one, Error) for one in outcomes):
        return "nothing"
    words = {"again": "others, then the same again", "elsewhere": "others", "nothing": "nothing"}[fault.tried]
    kinds = {"whole": fault.whole, "stream": fault.stream}
    quiet = [name for name, one in kinds.items() if one is not None and not isinstance(one, Error)]
    return f"{words}; {quiet[0]}: nothing" if quiet and fault.tried != "nothing" else words


def table() -> list[str]:
    """The rows of the page."""
    return [f"| {one.says} | {seen(one.whole)} | {seen(one.stream)} | {tried(one)} |" for one in FAULTS.values()]
