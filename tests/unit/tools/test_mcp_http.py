"""What becomes of a request to an MCP server by HTTP: refused means that nothing was done, silence that nobody knows."""

import httpx2
import msgspec
import pytest

from gateway.tools.connection import Signals
from gateway.tools.delivery import KEY, NO_ANSWER, TOO_LARGE, Deliveries
from gateway.tools.mcp_http import Exchange

CALL = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "pay", "_meta": {KEY: "k"}}}
RESULT = {"jsonrpc": "2.0", "id": 5, "result": {"content": []}}


class World:
    """An exchange over an answer that is made up: a response, or an error that is raised."""

    def __init__(self, answer, *, limit=1000):
        self.deliveries, self.signals = Deliveries(), Signals()
        self.answer = answer

        def handle(request):
            if isinstance(answer, Exception):
                raise answer
            return answer

        inner = httpx2.MockTransport(handle)
        self.exchange = Exchange(inner, limit=limit, deliveries=self.deliveries, signals=self.signals)

    async def post(self, message=CALL, **headers):
        request = httpx2.Request("POST", "http://server/mcp", json=message, headers=headers)
        response = await self.exchange.handle_async_request(request)
        body = b"".join([chunk async for chunk in response.stream])
        return response, msgspec.json.decode(body) if body else None


def answered(status=200, body=RESULT, **headers):
    return httpx2.Response(status, json=body, headers=headers)


async def test_an_answer_comes_as_it_is():
    world = World(answered())

    _, body = await world.post()

    assert body == RESULT
    assert world.deliveries.is_out("k")


@pytest.mark.parametrize("error", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no"), httpx2.PoolTimeout("no")])
async def test_what_found_no_connection_was_not_sent(error):
    world = World(error)

    _, body = await world.post()

    assert (body["id"], body["error"]["code"]) == (5, NO_ANSWER)
    assert not world.deliveries.is_out("k")
    assert world.signals.changed.is_set()


@pytest.mark.parametrize("error", [httpx2.ReadError("no"), httpx2.RemoteProtocolError("no"), httpx2.WriteError("no")])
async def test_what_broke_off_may_have_been_done(error):
    world = World(error)

    _, body = await world.post()

    assert body["error"]["code"] == NO_ANSWER
    assert world.deliveries.is_out("k")


@pytest.mark.parametrize(
    ("status", "out"), [(400, False), (401, False), (403, False), (429, False), (500, True), (502, True), (503, True)]
)
async def test_a_status_says_whether_the_server_began(status, out):
    world = World(httpx2.Response(status, text="go away"))

    _, body = await world.post()

    assert str(status) in body["error"]["message"]
    assert world.deliveries.is_out("k") is out


async def test_an_error_of_the_protocol_is_the_servers_answer_whatever_its_status():
    error = {"jsonrpc": "2.0", "id": 5, "error": {"code": -32602, "message": "Unknown tool"}}
    world = World(answered(400, error))

    response, body = await world.post()

    assert (response.status_code, body) == (400, error)


async def test_a_session_that_is_gone_breaks_the_connection_and_nothing_was_done():
    world = World(
        answered(404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}})
    )

    _, body = await world.post(**{"mcp-session-id": "s"})

    assert body["error"]["message"] == "its session is gone"
    assert world.signals.broken.is_set()
    assert not world.deliveries.is_out("k")


async def test_an_answer_beyond_the_limit_is_not_read():
    read = []

    async def chunks():
        for _ in range(1000):
            read.append(1)
            yield b"x" * 100

    world = World(httpx2.Response(200, headers={"content-type": "application/json"}, content=chunks()))

    _, body = await world.post()

    assert body["error"]["code"] == TOO_LARGE
    assert len(read) < 20


async def test_a_stream_beyond_the_limit_ends_and_is_remembered_as_too_large():
    async def chunks():
        for _ in range(1000):
            yield b"data: " + b"x" * 100 + b"\n\n"

    world = World(httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=chunks()))

    with pytest.raises(httpx2.ReadError):
        await world.post()

    assert world.deliveries.was_too_large("k")


async def test_compression_that_nobody_asked_for_is_not_unpacked():
    _, body = await World(httpx2.Response(200, headers={"content-encoding": "gzip"}, content=b"\x1f\x8b")).post()

    assert "compressed" in body["error"]["message"]


async def test_a_notification_that_fails_ends_nothing():
    response, body = await World(httpx2.ReadError("no")).post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    assert (response.status_code, body) == (202, None)
