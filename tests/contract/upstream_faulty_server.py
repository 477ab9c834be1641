"""A server on raw sockets that does what a script tells it, right or wrong, and the two clients that are held against it."""

import asyncio
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from gateway.providers.http.httpx2_client import Httpx2Upstream
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts, Upstream

both_clients = pytest.mark.parametrize("client", ["native", "httpx2"])
ASK = HttpRequest(path=b"/chat", headers=((b"content-type", b"application/json"),), body=b'{"ask": 1}')
PATIENT = HttpTimeouts(connect=5, first_byte=5, idle=5, total=20)
JSON_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Peer:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one request, head and body; raise IncompleteReadError when the client closes instead."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(lengths[0].split(b":")[1]) if lengths else 0
        return head + await self._reader.readexactly(size)

    async def send(self, data: bytes) -> None:
        """Send, and wait while the client does not take it."""
        if (
            self._writer.is_closing()
        ):  # uvloop raises RuntimeError for a write after a reset, which would hide the reason.
            raise ConnectionResetError("the client has gone")
        self._writer.write(data)
        await self._writer.drain()

    async def left(self) -> None:
        """Return when the client has closed the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            return

    def reset(self) -> None:
        """Close with RST."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Where it listens, and how many connections it has seen and has open."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://localhost:{port}/v1" if scheme == "https" else f"http://127.0.0.1:{port}/v1"
        self.seen = 0
        self.open = 0


@asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run `script` for every connection; what it leaves open is closed when it returns."""
    writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Peer(reader, writer))
        except (EOFError, OSError):
            pass  # The client left; most scripts end so.
        finally:
            server.open -= 1
            writers.discard(writer)
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.seen += 1
        server.open += 1
        writers.add(writer)
        tasks.start_soon(handle, reader, writer)

    async with anyio.create_task_group() as tasks:
        listener = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1024, ssl=tls)
        server = Server(listener.sockets[0].getsockname()[1], "https" if tls else "http")
        try:
            yield server
        finally:
            listener.close()
            tasks.cancel_scope.cancel()
            for writer in writers:
                writer.transport.abort()


def always(answer: bytes) -> Script:
    """Answer every request on a connection with the same bytes."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return script


def once(answer: bytes) -> Script:
    """Answer one request, then close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    return script


@asynccontextmanager
async def opened(
    client: str, url: str, *, connections: int = 10, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Upstream]:
    upstream: Upstream
    if client == "native":
        upstream = NativeUpstream(url, connections=connections, ssl_context=ssl_context)
    else:
        upstream = Httpx2Upstream(url, connections=connections, proxy=None, http2=False, ssl_context=ssl_context)
    try:
        yield upstream
    finally:
        await upstream.aclose()


async def fetch(upstream: Upstream, request: HttpRequest = ASK, timeouts: HttpTimeouts = PATIENT) -> bytes:
    """Ask, read the whole body, close."""
    response = await upstream.request(request, timeouts)
    try:
        return await response.read_all(64 << 20)
    finally:
        await response.aclose()


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait for what sets no event: a socket that closes, a counter."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.001)


def make_certificates(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make an authority and a certificate for localhost; return the server's context and the authority's file."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name, extra in (
        ("ca", ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]),
        ("server", ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-addext", "basicConstraints=critical,CA:FALSE"]),
    ):  # fmt: skip
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(
            [*command, "-days", "2", "-subj", f"/CN={name}", *files, *extra],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context, folder / "ca.pem"
