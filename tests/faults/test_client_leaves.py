"""A client that leaves: its upstream is left within a second, and it is accounted for exactly once."""

import json
import math
import time

import anyio
import pytest

from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.journeys.running_gateway import running

CONFIG = """
server: {{keep_alive_interval: {keep_alive}}}
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
models:
  chat: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: drop}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: drop}}
"""
KEY = {"BACK_KEY": "a-key-for-the-back"}
DIALECTS = ("chat", "responses", "messages")
SPOKEN = -1  # as many events as it takes to say a word
WITHIN = 1.0  # the promise; seen: some milliseconds


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def shared_gateway(tmp_path_factory, upstream):
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", keep_alive=0.2)
    async with running(tmp_path_factory.mktemp("gateway"), config, environ=KEY) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway):
    shared_gateway.forget()
    return shared_gateway


class Upstairs:
    """What the upstream does for one call: lets `events` of its stream out, then waits until it is left."""

    def __init__(self, upstream, events):
        self._upstream = upstream
        self._events = events
        self.reached = anyio.Event()
        self.left = anyio.Event()

    async def __call__(self, peer, request):
        self.reached.set()
        if self._events is not None:
            events = self._upstream.answers.events[request.api]
            spoken = next(number for number, event in enumerate(events) if b"one" in event)
            count = spoken + 1 if self._events == SPOKEN else self._events
            await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[:count]))
        await peer.left()
        self.left.set()


def request(dialect, model, *, stream, length=None):
    body = json.dumps(asked(dialect, stream=stream, model=model)).encode()
    head = f"POST {APIS[dialect]} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {length or len(body)}\r\n\r\n".encode() + body


async def leave_and_measure(gateway, upstairs, client):
    began = time.monotonic()
    await client.aclose()
    with anyio.fail_after(WITHIN):
        await upstairs.left.wait()
    took = time.monotonic() - began
    await until(lambda: gateway.records and gateway.idle, WITHIN)
    return took


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("events", [0, 1, SPOKEN])
async def test_leaving_a_stream_leaves_the_upstream_and_makes_one_record(gateway, upstream, dialect, model, events):
    upstairs = upstream.behave = Upstairs(upstream, events)
    client = await anyio.connect_tcp("127.0.0.1", gateway.port)
    await client.send(request(dialect, model, stream=True))
    await upstairs.reached.wait()
    seen = b""
    with anyio.fail_after(2):  # with keep-alives every 0.2 s something comes in any case
        while b"\r\n\r\n" not in seen or (events == SPOKEN and b"one" not in seen):
            seen += await client.receive()

    await leave_and_measure(gateway, upstairs, client)

    [record] = gateway.records
    assert (record.status, record.error, record.provider) == (499, "client_left", model)
    if events == SPOKEN:
        assert record.usage is not None
        assert record.usage.estimated
        assert record.usage.input > 0


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_leaving_before_any_answer_leaves_the_upstream(gateway, upstream, dialect):
    for stream in (False, True):
        gateway.forget()
        upstairs = upstream.behave = Upstairs(upstream, None)
        client = await anyio.connect_tcp("127.0.0.1", gateway.port)
        await client.send(request(dialect, dialect, stream=stream))
        await upstairs.reached.wait()

        await leave_and_measure(gateway, upstairs, client)

        [record] = gateway.records
        assert (record.status, record.error) == (499, "client_left")
        assert record.usage is not None
        assert record.usage.estimated
        assert (record.usage.input > 0, record.usage.output) == (True, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_leaving_before_the_body_is_complete_asks_no_upstream(gateway, upstream, dialect):
    upstream.asked.clear()
    async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
        await client.send(request(dialect, dialect, stream=True, length=9999))
        await until(lambda: gateway.server.in_flight == 1)

    await until(lambda: gateway.records and gateway.idle)
    [record] = gateway.records
    assert (record.status, record.error, record.provider) == (499, "client_left", None)
    assert upstream.asked == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_upstream_that_never_closes_after_its_last_event_holds_no_translated_call(gateway, upstream, dialect):
    async def never_close(peer, request):
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in upstream.answers.events[request.api]))
        await peer.left()

    upstream.behave = never_close
    [other, *_] = [model for model in DIALECTS if model != dialect]
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
            await client.send(request(dialect, other, stream=True))
            async for piece in body_pieces(client):
                if not piece:
                    break
            await until(lambda: gateway.records and gateway.idle)

    [record] = gateway.records
    assert (record.status, record.error, record.provider) == (200, None, other)


