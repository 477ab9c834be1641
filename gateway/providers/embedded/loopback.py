"""Loopback service: what every child program is around its model: an HTTP server that only its parent can use.

It binds 127.0.0.1 on a free port, writes one line `ready <port>` to stdout, and asks every request for the bearer token that
the parent wrote as the first line of stdin. Stdin then stays open: when it ends, the parent is dead and so is the child (a pipe
closes even when the parent was killed). Nothing else ever reaches stdout; native code that prints is sent to stderr.
It knows no model and no dialect beyond OpenAI's error shape.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import anyio
import msgspec
import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.core.errors import (
    BodyTooLarge,
    ClientLeft,
    InternalError,
    InvalidOutput,
    MethodNotAllowed,
    NotFound,
    SwitchgearError,
    Unauthenticated,
)
from gateway.core.strict_json import decode_object

MAX_BODY = 32 * 1024 * 1024
_GRACE_SECONDS = 3

log = structlog.get_logger()


class Reply:
    """The answer to one request: a JSON document, or a stream of server-sent events. Nothing is sent before the first call."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def json(self, document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send `document` as the whole answer."""
        body = msgspec.json.encode(document)
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        length = (b"content-length", str(len(body)).encode())
        start = [(b"content-type", b"application/json"), length, *extra]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": start})
        await self._send({"type": "http.response.body", "body": body})

    async def event(self, document: Any) -> None:
        """Send one server-sent event."""
        await self._write(b"data: " + msgspec.json.encode(document) + b"\n\n")

    async def comment(self, text: str) -> None:
        """Send a comment line: it tells a waiting reader that work goes on."""
        await self._write(b": " + text.encode() + b"\n\n")

    async def done(self) -> None:
        """End the stream of events as OpenAI does."""
        await self._write(b"data: [DONE]\n\n")
        await self._send({"type": "http.response.body", "body": b""})

    async def error(self, error: SwitchgearError) -> None:
        """Send an error: the whole answer, or the stream's last event when it has begun."""
        body: dict[str, object] = {
            "message": error.message,
            "type": _kind(error),
            "param": error.param,
            "code": error.code,
        }
        if isinstance(error, InvalidOutput):
            body |= {"violations": list(error.violations), "raw": error.raw}
        if self.started:
            await self.event({"error": body})
            await self._send({"type": "http.response.body", "body": b""})
            return
        headers = {} if error.retry_after is None else {"retry-after": str(max(1, round(error.retry_after)))}
        await self.json({"error": body}, status=error.status, headers=headers)

    async def _write(self, body: bytes) -> None:
        if not self.started:
            self.started = True
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _kind(error: SwitchgearError) -> str:
    return "server_error" if error.status >= 500 else "invalid_request_error"


Endpoint = Callable[[dict[str, Any], Reply], Awaitable[None]]


class LoopbackApp:
    """An ASGI application. `routes` maps "METHOD /path" to an endpoint, which gets the decoded body (empty for GET).

    An endpoint is cancelled when its client leaves. What it raises is rendered as OpenAI's error object.
    `beside` runs as long as the server does.
    """

    def __init__(
        self,
        routes: Mapping[str, Endpoint],
        *,
        token: str,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._routes = dict(routes)
        self._beside = beside
        self._credential = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        reply = Reply(send)
        try:
            endpoint = self._admit(scope)
            body = await _body(receive) if scope["method"] == "POST" else b"{}"
            await _until_client_leaves(endpoint, decode_object(body), reply, receive)
        except SwitchgearError as error:
            if not isinstance(error, ClientLeft):
                await reply.error(error)
        # The edge of the process: logged with its type, answered without its text.
        except Exception as error:
            log.exception("embedded.request_failed", error=type(error).__name__)
            await reply.error(InternalError("The embedded model's process met an error of its own."))

    async def _live(self, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            if self._beside is not None:
                tasks.start_soon(self._beside)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            tasks.cancel_scope.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    def _admit(self, scope: Scope) -> Endpoint:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not secrets.compare_digest(given, self._credential):
            raise Unauthenticated("This port belongs to another process.")
        endpoint = self._routes.get(f"{scope['method']} {scope['path']}")
        if endpoint is not None:
            return endpoint
        allowed = tuple(route.split(" ")[0] for route in self._routes if route.split(" ")[1] == scope["path"])
        if allowed:
            raise MethodNotAllowed(f"{scope['path']} does not take {scope['method']}.", allowed=allowed)
        raise NotFound(f"There is no {scope['path']} here.")


async def _body(receive: Receive) -> bytes:
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft("The client left before its body was read.")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY} bytes.")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _until_client_leaves(endpoint: Endpoint, body: dict[str, Any], reply: Reply, receive: Receive) -> None:
    failure: list[SwitchgearError] = []

    async def watch(scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            await endpoint(body, reply)
        except SwitchgearError as error:
            # Carried out by hand: the task group would wrap it.
            failure.append(error)
        tasks.cancel_scope.cancel()
    if failure:
        raise failure[0]


def take_stdout() -> Callable[[str], None]:
    """Keep stdout for the one line to the parent, and send what anything else prints there to stderr."""
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    # Plain tracebacks: structlog's default shows local variables, and those hold prompts.
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

    def announce(line: str) -> None:
        os.write(private, f"{line}\n".encode())

    return announce


def take_stdin() -> str:
    """Read the token, the first line of stdin, and tie this process to its parent: end when stdin does.

    Raises SystemExit when there is no token.
    """
    token = sys.stdin.buffer.readline().decode().strip()
    if not token:
        sys.exit("no token on stdin: this program is started by its supervisor")
    threading.Thread(target=_die_with_parent, name="parent-watch", daemon=True).start()
    return token


def _die_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    # Not sys.exit: nothing is worth waiting for, native threads least of all.
    os._exit(0)


def serve(app: LoopbackApp, announce: Callable[[str], None]) -> None:
    """Bind a free loopback port, announce it, serve until SIGTERM, and leave without waiting for native threads."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    announce(f"ready {listener.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listener])
    os._exit(0)
