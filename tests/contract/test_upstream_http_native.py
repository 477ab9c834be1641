"""What only the native HTTP client promises: strict framing, and no slot lost however its callers are cancelled."""

import random

import anyio
import pytest

from gateway.core.errors import UpstreamBroken, UpstreamError
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from tests.contract.upstream_faulty_server import (
    ASK,
    JSON_ANSWER,
    PATIENT,
    STREAM_HEAD,
    Peer,
    always,
    fetch,
    serving,
    until,
)

SLOTS = 10


async def test_bytes_after_the_end_of_a_response_close_its_connection():
    """Else they would be taken for the answer to the next caller's request. (httpx2 does take them so.)"""
    async with serving(always(JSON_ANSWER + JSON_ANSWER)) as server:
        upstream = NativeUpstream(server.url, connections=1)
        for _ in range(3):
            assert await fetch(upstream) == b'{"ok":true}'

        assert server.seen == 3
        await upstream.aclose()


async def test_bytes_on_an_idle_connection_close_it():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(JSON_ANSWER)
        await asked.wait()
        await peer.send(JSON_ANSWER)
        await peer.left()
        closed.set()

    asked, closed = anyio.Event(), anyio.Event()
    async with serving(script) as server:
        upstream = NativeUpstream(server.url, connections=3)
        await fetch(upstream)
        assert (upstream.idle_connections, upstream.free_slots) == (1, 2)
        asked.set()
        with anyio.fail_after(5):
            await closed.wait()

        assert (upstream.idle_connections, upstream.free_slots) == (0, 3)


async def test_a_refusal_before_the_body_was_sent_is_an_answer_and_its_connection_is_not_used_again():
    async def script(peer: Peer) -> None:
        if server.seen == 1:
            await peer.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
            await anyio.sleep_forever()
        await peer.request()
        await peer.send(JSON_ANSWER)

    async with serving(script) as server:
        upstream = NativeUpstream(server.url, connections=1)
        with anyio.fail_after(5):
            response = await upstream.request(HttpRequest(path=b"/files", body=bytes(32 << 20)), PATIENT)
            assert (response.status, await response.read_all(10)) == (413, b"big")
            await response.aclose()

            assert await fetch(upstream) == b'{"ok":true}'
        assert server.seen == 2
        await upstream.aclose()


async def test_a_request_that_the_server_worked_on_before_it_died_is_not_repeated():
    """A POST to a model costs money: only a close at the moment of writing may be taken for a stale connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(JSON_ANSWER)
        await peer.request()
        await anyio.sleep(0.6)

    async with serving(script) as server:
        upstream = NativeUpstream(server.url, connections=1)
        await fetch(upstream)
        with pytest.raises(UpstreamBroken):
            await fetch(upstream)

        assert server.seen == 1


async def wayward(peer: Peer) -> None:
    """Answer whole, in pieces, late, truncated or not at all, by the request's number."""
    while True:
        head = await peer.request()
        kind = int(head.split(b"/turn/")[1].split(b" ")[0]) % 8
        if kind == 0:
            await peer.left()
        if kind == 1:
            return
        if kind == 2:
            await peer.send(JSON_ANSWER[:-3])
            return
        if kind == 3:
            await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
            await anyio.sleep(0.002)
            await peer.send(b"0\r\n\r\n")
        else:
            await peer.send(JSON_ANSWER)


async def visit(upstream: NativeUpstream, dice: random.Random, turn: int) -> None:
    """One request that is cancelled, twice, at a moment that the dice choose, which may be after its end."""
    path = b"/turn/%d" % dice.randrange(8)
    limits = HttpTimeouts(connect=0.05, first_byte=0.02, idle=0.02, total=1) if turn % 3 else PATIENT
    with anyio.move_on_after(dice.random() * 0.01), anyio.move_on_after(dice.random() * 0.01):
        if turn % 5 == 0:
            for _ in range(dice.randrange(4)):
                await anyio.lowlevel.checkpoint()
        try:
            response = await upstream.request(HttpRequest(path=path, body=ASK.body), limits)
            try:
                while await response.read():
                    pass
            finally:
                await response.aclose()
        except UpstreamError:
            return


async def test_twenty_thousand_cancelled_requests_lose_no_slot():
    dice = random.Random(20261121)
    turns = iter(range(20_000))

    async def visitor() -> None:
        for turn in turns:
            await visit(upstream, dice, turn)

    async with serving(wayward) as server:
        upstream = NativeUpstream(server.url, connections=SLOTS)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(4 * SLOTS):
                    tasks.start_soon(visitor)

        assert upstream.free_slots + upstream.idle_connections == SLOTS
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(3 * SLOTS):
                    tasks.start_soon(fetch, upstream, HttpRequest(path=b"/turn/7"))
        await upstream.aclose()
        assert (upstream.free_slots, upstream.idle_connections) == (SLOTS, 0)
        await until(lambda: not server.open)


async def test_an_idle_connection_is_dropped_after_a_while(monkeypatch):
    monkeypatch.setattr("gateway.providers.http.connection.IDLE_SECONDS", 0.05)
    async with serving(always(JSON_ANSWER)) as server:
        upstream = NativeUpstream(server.url, connections=2)
        for _ in range(2):
            await fetch(upstream)
            assert (upstream.idle_connections, server.open) == (1, 1)
            await until(lambda: not server.open)

            assert (upstream.idle_connections, upstream.free_slots) == (0, 2)
