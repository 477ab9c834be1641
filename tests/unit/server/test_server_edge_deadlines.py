"""How long a client may take: for a header, a body, between requests, and to read what it asked for."""

import contextlib
import json

import anyio
import anyio.lowlevel


async def test_a_header_that_never_ends_is_answered_408(serving, echo_app):
    async with serving(echo_app, header_timeout=0.05) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost:")

        assert await client.error() == (408, "header_timeout")


async def test_a_header_that_drips_is_answered_408(serving, echo_app):
    """The deadline runs from the first byte: more bytes do not extend it."""
    async with (
        serving(echo_app, header_timeout=0.1) as edge,
        edge.client() as client,
        anyio.create_task_group() as tasks,
    ):
        await client.send(b"GET /")

        async def drip():
            while True:
                await client.send(b"a")
                await anyio.sleep(0.01)

        tasks.start_soon(drip)

        assert (await client.response())[0] == 408
        tasks.cancel_scope.cancel()


async def test_a_connection_that_says_nothing_is_closed_silently(serving, echo_app):
    async with serving(echo_app, header_timeout=0.05) as edge, edge.client() as client:
        assert await client.rest() == b""


async def test_the_second_request_of_a_connection_has_the_header_deadline_too(serving, echo_app):
    async with serving(echo_app, header_timeout=0.05) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response())[0] == 200
        await client.send(b"GET / HTTP/1.1\r\n")

        assert await client.error() == (408, "header_timeout")


async def test_an_idle_connection_is_closed(serving, echo_app):
    async with serving(echo_app, idle_timeout=0.05) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response())[0] == 200

        assert await client.rest() == b""


async def test_line_ends_do_not_keep_an_idle_connection(serving, echo_app):
    async with serving(echo_app, idle_timeout=0.1) as edge, edge.client() as client, anyio.create_task_group() as tasks:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response())[0] == 200

        async def drip():
            with contextlib.suppress(anyio.BrokenResourceError):
                while True:
                    await client.send(b"\r\n")
                    await anyio.sleep(0.01)

        tasks.start_soon(drip)
        with anyio.fail_after(2):
            with contextlib.suppress(
                anyio.BrokenResourceError
            ):  # bytes under way may make it a reset: closed all the same
                assert await client.rest() == b""
        tasks.cancel_scope.cancel()


async def test_a_long_answer_is_never_cut_by_the_deadlines(serving):
    async def slow(scope, receive, send):
        if scope["type"] == "http":
            await receive()
            await anyio.sleep(0.3)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    async with serving(slow, header_timeout=0.05, body_timeout=0.05, idle_timeout=0.05) as edge:
        assert (await edge.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"))[0] == 200


async def test_a_body_that_never_ends_is_answered_408_and_the_application_hears_of_it(serving):
    heard = []
    over = anyio.Event()

    async def reader(scope, receive, send):
        if scope["type"] != "http":
            return
        scope["extensions"]["switchgear.departure"].subscribe(lambda: heard.append("departure"))
        while True:
            message = await receive()
            heard.append(message["type"])
            if message["type"] == "http.disconnect":
                over.set()
                return

    async with serving(reader, body_timeout=0.05) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")

        assert await client.error() == (408, "body_timeout")
        with anyio.fail_after(2):
            await over.wait()
        assert heard == ["http.request", "departure", "http.disconnect"]


async def test_a_body_deadline_after_the_answer_has_begun_cuts_the_connection(serving):
    async def eager(scope, receive, send):
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(eager, body_timeout=0.05) as edge, edge.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        await client.until(b"begun\r\n")

        with anyio.fail_after(2):
            try:
                ending = await client.rest()
            except anyio.BrokenResourceError:
                ending = b""
        assert ending == b""


async def test_an_application_that_is_slow_to_read_is_not_taken_for_a_slow_client(serving):
    async def lazy(scope, receive, send):
        if scope["type"] != "http":
            return
        await anyio.sleep(0.6)
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        answer = json.dumps(size).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]}
        )
        await send({"type": "http.response.body", "body": answer})

    body = b"x" * 2_000_000
    async with serving(lazy, body_timeout=0.3) as edge, edge.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + body)

        status, _, size = await client.response()
        assert (status, size) == (200, b"2000000")


async def test_a_client_that_reads_nothing_is_cut(serving):
    ended = anyio.Event()

    async def firehose(scope, receive, send):
        if scope["type"] != "http":
            return
        scope["extensions"]["switchgear.departure"].subscribe(ended.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not ended.is_set():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await anyio.lowlevel.checkpoint()  # to a client that has left, send returns at once: never spin on it

    async with serving(firehose, idle_timeout=0.1) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        with anyio.fail_after(5):
            await ended.wait()


async def test_a_client_that_does_not_read_the_end_of_its_answer_is_cut(serving):
    """The answer is complete for the application, so nothing but the deadline would ever free the connection."""

    async def large(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b"x" * 30_000_000})

    async with serving(large, idle_timeout=0.1) as edge, edge.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.until(b"\r\n\r\n")

        with anyio.fail_after(5):
            while edge.server.connections:
                await anyio.sleep(0.01)
