"""TLS to an upstream: verified, by name, for both HTTP clients."""

import ssl

import anyio
import pytest

from gateway.core.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from tests.contract.upstream_faulty_server import (
    ASK,
    JSON_ANSWER,
    PATIENT,
    STREAM_HEAD,
    Peer,
    always,
    both_clients,
    fetch,
    make_certificates,
    opened,
    serving,
    until,
)

pytestmark = both_clients


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def test_a_certificate_of_a_trusted_authority_is_accepted(client, certificates):
    server_context, authority = certificates
    trusting = ssl.create_default_context(cafile=authority)
    async with (
        serving(always(JSON_ANSWER), tls=server_context) as server,
        opened(client, server.url, ssl_context=trusting) as upstream,
    ):
        for _ in range(3):
            assert await fetch(upstream) == b'{"ok":true}'

        assert server.seen == 1


async def test_a_certificate_of_an_unknown_authority_is_refused(client, certificates):
    async with serving(always(JSON_ANSWER), tls=certificates[0]) as server, opened(client, server.url) as upstream:
        with pytest.raises(UpstreamUnreachable, match="certificate"):
            await fetch(upstream)


async def test_a_certificate_for_another_name_is_refused(client, certificates):
    server_context, authority = certificates
    trusting = ssl.create_default_context(cafile=authority)
    async with serving(always(JSON_ANSWER), tls=server_context) as server:
        url = server.url.replace("localhost", "127.0.0.2")
        async with opened(client, url, ssl_context=trusting) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await fetch(upstream)


async def test_a_handshake_that_never_ends_runs_into_the_connect_timeout_and_is_closed(client):
    async with serving(Peer.left) as server:
        url = server.url.replace("http:", "https:")
        async with opened(client, url, connections=1) as upstream:
            for _ in range(2):
                with anyio.fail_after(5), pytest.raises(UpstreamTimeout, match="connect timeout"):
                    await fetch(upstream, timeouts=HttpTimeouts(connect=0.15))
                await until(lambda: not server.open, seconds=0.25)


async def test_a_large_upload_and_a_stream_that_is_left_work_over_tls(client, certificates):
    server_context, authority = certificates
    sizes = []

    async def script(peer: Peer) -> None:
        sizes.append(len(await peer.request()))
        await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
        await peer.left()

    trusting = ssl.create_default_context(cafile=authority)
    async with (
        serving(script, tls=server_context) as server,
        opened(client, server.url, connections=1, ssl_context=trusting) as upstream,
    ):
        for _ in range(2):
            response = await upstream.request(HttpRequest(path=ASK.path, body=bytes(8 << 20)), PATIENT)
            assert await response.read() == b"hello"
            await response.aclose()
            await until(lambda: not server.open, seconds=0.25)

    assert [size > 8 << 20 for size in sizes] == [True, True]
