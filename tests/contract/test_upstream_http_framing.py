"""Every way in which a response may be framed, cut, interrupted or spoiled, for both HTTP clients."""

import anyio
import pytest

from gateway.core.errors import InvalidRequest, UpstreamBroken
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
)

pytestmark = both_clients
CHUNKED = STREAM_HEAD + b"5;ext=1\r\nhello\r\n7\r\n, world\r\n0\r\nx-trailer: 1\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello, world"


async def test_a_json_answer_comes_whole_with_lower_case_header_names(client):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, PATIENT)
        body = await response.read_all(1000)
        await response.aclose()

        assert (response.status, body) == (200, b'{"ok":true}')
        assert response.header(b"content-type") == b"application/json"
        assert response.header(b"x-absent") is None
        assert await response.read() == b""


async def test_the_server_sees_one_well_formed_request(client):
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(JSON_ANSWER)

    async with serving(script) as server, opened(client, server.url) as upstream:
        await fetch(upstream)

        head, _, body = seen[0].partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert lines[0] == b"post /v1/chat http/1.1"
        assert sorted(lines[1:]) == sorted(
            [
                b"host: 127.0.0.1:%d" % server.port,
                b"content-type: application/json",
                b"accept-encoding: identity",
                b"content-length: 10",
            ]
        )
        assert body == ASK.body


@pytest.mark.parametrize("answer", [CHUNKED, UNTIL_CLOSE], ids=["chunked", "until-close"])
async def test_a_body_without_a_length_comes_whole(client, answer):
    async with serving(once(answer)) as server, opened(client, server.url) as upstream:
        assert await fetch(upstream) == b"hello, world"


@pytest.mark.parametrize("answer", [JSON_ANSWER, CHUNKED, UNTIL_CLOSE], ids=["length", "chunked", "until-close"])
async def test_an_answer_split_at_every_byte_is_the_same_answer(client, answer):
    cut = iter(range(1, len(answer)))
    expected = b'{"ok":true}' if answer is JSON_ANSWER else b"hello, world"

    async def script(peer: Peer) -> None:
        await peer.request()
        at = next(cut)
        await peer.send(answer[:at])
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        await peer.send(answer[at:])

    async with serving(script) as server, opened(client, server.url) as upstream:
        for _ in range(1, len(answer)):
            assert await fetch(upstream) == expected
            if answer is not UNTIL_CLOSE:
                await upstream_is_told(server)


async def upstream_is_told(server):
    """Let the client see that the server closed, so that every try is on a connection of its own."""
    with anyio.fail_after(5):
        while server.open:
            await anyio.lowlevel.checkpoint()
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


async def test_an_answer_that_comes_byte_by_byte_is_the_same_answer(client):
    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(len(CHUNKED)):
            await peer.send(CHUNKED[at : at + 1])

    async with serving(script) as server, opened(client, server.url) as upstream:
        assert await fetch(upstream) == b"hello, world"


async def test_interim_responses_are_skipped(client):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    async with serving(always(interim + JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        for _ in range(2):
            response = await upstream.request(ASK, PATIENT)
            assert (response.status, response.header(b"link")) == (200, None)
            assert await response.read_all(1000) == b'{"ok":true}'
            await response.aclose()

        assert server.seen == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 11\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
    ids=["head", "204", "304", "empty"],
)
async def test_an_answer_without_body_ends_with_its_head_and_frees_the_connection(client, method, answer):
    async with serving(always(answer)) as server, opened(client, server.url) as upstream:
        for _ in range(3):
            assert await fetch(upstream, HttpRequest(method=method, path=b"/models")) == b""

        assert server.seen == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        STREAM_HEAD + b"5\r\nhello\r\n",
        STREAM_HEAD + b"5\r\nhel",
        STREAM_HEAD + b"zz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n",
        b"<html>502 Bad Gateway</html>",
        b"",
    ],
    ids=["length", "chunk-missing", "chunk-cut", "chunk-size", "head-cut", "length-word", "html", "nothing"],
)
async def test_a_truncated_or_malformed_answer_is_an_error_and_never_a_short_body(client, answer):
    async with serving(once(answer)) as server, opened(client, server.url, connections=1) as upstream:
        for _ in range(2):
            with pytest.raises(UpstreamBroken):
                await fetch(upstream)


async def test_what_came_before_the_connection_broke_can_be_read(client):
    async with serving(once(STREAM_HEAD + b"5\r\nhello\r\n")) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, PATIENT)

        assert await response.read() == b"hello"
        for _ in range(2):
            with pytest.raises(UpstreamBroken):
                await response.read()
        await response.aclose()


@pytest.mark.parametrize("rows", [1, 4000], ids=["one-long", "many"])
async def test_a_head_that_is_too_large_is_refused(client, rows):
    header = b"".join(b"x-%d: %b\r\n" % (row, b"v" * (400_000 // rows)) for row in range(rows))
    answer = b"HTTP/1.1 200 OK\r\n" + header + b"content-length: 2\r\n\r\nok"
    async with serving(once(answer)) as server, opened(client, server.url) as upstream:
        with pytest.raises(UpstreamBroken):
            await fetch(upstream)


async def test_a_reset_connection_is_an_error(client):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"5\r\nhello\r\n")
        peer.reset()

    async with serving(script) as server, opened(client, server.url) as upstream:
        with pytest.raises(UpstreamBroken):
            await fetch(upstream)


async def test_a_body_over_the_limit_is_refused(client):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        response = await upstream.request(ASK, PATIENT)
        with pytest.raises(UpstreamBroken):
            await response.read_all(10)
        await response.aclose()


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest(path=b"/a\r\nx: 1"),
        HttpRequest(path=b"/a b"),
        HttpRequest(path=b"a"),
        HttpRequest(method=b"GET /", path=b"/"),
        HttpRequest(path=b"/", headers=((b"a", b"b\r\nx: 1"),)),
        HttpRequest(path=b"/", headers=((b"a", b"b\nx"),)),
        HttpRequest(path=b"/", headers=((b"a", b"b\x00"),)),
        HttpRequest(path=b"/", headers=((b"a: b\r\nx", b"1"),)),
        HttpRequest(path=b"/", headers=((b"Content-Length", b"1"),)),
        HttpRequest(path=b"/", headers=((b"transfer-encoding", b"chunked"),)),
    ],
)
async def test_a_request_that_could_smuggle_another_is_refused_before_it_is_sent(client, request_):
    async with serving(always(JSON_ANSWER)) as server, opened(client, server.url) as upstream:
        with pytest.raises(InvalidRequest):
            await upstream.request(request_, PATIENT)

        assert server.seen == 0
