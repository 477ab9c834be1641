"""What an HTTP answer means for a call of a tool: done, refused, not begun, or nobody knows. Over real sockets."""

import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.tools.hub import ToolLost, ToolNotReached
from gateway.tools.openapi.exchange import Exchange
from gateway.tools.openapi.request import HttpRequest

pytestmark = pytest.mark.anyio


class Served:
    """What the server saw."""

    def __init__(self):
        self.heads = []
        self.closed = anyio.Event()


@asynccontextmanager
async def serving(*pieces, hold=False):
    """Serve one raw answer to each connection; with `hold`, wait for the client to leave after it."""
    served = Served()

    async def answer(reader, writer):
        served.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hold:
            await reader.read()
        served.closed.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    exchange = Exchange(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/", {"authorization": "Bearer k"}, most=1000
    )
    try:
        with anyio.fail_after(10):
            yield exchange, served
    finally:
        await exchange.aclose()
        server.close()


def reply(status="200 OK", body=b"", kind="application/json"):
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def send(exchange, method="POST", timeout=5.0):
    return exchange.send(HttpRequest(method=method, target="/x?a=1"), key="k1", trace="00-t", timeout=timeout)


async def test_an_answer_is_given_as_text_and_as_json():
    async with serving(reply(body=b'{"a": [1]}')) as (exchange, served):
        output = await send(exchange)

    assert (output.text, output.structured, output.is_error) == ('{"a": [1]}', {"a": [1]}, False)
    head = served.heads[0].lower()
    assert head.startswith("post /v1/x?a=1 ")
    assert "idempotency-key: k1" in head
    assert "authorization: bearer k" in head
    assert "traceparent: 00-t" in head


async def test_a_question_that_changes_nothing_has_no_idempotency_key():
    async with serving(reply(body=b"{}")) as (exchange, served):
        await send(exchange, "GET")

    assert "idempotency-key" not in served.heads[0].lower()


@pytest.mark.parametrize("status", ["400 Bad", "404 Gone", "409 Conflict", "500 Oops"])
async def test_what_the_server_refuses_is_told_to_the_model(status):
    async with serving(reply(status, b'{"error": "no such pet"}')) as (exchange, _):
        output = await send(exchange)

    assert output.is_error
    assert output.text == f'HTTP {status[:3]}: {{"error": "no such pet"}}'


@pytest.mark.parametrize("status", ["429 Slow", "503 Away"])
async def test_a_server_that_has_not_begun_was_not_reached(status):
    async with serving(reply(status)) as (exchange, _):
        with pytest.raises(ToolNotReached):
            await send(exchange)


async def test_where_nobody_listens_nothing_was_done():
    exchange = Exchange("http://127.0.0.1:9", {}, most=1000)
    with pytest.raises(ToolNotReached):
        await send(exchange)
    await exchange.aclose()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((), id="it says nothing and leaves"),
        pytest.param((b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",), id="it leaves in the middle"),
        pytest.param((b"SSH-2.0\r\n\r\n",), id="it speaks something else"),
        pytest.param((reply("502 Bad"),), id="something in between does not know"),
        pytest.param((reply("504 Late"),), id="something in between waited too long"),
    ],
)
async def test_a_call_without_an_answer_may_have_been_done(pieces):
    async with serving(*pieces) as (exchange, _):
        with pytest.raises(ToolLost):
            await send(exchange)


async def test_a_server_that_is_silent_is_left_after_the_time_of_the_tool():
    async with serving(hold=True) as (exchange, served):
        with pytest.raises(ToolLost, match=r"within 0\.2 seconds"):
            await send(exchange, timeout=0.2)
        await served.closed.wait()


async def test_a_cancelled_call_closes_its_connection_at_once():
    async with serving(hold=True) as (exchange, served), anyio.create_task_group() as tasks:
        tasks.start_soon(send, exchange)
        while not served.heads:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(1):
            await served.closed.wait()


async def test_an_answer_without_end_is_read_no_further_than_the_limit():
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n" + b"x" * 100_000
    async with serving(endless, hold=True) as (exchange, served):
        output = await send(exchange)
        await served.closed.wait()

    assert output.text.startswith("x" * 1000)
    assert "longer than the 1,000 bytes" in output.text


async def test_nobody_is_followed_elsewhere():
    away = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    async with serving(away) as (exchange, served):
        output = await send(exchange)

    assert output.is_error
    assert len(served.heads) == 1


async def test_what_is_no_text_is_named_and_not_given():
    async with serving(reply(body=b"\x00\xff" * 50, kind="image/png")) as (exchange, _):
        assert (await send(exchange)).text == "[100 bytes of image/png, which is no text.]"
