"""WebSockets at the edge: what is taken, what is refused, and how one ends, whatever its client does. RFC 6455."""

import anyio
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.unit.server.conftest import serve

PATH = "/socket"
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
PATIENCE = 5


async def echo(scope, receive, send):
    """Says what it hears, until it hears a word that has a meaning."""
    if scope["type"] != "websocket":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    if scope["query_string"] == b"refuse":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"so")]})
        await send({"type": "websocket.http.response.body", "body": b"{}"})
        return
    if scope["query_string"] == b"crash":
        raise ValueError(scope["path"])
    await send({"type": "websocket.accept", "headers": [(b"x-hello", b"there")]})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "crash":
            raise ValueError(message)
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": 3000, "reason": "As you like."})
            return
        await send({"type": "websocket.send", "text": message["text"]})


def serving(**options):
    return serve(echo, sockets=(PATH.encode(),), **options)


def dial(serving, query="", **options):
    return connect(f"ws://127.0.0.1:{serving.port}{PATH}{query}", **options)


async def code_of(socket):
    """Read until the server closes."""
    with anyio.fail_after(PATIENCE):
        try:
            while True:
                await socket.recv()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def test_messages_go_both_ways():
    async with serving() as served, dial(served) as socket:
        for text in ("one", "zwölf ✓", "x" * 100_000, ""):
            await socket.send(text)
            assert await socket.recv() == text

        assert socket.response.headers["x-hello"] == "there"


async def test_a_message_in_pieces_is_one_message():
    async with serving() as served, dial(served) as socket:
        await socket.send(["one ", "", "two ", "three"])

        assert await socket.recv() == "one two three"


async def test_a_message_may_come_with_the_handshake():
    async with serving() as served, served.client() as client:
        await client.send(HANDSHAKE + b"\r\n" + b"\x81\x82\0\0\0\0hi")
        head = await client.until(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 101 ")
        # RFC 6455, 4.2.2: made of the key alone.
        assert b"sec-websocket-accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in head
        assert await client.exactly(4) == b"\x81\x02hi"


async def test_pings_are_answered():
    async with serving() as served, dial(served) as socket:
        with anyio.fail_after(PATIENCE):
            await (await socket.ping())


async def test_who_does_not_answer_a_ping_is_cut():
    async with serving(ping_interval=0.05) as served, served.client() as silent, dial(served) as lively:
        await silent.send(HANDSHAKE + b"\r\n")
        assert b"\x89\x00" in await silent.rest()

        await lively.send("still here")
        assert await lively.recv() == "still here"


async def test_who_pings_and_reads_nothing_is_cut():
    """Each ping is answered: a client that reads no answers would have the server keep them all."""
    async with serving(idle_timeout=60) as served, served.client() as deaf:
        await deaf.send(HANDSHAKE + b"\r\n")
        await deaf.until(b"\r\n\r\n")
        pings = (b"\x89\xfd\0\0\0\0" + b"x" * 125) * 1000

        async def drown():
            for _ in range(1000):  # 130 MB
                await deaf.send(pings)

        with anyio.fail_after(PATIENCE), pytest.raises((OSError, anyio.BrokenResourceError)):
            await drown()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (b"\x82\x82\0\0\0\0hi", 1003),  # binary
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # not UTF-8
        (b"\x83\x80\0\0\0\0", 1002),  # no such opcode
        (b"\x81\xfe\xff\xff\0\0\0\0", 1009),  # over the limit
        (b"\x01\x82\0\0\0\0hi" * 2, 1002),  # a message inside a message
        (b"\xc1\x82\0\0\0\0hi", 1002),  # compressed, which nobody agreed on
    ],
)
async def test_what_is_no_message_ends_the_connection_with_its_reason(sent, code):
    async with serving(body_bytes=1000) as served, served.client() as client:
        await client.send(HANDSHAKE + b"\r\n" + sent)
        await client.until(b"\r\n\r\n")
        rest = await client.rest()

    assert int.from_bytes(rest[2:4]) == code
    assert rest[0] == 0x88


async def test_the_application_closes_with_its_own_reason():
    async with serving() as served, dial(served) as socket:
        await socket.send("close")

        assert await code_of(socket) == 3000
        assert socket.close_reason == "As you like."


async def test_an_application_that_breaks_ends_only_this_connection():
    async with serving() as served, dial(served) as socket, dial(served) as other:
        await socket.send("crash")
        assert await code_of(socket) == 1011
        with pytest.raises(websockets.InvalidStatus) as refused:
            await dial(served, "?crash")
        await other.send("on")

        assert refused.value.response.status_code == 500
        assert await other.recv() == "on"


async def test_the_application_refuses_with_an_answer_of_its_own():
    async with serving() as served:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await dial(served, "?refuse")

    response = refused.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (401, "so", b"{}")


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        (b"/socket", b"/other", 426, "websocket_not_supported"),
        (b"GET", b"POST", 400, "invalid_websocket"),
        (b"Version: 13", b"Version: 8", 426, "invalid_websocket"),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", b"short", 400, "invalid_websocket"),
        (b"Host: a\r\n", b"", 400, "invalid_host"),
        (b"Host: a\r\n", b"Host: a\r\nContent-Length: 0\r\n", 400, "invalid_websocket"),
    ],
)
async def test_what_is_no_opening_handshake_is_refused(old, new, status, code):
    async with serving() as served:
        assert await served.refusal(HANDSHAKE.replace(old, new) + b"\r\n") == (status, code)


async def test_one_too_many_is_refused_until_another_ends():
    async with serving(most_sockets=1) as served:
        async with dial(served):
            assert await served.refusal(HANDSHAKE + b"\r\n") == (503, "too_many_websockets")
        with anyio.fail_after(PATIENCE):
            while served.server.state.sockets:
                await anyio.sleep(0.01)

        async with dial(served) as socket:
            await socket.send("in")
            assert await socket.recv() == "in"


async def test_a_web_socket_waits_for_the_answers_before_it():
    async with serving() as served, served.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response())[0] == 200
        await client.send(HANDSHAKE + b"\r\n")

        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def test_a_client_that_goes_without_a_word_is_noticed():
    async with serving() as served:
        async with served.client() as client:
            await client.send(HANDSHAKE + b"\r\n")
            await client.until(b"\r\n\r\n")
        with anyio.fail_after(PATIENCE):
            while served.server.connections or served.server.in_flight:
                await anyio.sleep(0.01)


async def test_what_an_application_does_not_end_is_ended_when_the_server_stops():
    async with serving() as served:
        async with dial(served) as socket:
            served.server.begin_drain()

            assert await code_of(socket) == 1001
        with pytest.raises(ConnectionError):
            await dial(served)
