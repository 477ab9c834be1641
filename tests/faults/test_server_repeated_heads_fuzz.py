"""Requests that repeat, change and break off in every way: remembering heads changes nothing of what is seen of them, on either side."""

import asyncio
import random

import anyio
import anyio.lowlevel

from gateway.server import EdgeServer, ServerOptions, connection
from gateway.server.repeated import HOLD_SECONDS

SEED = 20261122
CASES = 1000
PATIENCE = 60
ROUNDS = 12  # more than the longest of these requests takes

HEADS = [
    b"POST /a HTTP/1.1\r\nHost: a\r\nX-Key: one\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nX-Key: two\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nX-Key: one\r\nContent-Length: 0\r\n\r\n",
    b"POST /a?b=%20c HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
    b"POST http://b/a?c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"\r\nPOST /led HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: a\r\nX-Key: one\r\nContent-Length: 3\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 3\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n",
    b"BREW /a HTTP/1.1\r\nHost: a\r\n\r\n",
]
USUAL = 10  # those with which a connection goes on
BODIES = [b"one", b"two", b"\r\n\r", b"GET"]
RESTS = [b"", b"", b"", b"", b"\r\n", b"x", b"\r\n\r\n"]


def request(rng, head):
    if b"chunked" in head:
        return head + rng.choice([b"3\r\none\r\n0\r\n\r\n", b"3\r\none\r\n0\r\nX-Key: late\r\n\r\n", b"zz\r\n"])
    return head + (rng.choice(BODIES) if b"Length: 3" in head else b"")


def reads(rng):
    """A few requests, mostly with heads that come again, as the pieces in which they arrive; and whether each waits for what comes of it."""
    heads = [*rng.choices(HEADS[:USUAL], k=2), rng.choice(HEADS)]
    pieces = []
    for _ in range(rng.randrange(3, 9)):
        head = rng.choices(heads, weights=(8, 3, 1))[0]
        data = request(rng, head) + (rng.choice(RESTS) if rng.random() < 0.1 else b"")
        way = rng.random()
        if way < 0.1 and pieces:
            pieces[-1] += data
        elif way < 0.2:
            cut = len(head) if rng.random() < 0.5 and len(data) > len(head) else rng.randrange(1, len(data))
            pieces += [data[:cut], data[cut:]]
        else:
            pieces.append(data)
    return [(piece, rng.random() < 0.8) for piece in pieces]


class Seen:
    """Notes all that it is told of a request, and answers with it."""

    def __init__(self):
        self.requests = []
        self.known = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.known += "switchgear.body" in scope["extensions"]
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.requests.append("left")
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        told = {name: value for name, value in scope.items() if name not in ("extensions", "client", "server")}
        self.requests.append((told, body))
        said = repr((scope["method"], scope["raw_path"], body)).encode()
        headers = [(b"content-length", b"%d" % len(said))] if scope["query_string"] != b"c" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else said})


class Wire:
    """A transport without a socket: what is written is kept, and when it is closed nothing more is read."""

    def __init__(self):
        self.written = b""
        self.closing = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closing = True

    abort = write_eof = close

    def is_closing(self):
        return self.closing

    def get_extra_info(self, name, default=None):
        return {"peername": ("a", 1), "sockname": ("b", 2)}.get(name, default)

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        pass

    resume_reading = pause_reading


async def settle():
    """Let whatever can go on go on."""
    for _ in range(ROUNDS):
        await anyio.lowlevel.checkpoint()


async def transcript(pieces):
    """What the client got and the application saw of these reads, and of how many requests the head was not read again."""
    app, wire = Seen(), Wire()
    server = EdgeServer(app, ServerOptions(port=0))
    server._config.load()
    protocol = connection.HardenedProtocol(server._config, server._shared, {}, asyncio.get_running_loop(), server.state)
    protocol.connection_made(wire)
    for piece, waits in pieces:
        if not wire.closing:
            protocol.data_received(piece)
        if waits:
            await settle()
            if protocol.deadline < anyio.current_time() + HOLD_SECONDS + 0.01:
                protocol.expire(protocol.deadline)  # a wait is longer than a head is held
                await settle()
    protocol.connection_lost(None)
    await settle()

    assert server.in_flight == 0
    return (wire.written, wire.closing, app.requests, dict(server.state.refused)), app.known


async def test_nobody_can_tell_whether_heads_are_remembered(monkeypatch):
    rng = random.Random(SEED)
    cases = [reads(rng) for _ in range(CASES)]
    with anyio.fail_after(PATIENCE):
        remembering = [await transcript(pieces) for pieces in cases]
        monkeypatch.setattr(connection, "head_of", lambda *_: None)
        reading = [await transcript(pieces) for pieces in cases]

    for pieces, (one, _), (other, _) in zip(cases, remembering, reading, strict=True):
        assert one == other, pieces
    assert sum(known for _, known in reading) == 0
    assert sum(known for _, known in remembering) > CASES / 2, "the shortcut was taken"
