"""The notice that a client has left, and what happens to a request whose application fails."""

import json

import anyio
from structlog.testing import capture_logs

from gateway.server import Departure, departure_of

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"


class Watching:
    """Holds every request until it is told to end, and notes who has left."""

    def __init__(self):
        self.left = []
        self.running = anyio.Event()
        self.gone = anyio.Event()
        self.finish = anyio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        departure_of(scope).subscribe(lambda: (self.left.append(scope["path"]), self.gone.set()))
        self.running.set()
        await self.finish.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


async def test_a_client_that_leaves_is_noticed_while_its_request_runs(serving):
    app = Watching()
    async with serving(app) as edge:
        async with edge.client() as client:
            await client.send(REQUEST)
            await app.running.wait()
            assert app.left == []
        with anyio.fail_after(1):
            await app.gone.wait()
        app.finish.set()

        assert app.left == ["/"]


async def test_a_client_that_leaves_is_noticed_although_it_pipelined(serving):
    app = Watching()
    async with serving(app) as edge:
        async with edge.client() as client:
            await client.send(REQUEST + REQUEST.replace(b"/ ", b"/second "))
            await app.running.wait()
        with anyio.fail_after(1):
            await app.gone.wait()
        app.finish.set()

        assert app.left == ["/"]


async def test_a_client_that_got_its_answer_does_not_leave(serving):
    app = Watching()
    app.finish.set()
    async with serving(app) as edge:
        assert (await edge.ask(REQUEST))[0] == 200

    assert app.left == []


def test_a_departure_calls_one_subscriber_once():
    calls = []
    departure = Departure()
    departure.subscribe(lambda: calls.append("first"))
    departure.subscribe(lambda: calls.append("second"))
    departure.leave()
    departure.leave()

    assert calls == ["second"]
    assert departure.left


def test_a_late_subscriber_is_told_at_once():
    calls = []
    departure = Departure()
    departure.leave()
    departure.subscribe(lambda: calls.append("late"))

    assert calls == ["late"]


def test_an_unsubscribed_callback_is_not_called():
    calls = []
    departure = Departure()
    departure.subscribe(lambda: calls.append("never"))
    departure.unsubscribe()
    departure.leave()

    assert calls == []


def test_a_scope_of_another_server_never_departs():
    assert not departure_of({"type": "http"}).left


async def test_an_application_that_raises_gives_a_500_and_one_log_event(serving):
    async def broken(scope, receive, send):
        if scope["type"] == "http":
            raise RuntimeError("secret")

    with capture_logs() as logs:
        async with serving(broken) as edge, edge.client() as client:
            await client.send(REQUEST)
            status, headers, body = await client.response()

    assert (status, headers["connection"]) == (500, "close")
    assert json.loads(body)["error"]["code"] == "internal_error"
    assert b"secret" not in body
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["server.application.failed"]


async def test_an_application_that_raises_in_mid_stream_never_looks_complete(serving):
    async def broken(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})

    with capture_logs() as logs:
        async with serving(broken) as edge, edge.client() as client:
            await client.send(REQUEST)
            try:
                got = await client.rest()
            except anyio.BrokenResourceError:
                got = client.buffer

    assert b"0\r\n\r\n" not in got
    events = [entry["event"] for entry in logs if entry["log_level"] == "error"]
    assert events == ["server.application.left_response_incomplete"]
