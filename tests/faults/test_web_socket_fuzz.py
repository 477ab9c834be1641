"""Whatever a client sends behind its opening handshake, the server goes on, and nothing of the connection is left. Seeded."""

import random

import anyio
from structlog.testing import capture_logs

from gateway.server import EdgeServer, ServerOptions

SEED, CASES, AT_ONCE = 6455, 200, 16
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"


def frame(rng):
    """A frame, most often a good one."""
    payload = rng.choice([b"", b"hi", b"\xff\xfe", rng.randbytes(rng.randrange(200)), b"x" * 126, b"x" * 70_000])
    first = rng.choice([0x81, 0x81, 0x81, 0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xFF, rng.randrange(256)])
    size = len(payload) if rng.random() < 0.9 else rng.randrange(2**20)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + size.to_bytes(2) if size < 65536 else b"\xff" + size.to_bytes(8)
    masked = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))
    return bytes([first]) + length + MASK + masked


def hostile(rng):
    data = bytearray(b"".join(frame(rng) for _ in range(rng.choice([1, 1, 2, 5, 30]))))
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        place = rng.randrange(len(data))
        data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return HANDSHAKE + bytes(data)


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def exchange(port, data, rng):
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        try:
            cut = rng.randrange(len(data))
            for piece in (data[:cut], data[cut:]):
                await stream.send(piece)
                await anyio.lowlevel.checkpoint()
            if rng.random() < 0.5:
                await stream.send_eof()
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


async def test_hostile_frames_never_harm_the_server():
    rng = random.Random(SEED)
    cases = [hostile(rng) for _ in range(CASES)]
    # Deadlines are looked at as often as the shortest of them wants it.
    options = ServerOptions(
        port=0, sockets=(b"/socket",), body_bytes=65536, ping_interval=0.05, header_timeout=0.1, drain_timeout=0.2
    )
    server = EdgeServer(app, options)
    ports, where = [], anyio.Event()

    async def serve():
        await server.serve(on_listening=lambda host, port: (ports.append(port), where.set()))

    async def worker(mine):
        for data in mine:
            with anyio.fail_after(30):
                await exchange(ports[0], data, rng)

    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await where.wait()
            async with anyio.create_task_group() as workers:
                for number in range(AT_ONCE):
                    workers.start_soon(worker, cases[number::AT_ONCE])
            with anyio.fail_after(10):
                while server.connections or server.in_flight or server.state.sockets:
                    await anyio.sleep(0.01)
            server.begin_drain()

    assert [entry for entry in logs if entry["log_level"] == "error"] == []
