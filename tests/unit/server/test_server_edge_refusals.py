"""What the edge refuses before the application sees it (RFC 9110, RFC 9112), and what it must not refuse."""

import json

import anyio
import pytest

HOST = b"Host: a\r\n"

REFUSED = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_host"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "invalid_host"),
    "two hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_host"),
    "host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "invalid_host"),
    "host with a blank": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid_host"),
    "endless host": (b"GET / HTTP/1.1\r\nHost: " + b"a" * 300 + b"\r\n\r\n", 400, "invalid_host"),
    "two lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
        "invalid_request",
    ),
    "list of lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\nx", 400, "invalid_request"),
    "signed length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx", 400, "invalid_request"),
    "negative length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\nx", 400, "invalid_request"),
    "empty length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nx", 400, "invalid_request"),
    "length that overflows": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        400,
        "invalid_request",
    ),
    "length, then coding": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "invalid_request",
    ),
    "coding, then length": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        400,
        "invalid_request",
    ),
    "unknown coding": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
        400,
        "unsupported_transfer_encoding",
    ),
    "two codings": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "unsupported_transfer_encoding",
    ),
    "coding in 1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "unsupported_transfer_encoding",
    ),
    "bad chunk size": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "invalid_request",
    ),
    "unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "small method": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "proxy": (b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method_not_allowed"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_request"),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "invalid_request"),
    "http/2 in words": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, "unsupported_http_version"),
    "http/0.9": (b"GET /\r\n\r\n", 400, "unsupported_http_version"),
    "control character in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x01b\r\n\r\n", 400, "invalid_request"),
    "bare cr in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n", 400, "invalid_request"),
    "nul in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400, "invalid_request"),
    "bad header name": (b"GET / HTTP/1.1\r\n" + HOST + b"X(: a\r\n\r\n", 400, "invalid_request"),
    "blank before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "invalid_request"),
    "folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400, "invalid_request"),
    "control character in the target": (b"GET /a\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_request"),
    "target of another scheme": (b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_target"),
    "target with a password": (b"GET http://u:p@a/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_target"),
    "broken target": (b"GET http://[::1 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_target"),
    "target without a path": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "invalid_target"),
    "unknown expectation": (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: coffee\r\n\r\n", 417, "unsupported_expectation"),
    "websocket": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        426,
        "websocket_not_supported",
    ),
    "long target": (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "target_too_long"),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 128 + b"\r\n", 431, "headers_too_large"),
    "large header": (b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 65536 + b"\r\n\r\n", 431, "headers_too_large"),
    "endless header": (b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 500_000, 431, "headers_too_large"),
    "endless line ends": (b"\r\n" * 50000, 431, "headers_too_large"),
    "length over the limit": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 33554433\r\n\r\n",
        413,
        "request_too_large",
    ),
    "length over the limit, asking first": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 33554433\r\nExpect: 100-continue\r\n\r\n",
        413,
        "request_too_large",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
async def test_a_request_that_must_not_be_passed_on_is_refused(case, serving, echo_app):
    request, status, code = REFUSED[case]
    async with serving(echo_app) as edge:
        assert await edge.refusal(request) == (status, code)
        assert edge.server.state.refused == {code: 1}
        assert (await edge.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))[0] == 200


async def test_a_refusal_is_the_same_whatever_the_reads(serving, echo_app):
    request = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    async with serving(echo_app) as edge, edge.client() as client:
        for byte in request:
            await client.send(bytes([byte]))

        assert await client.error() == (400, "invalid_host")


async def test_a_chunked_body_over_the_limit_is_refused_on_the_way(serving, echo_app):
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    async with serving(echo_app, body_bytes=10_000) as edge:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert (await edge.ask(head + chunk * 10 + b"0\r\n\r\n"))[0] == 200
        assert await edge.refusal(head + chunk * 11) == (413, "request_too_large")


@pytest.mark.parametrize("flood", [b"1;" + b"a" * 300_000, b"1\r\nx\r\n0\r\n" + b"a: b\r\n" * 60_000])
async def test_chunks_that_are_mostly_not_data_are_refused(flood, serving, echo_app):
    async with serving(echo_app) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n")
        await client.send(b"x\r\n" + flood)

        assert await client.error() == (400, "invalid_body")


async def test_a_large_body_that_is_refused_does_not_destroy_its_answer(serving, echo_app):
    """Closing with unread input resets the connection; the edge half closes and reads on for a while."""
    async with serving(echo_app, body_bytes=1000) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)

        assert await client.error() == (413, "request_too_large")


