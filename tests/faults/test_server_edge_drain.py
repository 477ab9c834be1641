"""SIGTERM and SIGINT to a real process: it drains, it ends streams properly, it exits 0; a second signal ends it at once."""

import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import anyio
import pytest

PROGRAM = """
import sys
import anyio
import structlog
from gateway.server import EdgeServer, ServerOptions, ServerStartError

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
cut = anyio.Event()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["extensions"]["switchgear.server"].draining:
        headers = [(b"content-length", b"0"), (b"retry-after", b"5")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(20 if scope["path"] == "/events" else 10**9):
        await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
        with anyio.move_on_after(0.03):
            await cut.wait()
        if cut.is_set():
            await send({"type": "http.response.body", "body": b"data: cut\\n\\n", "more_body": True})
            break
    await send({"type": "http.response.body", "body": b""})


async def main():
    server = EdgeServer(app, ServerOptions(port=int(sys.argv[1]), drain_timeout=float(sys.argv[2])))
    server.on_drain_deadline(cut.set)
    await server.serve(on_listening=lambda host, port: print(port, flush=True))
    return server.forced


try:
    forced = anyio.run(main, backend_options={"use_uvloop": True})
except ServerStartError as error:
    sys.exit(f"error: {error}")
sys.exit(3 if forced else 0)
"""


class Running:
    def __init__(self, process, port):
        self.process = process
        self.port = port

    async def stream(self, path):
        stream = await anyio.connect_tcp("127.0.0.1", self.port)
        await stream.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        got = b""
        while b"data: 1\n" not in got:
            got += await stream.receive()
        return stream, got

    async def exit_code(self):
        with anyio.fail_after(20):
            return await self.process.wait()


@asynccontextmanager
async def program(drain_timeout, port=0):
    command = [sys.executable, "-c", PROGRAM, str(port), str(drain_timeout)]
    async with await anyio.open_process(command, stderr=subprocess.PIPE) as process:
        try:
            with anyio.fail_after(30):
                line = b""
                while not line.endswith(b"\n"):
                    line += await process.stdout.receive()
                yield Running(process, int(line))
        finally:
            if process.returncode is None:
                process.kill()


async def rest(stream):
    got = b""
    try:
        while True:
            got += await stream.receive()
    except anyio.EndOfStream:
        return got


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_streams_finish_and_refuses_new_requests(sent):
    async with program(drain_timeout=5) as running:
        stream, begun = await running.stream(b"/events")
        async with stream, await anyio.connect_tcp("127.0.0.1", running.port) as new:
            running.process.send_signal(sent)
            status = b"HTTP/1.1 200 "
            while status == b"HTTP/1.1 200 ":  # the signal takes a moment: until then new requests are served
                async with await anyio.connect_tcp("127.0.0.1", running.port) as probe:
                    await probe.send(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
                    status = (await probe.receive())[:13]
            await new.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await rest(new)
            events = begun + await rest(stream)

        assert status == b"HTTP/1.1 503 "
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in answer
        assert events.count(b"data: ") == 20
        assert events.endswith(b"0\r\n\r\n")
        assert await running.exit_code() == 0
        assert await rest(running.process.stdout) == b"lifespan ended\n"


async def test_streams_over_the_drain_deadline_get_their_terminal_event():
    async with program(drain_timeout=0.2) as running:
        stream, begun = await running.stream(b"/forever")
        async with stream:
            running.process.send_signal(signal.SIGTERM)
            events = begun + await rest(stream)

        assert events.endswith(b"data: cut\n\n\r\n0\r\n\r\n")
        assert await running.exit_code() == 0


async def test_an_idle_server_ends_at_once_although_a_connection_is_open():
    async with program(drain_timeout=60) as running, await anyio.connect_tcp("127.0.0.1", running.port) as idle:
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)

        assert await running.exit_code() == 0
        assert time.monotonic() - began < 10
        assert await rest(idle) == b""


async def test_a_second_signal_ends_at_once():
    async with program(drain_timeout=60) as running:
        stream, _ = await running.stream(b"/forever")
        async with stream:
            running.process.send_signal(signal.SIGTERM)
            log = b""
            while b"server.drain.begun" not in log:
                log += await running.process.stderr.receive()
            began = time.monotonic()
            running.process.send_signal(signal.SIGTERM)

            assert await running.exit_code() == 3
            assert time.monotonic() - began < 10
            assert b"Traceback" not in log + await rest(running.process.stderr)


async def test_a_taken_port_is_one_line_and_exit_code_1():
    async with program(drain_timeout=1) as running:
        command = [sys.executable, "-c", PROGRAM, str(running.port), "1"]
        second = await anyio.run_process(command, check=False)

        assert second.returncode == 1
        expected = f"error: cannot listen on 127.0.0.1:{running.port}: the port is already in use"
        assert second.stderr.decode().startswith(expected)
        assert second.stderr.count(b"\n") == 1
