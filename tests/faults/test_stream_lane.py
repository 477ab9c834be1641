"""A verbatim stream takes the short way from connection to connection; nothing of it is lost, doubled or out of order."""

import json

import anyio
import pytest

from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import STREAM_HEAD, asked, chunk, faulty_upstream
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat], http: {http}}}
models:
  chat: chat/talker
"""
END = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12}}\n\ndata: [DONE]\n\n'
)


def _event(number, size):
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    delta = {"index": 0, "delta": {"content": f"<{number}>" + "y" * size}, "finish_reason": None}
    return b"data: " + json.dumps({**body, "choices": [delta]}).encode() + b"\n\n"


@pytest.fixture(params=["native", "httpx2"])
async def served(request, tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", http=request.param)
        async with running(tmp_path_factory.mktemp("gateway"), config, environ={}) as gateway:
            yield upstream, gateway


async def _read_slowly(client, pause):
    """Read a chunked response to its end, with a pause after each piece; give its body."""
    raw = b""
    while not raw.endswith(b"\r\n0\r\n\r\n"):
        raw += await client.receive(4096)
        if pause:
            await pause()
    body, rest = b"", raw.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("size", [10, 20_000])
async def test_a_slow_client_gets_every_byte_in_order(served, size):
    """The client's buffers run full in the middle: the short way ends, and begins again when there is room."""
    upstream, gateway = served
    sent = b"".join(_event(number, size) for number in range(300)) + END

    async def stream(peer, request):
        del request
        await peer.send(STREAM_HEAD)
        for start in range(0, len(sent), 7_001):
            await peer.send(chunk(sent[start : start + 7_001]))
        await peer.send(b"0\r\n\r\n")

    upstream.behave = stream
    body = json.dumps({**asked("chat", stream=True, model="chat"), "stream_options": {"include_usage": True}}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
    with anyio.fail_after(20):
        async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
            await client.send(head + body)
            received = await _read_slowly(client, anyio.lowlevel.checkpoint)

    assert received == sent
    await until(lambda: gateway.records)
    assert [record.usage.output for record in gateway.records] == [9]


async def test_an_upstream_that_breaks_off_in_the_short_way_ends_in_an_error_event(served):
    upstream, gateway = served

    async def break_off(peer, request):
        del request
        await peer.send(STREAM_HEAD)
        for number in range(5):
            await peer.send(chunk(_event(number, 10)))
        peer.reset()

    upstream.behave = break_off
    body = json.dumps(asked("chat", stream=True, model="chat")).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
            await client.send(head + body)
            received = await _read_slowly(client, None)

    assert b'"upstream_broken"' in received.split(b"\n\n")[-2]
    await until(lambda: gateway.records)
    assert [record.error for record in gateway.records] == ["upstream_broken"]