async def test_an_error_is_rendered_by_the_given_function(serving, echo_app):
    asked = []

    def render(path, headers, status, code, message):
        asked.append((path, list(headers), status, code))
        return b'{"type":"error"}'

    async with serving(echo_app, render_error=render) as edge, edge.client() as client:
        await client.send(b"POST /v1/messages?x=1 HTTP/1.1\r\nanthropic-version: 1\r\n\r\n")

        assert (await client.response())[2] == b'{"type":"error"}'
        assert asked == [(b"/v1/messages?x=1", [(b"anthropic-version", b"1")], 400, "invalid_host")]


async def test_a_refused_head_request_gets_no_body(serving, echo_app):
    async with serving(echo_app) as edge, edge.client() as client:
        await client.send(b"HEAD / HTTP/1.1\r\n\r\n")

        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert body == b""


async def test_http_1_0_is_answered_and_closed(serving, echo_app):
    async with serving(echo_app) as edge, edge.client() as client:
        await client.send(b"GET /old HTTP/1.0\r\n\r\n")

        status, headers, body = await client.response()
        assert (status, headers["connection"], json.loads(body)["path"]) == (200, "close", "/old")
        assert await client.rest() == b""


async def test_an_absolute_target_names_the_host(serving, echo_app):
    """RFC 9112, 3.2.2."""
    async with serving(echo_app) as edge:
        request = b"GET http://real.example:81/p%20q?a=1 HTTP/1.1\r\nHost: other\r\nX: y \r\n\r\n"
        seen = json.loads((await edge.ask(request))[2])

        assert (seen["path"], seen["query"]) == ("/p q", "a=1")
        assert seen["headers"] == {"host": "real.example:81", "x": "y"}
        bare = json.loads((await edge.ask(b"GET http://e?b HTTP/1.1\r\nHost: e\r\n\r\n"))[2])
        assert (bare["path"], bare["query"], bare["headers"]["host"]) == ("/", "b", "e")


async def test_a_client_that_asks_first_is_told_to_continue(serving, echo_app):
    async with serving(echo_app) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.response())[0] == 100
        await client.send(b"hi")

        assert json.loads((await client.response())[2])["body"] == "hi"


async def test_an_answer_without_the_body_that_was_asked_for_ends_the_connection(serving):
    async def refuse(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    async with serving(refuse) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")

        assert (await client.response())[0] == 401
        assert await client.rest() == b""


async def test_an_offer_of_http_2_is_ignored_and_the_body_arrives(serving, echo_app):
    """Java's HttpClient offers h2c with every first request; httptools takes the body for upgraded data."""
    request = (
        b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 4\r\n\r\nbody"
    )
    async with serving(echo_app) as edge, edge.client() as client:
        for _ in range(2):
            await client.send(request)
            seen = json.loads((await client.response())[2])

            assert (seen["body"], seen["headers"]) == ("body", {"host": "a", "content-length": "4"})


async def test_trailers_never_become_headers(serving, echo_app):
    async with serving(echo_app) as edge:
        request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nAuthorization: b\r\n\r\n"
        seen = json.loads((await edge.ask(request))[2])

        assert seen["body"] == "hi"
        assert "authorization" not in seen["headers"]


async def test_connections_over_the_limit_are_answered_503(serving, echo_app):
    async with serving(echo_app, connections=1) as edge, edge.client() as first:
        await first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await first.response())[0] == 200
        async with edge.client() as second:
            status, headers, _ = await second.response()
            assert (status, headers["retry-after"]) == (503, "1")
            assert await second.rest() == b""

        await first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await first.response())[0] == 200


async def test_pipelined_requests_are_answered_in_order(serving, echo_app):
    async with serving(echo_app) as edge, edge.client() as client:
        one = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        await client.send(b"".join(one % number for number in range(10)))

        paths = [json.loads((await client.response())[2])["path"] for _ in range(10)]
        assert paths == [f"/{number}" for number in range(10)]


async def test_pipelined_requests_are_bounded_and_those_before_the_bound_are_answered(serving, echo_app):
    async with serving(echo_app, pipelined=4) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5000)

        statuses = [(await client.response())[0] for _ in range(5)]
        assert statuses == [200] * 5
        assert await client.error() == (429, "too_many_pipelined_requests")


async def test_garbage_behind_a_request_never_breaks_its_answer(serving):
    go_on = anyio.Event()

    async def slow(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await go_on.wait()
            await send({"type": "http.response.body", "body": b"two"})

    async with serving(slow) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x00\x01garbage")
        await client.until(b"one\r\n")
        go_on.set()

        assert (await client.until(b"0\r\n\r\n")) == b"3\r\ntwo\r\n"
        assert await client.error() == (400, "invalid_request")
