"""A real EdgeServer in the test's event loop, and a client that sends exactly the bytes it is told to."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.server import EdgeServer, ServerOptions


class RawClient:
    """One TCP connection; responses are read with Content-Length, chunked, or until the end."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = b""

    async def send(self, data):
        await self.stream.send(data)

    async def until(self, mark):
        while mark not in self.buffer:
            self.buffer += await self.stream.receive()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    async def exactly(self, count):
        while len(self.buffer) < count:
            self.buffer += await self.stream.receive()
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    async def response(self):
        """status, headers, body"""
        with anyio.fail_after(5):
            lines = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
            status = int(lines[0].split()[1])
            headers = dict(line.split(": ", 1) for line in lines[1:])
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await self.until(b"\r\n"), 16):
                    body += await self.exactly(size)
                    await self.until(b"\r\n")
                await self.until(b"\r\n")
                return status, headers, body
            return status, headers, await self.exactly(int(headers.get("content-length", 0)))

    async def error(self):
        """status and code of an error in OpenAI's shape, after which the server closes"""
        status, headers, body = await self.response()
        assert headers["connection"] == "close"
        assert headers["content-type"] == "application/json"
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert await self.rest() == b""
        return status, error["code"]

    async def rest(self):
        """Everything until the server closes."""
        with anyio.fail_after(5):
            try:
                while True:
                    self.buffer += await self.stream.receive()
            except anyio.EndOfStream:
                found, self.buffer = self.buffer, b""
                return found


class Serving:
    def __init__(self, server, port):
        self.server = server
        self.port = port

    @asynccontextmanager
    async def client(self):
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            yield RawClient(stream)

    async def ask(self, data):
        async with self.client() as client:
            await client.send(data)
            return await client.response()

    async def refusal(self, data):
        async with self.client() as client:
            await client.send(data)
            return await client.error()


@asynccontextmanager
async def serve(app, *, render_error=None, **options):
    extra = {} if render_error is None else {"render_error": render_error}
    server = EdgeServer(app, ServerOptions(port=0, drain_timeout=0.2, **options), **extra)
    listening = anyio.Event()
    where = []

    def on_listening(host, port):
        where.append(port)
        listening.set()

    async def run():
        await server.serve(on_listening=on_listening)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(5):
            await listening.wait()
        try:
            yield Serving(server, where[0])
        finally:
            server.begin_drain()


async def echo(scope, receive, send):
    """Answers with what it got."""
    if scope["type"] == "lifespan":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    seen = {"method": scope["method"], "path": scope["path"], "body": body.decode("latin-1"), "headers": headers}
    seen |= {"query": scope["query_string"].decode()}
    answer = json.dumps(seen).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def serving():
    return serve


@pytest.fixture
def echo_app():
    return echo
