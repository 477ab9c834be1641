"""2,000 hostile byte strings against one server: no 5xx, no traceback, no hang, and it answers afterwards."""

import random

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from gateway.server import EdgeServer, ServerOptions

SEED = 20261121
CASES = 2000
AT_ONCE = 50

LINES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\n",
    b"POST http://a/b?c HTTP/1.1\r\n",
    b"GET //../%00%ff?#x HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n",
    b"GET / HTTP/9.9\r\n",
]
HEADERS = [
    b"Host: a\r\n",
    b"Host: a\r\n",
    b"Host:\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 99999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: 200-ok\r\n",
    b"X-A: " + b"y" * 70_000 + b"\r\n",
    b"a: b\r\n" * 200,
    b"X\x00: \xff\r\n",
    b" folded\r\n",
]
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;x=y\r\nhello\r\n0\r\nHost: b\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"-1\r\n",
    b"\x00" * 100,
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
]


def hostile(rng):
    """A request put together from good and bad parts, then sometimes mutated; or noise."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(1, 300))
    parts = []
    for _ in range(rng.choice([1, 1, 1, 2, 20])):
        parts += [rng.choice(LINES), *rng.choices(HEADERS[:14], k=rng.randrange(5)), b"\r\n", rng.choice(BODIES)]
        if rng.random() < 0.05:
            parts.insert(1, rng.choice(HEADERS))
    data = bytearray(b"".join(parts))
    for _ in range(rng.choice([0, 0, 1, 3])):
        place = rng.randrange(len(data))
        data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(data) or b"\n"


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        more = message.get("more_body", False)
    body = b"" if scope["method"] == "HEAD" else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": body})


async def exchange(port, data, cut):
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        got = b""
        try:
            await stream.send(data[:cut])
            await anyio.lowlevel.checkpoint()
            await stream.send(data[cut:])
            await stream.send_eof()
            while True:
                got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return got


def faults(answer):
    """Status lines that must not be in an answer."""
    return [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 5")]


@pytest.mark.parametrize("wait_for_more", [False, True])
async def test_hostile_bytes_never_harm_the_server(wait_for_more):
    rng = random.Random(SEED + wait_for_more)
    cases = [hostile(rng) for _ in range(CASES // 2)]
    options = ServerOptions(port=0, header_timeout=0.2, body_timeout=0.2, idle_timeout=0.2, drain_timeout=0.2)
    server = EdgeServer(app, options)
    where = anyio.Event()
    ports = []
    found = []

    async def serve():
        await server.serve(on_listening=lambda host, port: (ports.append(port), where.set()))

    async def worker(mine):
        for data in mine:
            with anyio.fail_after(5):
                send = exchange_and_wait if wait_for_more else exchange
                answer = await send(ports[0], data, len(data) // 2)
            found.extend((data, line) for line in faults(answer))

    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await where.wait()
            async with anyio.create_task_group() as workers:
                for number in range(AT_ONCE):
                    workers.start_soon(worker, cases[number::AT_ONCE])
            answer = await exchange(ports[0], b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 5)
            left = server.in_flight
            server.begin_drain()

    assert found == []
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert left == 0
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def exchange_and_wait(port, data, cut):
    """Like `exchange`, without an end of file: only a refusal, the answer's end or a deadline closes the connection."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        got = b""
        try:
            await stream.send(data[:cut])
            await stream.send(data[cut:])
            while True:
                got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return got
