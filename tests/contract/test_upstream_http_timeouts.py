"""Every wait has a limit of its own, and the error names it, for both HTTP clients."""

import socket
from contextlib import ExitStack

import anyio
import msgspec
import pytest

from gateway.core.errors import UpstreamTimeout, UpstreamUnreachable
from tests.contract.upstream_faulty_server import (
    ASK,
    JSON_ANSWER,
    PATIENT,
    STREAM_HEAD,
    Peer,
    always,
    both_clients,
    fetch,
    opened,
    serving,
    until,
)

pytestmark = both_clients
SHORT = 0.15


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.left()


async def test_a_refused_connection_is_unreachable(client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with opened(client, url, connections=1) as upstream:
            for _ in range(3):
                with anyio.fail_after(5), pytest.raises(UpstreamUnreachable):
                    await upstream.request(ASK, PATIENT)


async def test_an_unknown_name_is_unreachable(client):
    async with opened(client, "http://no-such-host.invalid") as upstream:
        with pytest.raises(UpstreamUnreachable):
            await upstream.request(ASK, PATIENT)


async def test_a_server_that_does_not_accept_runs_into_the_connect_timeout(client):
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # Fills the backlog: the kernel drops what comes after.
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with opened(client, f"http://127.0.0.1:{listener.getsockname()[1]}", connections=1) as upstream:
            for _ in range(2):
                with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="connect timeout"):
                    await upstream.request(ASK, msgspec.structs.replace(PATIENT, connect=SHORT))


async def test_silence_before_the_head_runs_into_the_first_byte_timeout(client):
    limits = msgspec.structs.replace(PATIENT, first_byte=SHORT)
    async with serving(silent) as server, opened(client, server.url, connections=1) as upstream:
        for _ in range(2):
            with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="first-byte timeout"):
                await upstream.request(ASK, limits)


async def test_a_stall_in_the_body_runs_into_the_idle_timeout(client):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
        await peer.left()

    limits = msgspec.structs.replace(PATIENT, idle=SHORT)
    async with serving(script) as server, opened(client, server.url, connections=1) as upstream:
        for _ in range(2):
            response = await upstream.request(ASK, limits)
            assert await response.read() == b"hello"
            with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="idle timeout"):
                await response.read()
            await response.aclose()


async def test_a_slow_drip_runs_into_the_total_timeout(client):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        while True:
            await peer.send(b"1\r\nx\r\n")
            await anyio.sleep(0.02)

    limits = msgspec.structs.replace(PATIENT, total=3 * SHORT)
    async with serving(script) as server, opened(client, server.url) as upstream:
        with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="total timeout"):
            await fetch(upstream, timeouts=limits)


async def test_silence_before_the_head_is_bounded_by_the_total_timeout_too(client):
    limits = msgspec.structs.replace(PATIENT, total=SHORT)
    async with serving(silent) as server, opened(client, server.url) as upstream:
        with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="total timeout"):
            await fetch(upstream, timeouts=limits)


async def test_waiting_for_a_free_connection_is_bounded(client):
    async with (
        serving(silent) as server,
        opened(client, server.url, connections=1) as upstream,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(upstream.request, ASK, PATIENT)
        await until(lambda: server.open)
        with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="in use"):
            await upstream.request(ASK, msgspec.structs.replace(PATIENT, connect=SHORT))
        tasks.cancel_scope.cancel()


async def test_a_timed_out_connection_is_closed_and_the_next_request_gets_another(client):
    late = True

    async def script(peer: Peer) -> None:
        nonlocal late
        await peer.request()
        if late:
            late = False
            await peer.left()
        await peer.send(JSON_ANSWER)

    limits = msgspec.structs.replace(PATIENT, first_byte=SHORT)
    async with serving(script) as server, opened(client, server.url, connections=1) as upstream:
        with pytest.raises(UpstreamTimeout):
            await upstream.request(ASK, limits)

        assert await fetch(upstream) == b'{"ok":true}'
        assert server.seen == 2


async def test_a_pause_of_the_reader_is_not_the_upstreams_silence(client):
    limits = msgspec.structs.replace(PATIENT, idle=SHORT, first_byte=SHORT)
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, limits)
        await anyio.sleep(2 * SHORT)

        assert await response.read_all(100) == b'{"ok":true}'
        await response.aclose()
