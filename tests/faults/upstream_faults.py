"""The faults of an upstream, and for each what a caller gets: one that waits for the whole answer, and one that streams."""

import datetime as dt
import email.utils
import json

import anyio
import msgspec

from tests.faults.faulty_upstream import LAST_CHUNK, STREAM_HEAD, chunk, document


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with an HTTP status of its own."""

    status: int
    code: str | None = None
    text: str = ""
    retry_after: str | None = None


class CutOff(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that began and ends with an error event."""

    text: str
    code: str | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, or a stream to its end."""

    usage: bool = True
    """Whether the upstream says what was used; else it is estimated, and said to be so."""


BROKEN = Error(status=502, code="upstream_broken")
LATE = Error(status=504, code="upstream_timeout")


def raw(data, *, close=False):
    async def behave(peer, asked):
        del asked
        await peer.send(data)
        if close:
            raise EOFError

    return behave


def refuse(status, message="It said so.", headers=b"", **more):
    body = json.dumps({"type": "error", "error": {"message": message, "type": "some_error", **more}}).encode()
    return raw(document(body, status=status, headers=headers))


async def silent(peer, asked):
    await peer.left()


async def hang_after_head(peer, asked):
    await peer.send(STREAM_HEAD if asked.stream else document(b" " * 9)[:-9])
    await peer.left()


def broken_off(end):
    """Half of the answer, then `end`."""

    def make(upstream):
        async def behave(peer, asked):
            if asked.stream:
                events = upstream.answers.events[asked.api]
                await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[: len(events) // 2]))
            else:
                whole = document(upstream.answers.documents[asked.api])
                await peer.send(whole[: -len(whole) // 4])
            await end(peer)

        return behave

    return make


async def stall(peer):
    await peer.left()


async def close(peer):
    raise EOFError


async def reset(peer):
    await anyio.sleep(0.05)  # so that what was sent has been read: a reset throws away what has not
    peer.reset()


async def end_well(peer):
    await peer.send(LAST_CHUNK)


def slow_drip(upstream):
    async def behave(peer, asked):
        whole = STREAM_HEAD + chunk(upstream.answers.events[asked.api][0]) if asked.stream else None
        for byte in (whole or document(upstream.answers.documents[asked.api]))[:200]:
            await peer.send(bytes([byte]))
            await anyio.sleep(0.02)
        await peer.left()

    return behave


def truncated_json(upstream):
    async def behave(peer, asked):
        await peer.send(document(upstream.answers.documents[asked.api][:-20]))

    return behave


def broken_event(upstream):
    async def behave(peer, asked):
        event = upstream.answers.events[asked.api][0]
        await peer.send(STREAM_HEAD + chunk(event[: len(event) // 2] + b"\n\n") + LAST_CHUNK)

    return behave


def wrong_type(upstream):
    async def behave(peer, asked):
        await peer.send(document(upstream.answers.documents[asked.api], kind=b"text/plain"))

    return behave


def error_first(upstream):
    async def behave(peer, asked):
        error = {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Not now."},
        }
        if asked.api == "responses":
            error = {
                "type": "error",
                "sequence_number": 0,
                "code": "rate_limit_exceeded",
                "message": "Not now.",
                "param": None,
            }
        data = json.dumps(error).encode()
        if asked.stream:
            await peer.send(STREAM_HEAD + chunk(b"event: error\ndata: " + data + b"\n\n") + LAST_CHUNK)
        else:
            wrapped = error if "error" in error else {"error": error}
            await peer.send(document(json.dumps(wrapped).encode()))

    return behave


def error_in_the_middle(upstream):
    async def behave(peer, asked):
        error = {"type": "error", "error": {"type": "api_error", "code": "server_error", "message": "Gave up."}}
        if asked.api == "responses":
            error = {
                "type": "error",
                "sequence_number": 5,
                "code": "server_error",
                "message": "Gave up.",
                "param": None,
            }
        events = upstream.answers.events[asked.api]
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[: len(events) // 2]))
        await anyio.sleep(0.05)  # the first half has gone out by then
        await peer.send(chunk(b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n") + LAST_CHUNK)

    return behave


def without_usage(upstream):
    async def behave(peer, asked):
        def strip(value):
            if isinstance(value, dict):
                return {key: strip(item) for key, item in value.items() if key != "usage"}
            return [strip(item) for item in value] if isinstance(value, list) else value

        if asked.stream:
            lines = []
            for event in upstream.answers.events[asked.api]:
                name, _, data = event.strip().rpartition(b"data: ")
                bare = data if data == b"[DONE]" else json.dumps(strip(json.loads(data))).encode()
                lines.append(chunk(name + b"data: " + bare + b"\n\n"))
            await peer.send(STREAM_HEAD + b"".join(lines) + LAST_CHUNK)
        else:
            bare = strip(json.loads(upstream.answers.documents[asked.api]))
            await peer.send(document(json.dumps(bare).encode()))

    return behave


def reset_at_the_end(upstream):
    async def behave(peer, asked):
        if not asked.stream:
            await peer.send(document(upstream.answers.documents[asked.api]))
        else:
            await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in upstream.answers.events[asked.api]))
        await reset(peer)

    return behave


def never_ends(upstream):
    async def behave(peer, asked):
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in upstream.answers.events[asked.api]))
        await peer.left()

    return behave


def nothing_said(upstream):
    async def behave(peer, asked):
        answer = json.loads(upstream.answers.documents[asked.api])
        for name in ("choices", "output", "content", "data"):
            if name in answer:
                answer[name] = []
        await peer.send(document(json.dumps(answer).encode()))

    return behave


def gigantic(upstream):
    async def behave(peer, asked):
        await peer.send(STREAM_HEAD)
        await peer.send(chunk(b"data: " + b"x" * (17 << 20)) + LAST_CHUNK)

    return behave


def in_an_hour(upstream):
    del upstream
    then = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), usegmt=True)
    return refuse(429, headers=b"retry-after: " + then.encode() + b"\r\n")


def plain(behaviour):
    return lambda upstream: behaviour


PAGE = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
# name: what the upstream does, what a whole answer becomes, what a stream becomes (None: the same)
FAULTS = {
    "silent": (plain(silent), LATE, None),
    "head, then silence": (plain(hang_after_head), LATE, None),
    "stalls in the middle": (broken_off(stall), LATE, CutOff(text="timeout")),
    "closes in the middle": (broken_off(close), BROKEN, CutOff(text="")),
    "resets in the middle": (broken_off(reset), BROKEN, CutOff(text="")),
    "ends its stream early": (broken_off(end_well), None, CutOff(text="before")),
    "slow drip": (slow_drip, LATE, None),
    "truncated JSON": (truncated_json, BROKEN, None),
    "not HTTP": (plain(raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", close=True)), BROKEN, None),
    "closes at once": (plain(raw(b"", close=True)), BROKEN, None),
    "web page with 200": (plain(raw(document(PAGE, kind=b"text/html"))), BROKEN, None),
    "web page with 502": (plain(raw(document(PAGE, status=502, kind=b"text/html"))), Error(status=502), None),
    "empty with 200": (plain(raw(document(b""))), BROKEN, None),
    "empty list": (plain(raw(document(b"[]"))), BROKEN, None),
    "plain text type": (wrong_type, Answered(), BROKEN),
    "redirect": (plain(raw(document(b"", status=302, headers=b"location: http://127.0.0.1:1/\r\n"))), BROKEN, None),
    "error in a 200": (error_first, Error(status=429, text="Not now."), None),
    "error in the stream": (error_in_the_middle, None, CutOff(text="Gave up.")),
    "no usage": (without_usage, Answered(usage=False), None),
    "silence after the last event": (never_ends, None, Answered()),
    "reset after the last event": (reset_at_the_end, Answered(), None),
    "400": (plain(refuse(400)), Error(status=400, text="It said so."), None),
    "400 too long": (
        plain(refuse(400, "prompt is too long: 9 tokens > 8 maximum context length", code="context_length_exceeded")),
        Error(status=400, code="context_length_exceeded", text="too long"), None,
    ),
    "401": (plain(refuse(401)), Error(status=502, code="upstream_credentials", text="It said so."), None),
    "402": (plain(refuse(402)), Error(status=502, code="upstream_credentials", text="It said so."), None),
    "403": (plain(refuse(403)), Error(status=502, code="upstream_credentials", text="It said so."), None),
    "404": (plain(refuse(404)), Error(status=404, text="It said so."), None),
    "408": (plain(refuse(408)), Error(status=504, text="It said so."), None),
    "413": (plain(refuse(413)), Error(status=413, text="It said so."), None),
    "422": (plain(refuse(422)), Error(status=422, text="It said so."), None),
    "429": (plain(refuse(429)), Error(status=429, code="rate_limit_exceeded", text="It said so.", retry_after="1"), None),
    "429 in seconds": (plain(refuse(429, headers=b"retry-after: 12\r\n")), Error(status=429, retry_after="12"), None),
    "429 in ms": (plain(refuse(429, headers=b"retry-after-ms: 2500\r\n")), Error(status=429, retry_after="3"), None),
    "429 by date": (in_an_hour, Error(status=429, retry_after="3[56]\\d\\d"), None),
    "429 with odd wait": (plain(refuse(429, headers=b"retry-after: soon\r\n")), Error(status=429, retry_after="1"), None),
    "500": (plain(refuse(500)), Error(status=502, text="It said so."), None),
    "502": (plain(refuse(502)), Error(status=502, text="It said so."), None),
    "503": (plain(refuse(503, headers=b"retry-after: 9\r\n")), Error(status=503, text="It said so.", retry_after="9"), None),
    "529": (plain(refuse(529)), Error(status=503, text="It said so.", retry_after="1"), None),
}  # fmt: skip

UNTIL_A_TIMEOUT = {
    "silent",
    "head, then silence",
    "stalls in the middle",
    "slow drip",
    "silence after the last event",
}
"""The faults that only a timeout ends."""