async def test_a_hundred_clients_that_leave_at_any_moment_leave_nothing_behind(gateway, upstream):
    async def drip(peer, request):
        await peer.send(STREAM_HEAD)
        for event in upstream.answers.events[request.api] * 50:
            await peer.send(chunk(event))
            await anyio.sleep(0.002)

    async def come_and_go(number):
        client = await anyio.connect_tcp("127.0.0.1", gateway.port)
        await client.send(request(DIALECTS[number % 3], DIALECTS[number // 3 % 3], stream=True))
        with anyio.move_on_after(0.001 * number):
            while True:
                await client.receive()
        await client.aclose()

    upstream.behave = drip
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(come_and_go, number)

    await until(lambda: gateway.idle and len(gateway.records) >= 90)
    ids = [record.id for record in gateway.records]
    assert len(ids) == len(set(ids)) <= 100
    for provider in gateway.application.live.current().providers.values():
        pool = (getattr(provider, "_upstream", None) or provider._access.upstream)._pool
        await until(lambda pool=pool: pool.free_slots + pool.idle_connections == pool._limit)


async def body_pieces(client):
    """The pieces of a chunked body, as they come."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        buffer += await client.receive()
    buffer = buffer.split(b"\r\n\r\n", 1)[1]
    while True:
        while b"\r\n" not in buffer:
            buffer += await client.receive()
        size, _, buffer = buffer.partition(b"\r\n")
        while len(buffer) < int(size, 16) + 2:
            buffer += await client.receive()
        yield buffer[: int(size, 16)]
        buffer = buffer[int(size, 16) + 2 :]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", ["chat", "messages"])
async def test_comments_keep_a_silent_stream_alive_and_never_stand_inside_an_event(gateway, upstream, dialect, model):
    go_on = anyio.Event()

    async def pause_inside_an_event(peer, request):
        whole = b"".join(upstream.answers.events[request.api])
        half = whole.find(b"two") + 1
        await peer.send(STREAM_HEAD + chunk(whole[:half]))
        await go_on.wait()
        await peer.send(chunk(whole[half:]) + b"0\r\n\r\n")

    upstream.behave = pause_inside_an_event
    pieces = []
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", gateway.port) as client:
            await client.send(request(dialect, model, stream=True))
            async for piece in body_pieces(client):
                pieces.append(piece)
                if pieces.count(b": keep-alive\n\n") == 2:
                    go_on.set()
                if not piece:
                    break

    assert b": keep-alive\n\n" in pieces
    assert all(piece.endswith(b"\n\n") for piece in pieces if piece)
    for event in b"".join(pieces).split(b"\n\n"):
        data = [line for line in event.split(b"\n") if line.startswith(b"data: ")]
        assert all(line[6:] == b"[DONE]" or json.loads(line[6:]) for line in data)


async def test_a_client_that_takes_nothing_does_not_hold_up_the_comments_of_others(gateway, upstream):
    async def flood_or_wait(peer, request):
        if b"flood" in request.body:
            await peer.send(STREAM_HEAD)
            event = upstream.answers.events["chat"][1]
            while True:
                await peer.send(chunk(event * 200))
        await peer.left()

    upstream.behave = flood_or_wait
    flood = json.dumps(asked("chat", stream=True, model="chat", text="flood")).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(flood)
    with anyio.fail_after(10):
        async with (
            await anyio.connect_tcp("127.0.0.1", gateway.port) as slow,
            await anyio.connect_tcp("127.0.0.1", gateway.port) as other,
        ):
            await slow.send(head + flood)
            await until(
                lambda: any(
                    getattr(relay, "_wrote_at", 0.0) == math.inf
                    for relay in gateway.application.edge.in_progress.values()
                )
            )
            await other.send(request("chat", "chat", stream=True))
            seen = b""
            while seen.count(b": keep-alive") < 3:
                seen += await other.receive()

    await until(lambda: gateway.idle)
    assert {record.error for record in gateway.records} == {"client_left"}
