"""How connections are kept, shared, given up and closed, for both HTTP clients."""

import anyio
import pytest

from gateway.core.errors import UpstreamBroken, UpstreamUnreachable
from gateway.providers.http.protocol import HttpRequest
from tests.contract.upstream_faulty_server import (
    ASK,
    JSON_ANSWER,
    PATIENT,
    STREAM_HEAD,
    Peer,
    always,
    both_clients,
    fetch,
    once,
    opened,
    serving,
    until,
)

pytestmark = both_clients
SOON = 0.25  # How fast an upstream must see that nobody listens any more (hardening: "a client leaves").


async def test_one_connection_serves_many_requests(client):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        for _ in range(20):
            await fetch(upstream)

        assert server.seen == 1


async def test_a_connection_is_free_again_before_the_response_is_closed_twice(client):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url, connections=1) as upstream:
        first = await upstream.request(ASK, PATIENT)
        await first.read_all(100)
        await first.aclose()
        second = await upstream.request(ASK, PATIENT)
        await first.aclose()

        assert await second.read_all(100) == b'{"ok":true}'
        await second.aclose()


async def test_connection_close_is_honoured(client):
    answer = JSON_ANSWER.replace(b"content-length", b"connection: close\r\ncontent-length")
    async with serving(always(answer)) as server, opened(client, server.url, connections=1) as upstream:
        for _ in range(3):
            await fetch(upstream)

        assert server.seen == 3


@pytest.mark.parametrize("seen", [True, False], ids=["close-seen", "close-not-seen"])
async def test_a_request_after_the_server_closed_an_idle_connection_succeeds(client, seen):
    async with serving(once(JSON_ANSWER)) as server, opened(client, server.url, connections=1) as upstream:
        for _ in range(20):
            assert await fetch(upstream) == b'{"ok":true}'
            await until(lambda: not server.open)
            if seen:
                await anyio.sleep(0.005)

        assert server.seen == 20


async def test_a_connection_lost_before_any_answer_is_not_repeated_when_it_was_new(client):
    async with serving(once(b"")) as server, opened(client, server.url) as upstream:
        with pytest.raises(UpstreamBroken):
            await upstream.request(ASK, PATIENT)

        assert server.seen == 1


async def test_cancelling_before_the_head_frees_the_slot_and_the_server_sees_it(client):
    left = []

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if b"/slow" in request:
            await peer.left()
            left.append(anyio.current_time())
        await peer.send(JSON_ANSWER)

    async with serving(script) as server, opened(client, server.url, connections=1) as upstream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upstream.request, HttpRequest(path=b"/slow"), PATIENT)
            await until(lambda: server.open)
            await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        cancelled = anyio.current_time()

        assert await fetch(upstream) == b'{"ok":true}'
        await until(lambda: left)
        assert left[0] - cancelled < SOON


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_leaving_mid_body_frees_the_slot_and_the_server_sees_it(client, how):
    left = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
        await peer.left()
        left.append(anyio.current_time())

    async with serving(script) as server, opened(client, server.url, connections=1) as upstream:
        for turn in range(3):
            response = await upstream.request(ASK, PATIENT)
            assert await response.read() == b"hello"
            if how == "cancelled":
                with anyio.move_on_after(0.02):
                    await response.read()
            else:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await response.aclose()
            gone = anyio.current_time()
            await until(lambda turn=turn: len(left) > turn)

            assert left[turn] - gone < SOON
            with pytest.raises(UpstreamBroken):
                await response.read()
            await response.aclose()


async def test_three_hundred_cancelled_streams_on_ten_slots_leave_all_ten(client):
    """Hardening, "Upstream clients": after double cancellation some clients are dead for good."""
    together: list[Peer] = []
    all_ten = anyio.Event()

    async def script(peer: Peer) -> None:
        while b"/good" in await peer.request():
            together.append(peer)
            if len(together) == 10:
                all_ten.set()
            await all_ten.wait()
            await peer.send(JSON_ANSWER)
        await peer.send(STREAM_HEAD)
        await peer.left()

    async def stream() -> None:
        response = await upstream.request(ASK, PATIENT)
        try:
            while await response.read():
                pass
        finally:
            await response.aclose()

    async with serving(script) as server, opened(client, server.url, connections=10) as upstream:
        for _ in range(10):
            async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
                for _ in range(30):
                    inner.start_soon(stream)
                await until(lambda: server.open == 10)
                inner.cancel_scope.cancel()
                outer.cancel_scope.cancel()
            await until(lambda: server.open == 0)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(fetch, upstream, HttpRequest(path=b"/good"))

        assert len(together) == 10


async def test_requests_wait_for_a_free_connection(client):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url, connections=2) as upstream:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(fetch, upstream)

        assert server.seen <= 2


async def test_a_reader_that_does_not_read_holds_the_server_back(client):
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            await peer.send(piece)
            sent += len(piece)

    piece, size = b"x" * 65536, 64 << 20
    async with serving(script) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, PATIENT)
        before = -1
        while before != sent:
            before = sent
            await anyio.sleep(0.1)

        # What the kernel's buffers of both sides take is not the client's doing: at most tcp_wmem + tcp_rmem.
        assert sent < 24 << 20
        assert len(await response.read_all(size)) == size
        await response.aclose()


async def test_a_large_upload_arrives_whole(client):
    body = b"0123456789abcdef" * (8 << 16)
    received = []

    async def script(peer: Peer) -> None:
        while True:
            received.append((await peer.request()).partition(b"\r\n\r\n")[2])
            await peer.send(JSON_ANSWER)

    async with serving(script) as server, opened(client, server.url) as upstream:
        for _ in range(2):
            assert await fetch(upstream, HttpRequest(path=b"/files", body=body)) == b'{"ok":true}'

        assert [len(body) == len(got) and body == got for got in received] == [True, True]
        assert server.seen == 1


async def test_cancelling_a_stalled_upload_frees_the_slot(client):
    async def script(peer: Peer) -> None:
        if server.seen == 1:
            await anyio.sleep_forever()
        await peer.request()
        await peer.send(JSON_ANSWER)

    async with serving(script) as server, opened(client, server.url, connections=1) as upstream:
        with anyio.move_on_after(0.2):
            await upstream.request(HttpRequest(path=b"/files", body=bytes(32 << 20)), PATIENT)

        assert await fetch(upstream) == b'{"ok":true}'


async def test_closing_the_client_lets_a_stream_in_flight_finish_and_refuses_new_requests(client):
    """Lessons: "clients closed while in use, on cache eviction or reload"."""
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
        await go_on.wait()
        await peer.send(b"3\r\nbye\r\n0\r\n\r\n")
        await peer.left()

    async with serving(script) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, PATIENT)
        assert await response.read() == b"hello"
        await upstream.aclose()
        with pytest.raises(UpstreamUnreachable):
            await upstream.request(ASK, PATIENT)
        go_on.set()

        assert await response.read_all(100) == b"bye"
        await response.aclose()
        await until(lambda: not server.open)
