"""The server: listens, runs the application's lifespan, handles signals, drains. Connections are in `connection.py`.

uvicorn supplies the protocol, its configuration and its shared state, but not its `Server`, which exits the process when
a port is taken, raises the signal again at the end, wakes ten times a second, and cuts streams when it drains. There is
no Date header: it costs a response more than it tells a caller, and a front proxy adds it.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.asgi import ASGIApp
from gateway.server.connection import HardenedProtocol
from gateway.server.deadlines import sweep
from gateway.server.lifespan import Lifespan
from gateway.server.listening import bind, close, shared_out, start_error
from gateway.server.options import ServerOptions, ServerStartError
from gateway.server.refusal import RenderError, openai_error
from gateway.server.state import EdgeState
from gateway.server.web_socket import WebSocket

log = structlog.get_logger()

END_STREAMS_SECONDS = 2.0  # what streams get for their terminal event after the drain deadline
FORCED_SECONDS = 0.5  # what they get after a second signal
CLOSE_SECONDS = 1.0  # what the last answers get to leave


class EdgeServer:
    """Serves one ASGI application on one event loop until SIGTERM, SIGINT or `begin_drain`.

    Requests get `scope["extensions"]["switchgear.server"]` (its `draining` says that new work is to be answered 503 with
    Retry-After, in the caller's dialect, by the application) and `["switchgear.departure"]`, a Departure.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions, *, render_error: RenderError = openai_error) -> None:
        self.state = EdgeState(options, render_error)
        self.forced = False
        self._listening = False
        self._app = app
        self._options = options
        self._shared = ServerState()
        self._drain_deadline: list[Callable[[], None]] = []
        self._forced_end: list[Callable[[], None]] = []
        self._drain_begun = anyio.Event()
        self._config = Config(
            app,
            http=HardenedProtocol,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )

    @property
    def draining(self) -> bool:
        """Whether new requests are to be refused."""
        return self.state.draining

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self._shared.connections)

    @property
    def in_flight(self) -> int:
        """Requests that the application is handling."""
        return len(self._shared.tasks)

    def on_drain_deadline(self, callback: Callable[[], None]) -> None:
        """Call `callback`, once, when streams have outlived the drain: it should end them with a terminal event."""
        self._drain_deadline.append(callback)

    def on_forced_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` after a second signal, before everything is cut: what it ends at once still gets its last word."""
        self._forced_end.append(callback)

    def begin_drain(self) -> None:
        """Refuse new requests, let those in flight finish, then end `serve`. Call it in the server's event loop."""
        if self.state.draining:
            return
        self.state.draining = True
        self._drain_begun.set()
        for web_socket in tuple(self.state.sockets):
            web_socket.begin_drain()
        log.info("server.drain.begun", in_flight=self.in_flight, seconds=self._options.drain_timeout)

    async def serve(self, *, on_listening: Callable[[str, int], None]) -> None:
        """Serve until drained; `on_listening` gets the host as configured and the real port.

        Raises ServerStartError, with a line for the operator, when it cannot listen or the application does not start.
        After a second signal it returns within about a second, with `forced` set; a signal while the application starts
        cancels the start.
        """
        _warn_of_slow_loop()
        failure: ServerStartError | None = None
        sockets = await bind(self._options.host, self._options.port)
        try:
            async with anyio.create_task_group() as tasks:
                lifespan = Lifespan(self._app)
                try:
                    await tasks.start(self._watch_signals, tasks.cancel_scope)
                    await tasks.start(lifespan.run)
                    await self._run(sockets, lifespan, tasks, on_listening)
                except ServerStartError as exc:
                    failure = exc
                tasks.cancel_scope.cancel()
        finally:
            close(sockets)
            self._cut_everything()
        if failure is not None:
            raise failure
        if self._listening:
            log.info("server.stopped", forced=self.forced)

    async def _run(
        self,
        sockets: list[socket.socket],
        lifespan: Lifespan,
        tasks: TaskGroup,
        on_listening: Callable[[str, int], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        port = sockets[0].getsockname()[1]
        self._config.load()

        def connection() -> HardenedProtocol:
            return HardenedProtocol(self._config, self._shared, lifespan.state, loop, self.state)

        listeners: list[asyncio.Server] = []
        try:
            try:
                for sock in shared_out(sockets):
                    listeners.append(await loop.create_server(connection, sock=sock, backlog=self._options.backlog))  # noqa: PERF401 - those already made are closed when one fails
            except OSError as exc:
                raise start_error(self._options.host, port, exc) from exc
            tasks.start_soon(sweep, self._shared.connections, self._options, loop.time)
            self._listening = True
            log.info("server.started", host=self._options.host, port=port)
            on_listening(self._options.host, port)
            await self._drain_begun.wait()
            await self._drain()
        finally:
            for listener in listeners:
                listener.close()
        await self._close_connections()
        await lifespan.stop()

    async def _watch_signals(self, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        if threading.current_thread() is not threading.main_thread():
            task_status.started()
            return  # only the main thread may listen to signals; whoever embeds us elsewhere calls begin_drain
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.state.draining:
                    self.forced = True
                    log.warning("server.drain.forced", in_flight=self.in_flight)
                    await self._end_at_once()
                    scope.cancel()
                    return
                if not self._listening:
                    log.info("server.start.cancelled")
                    scope.cancel()
                    return
                self.begin_drain()

    async def _drain(self) -> None:
        # Only those in flight now: what arrives while we wait is answered 503 and must not prolong the drain.
        pending = set(self._shared.tasks)
        pending = await _wait(pending, self._options.drain_timeout)
        if not pending:
            return
        log.warning("server.drain.deadline_passed", in_flight=len(pending))
        for callback in self._drain_deadline:
            callback()
        await _wait(pending, END_STREAMS_SECONDS)

    async def _end_at_once(self) -> None:
        """Cut everything while the application still runs, so that it can note what was cut."""
        for callback in self._forced_end:
            callback()
        if self._forced_end:
            await _wait(set(self._shared.tasks), FORCED_SECONDS)
        for connection in self._open():
            connection.shutdown()
        for task in list(self._shared.tasks):
            task.cancel()
        await _wait(set(self._shared.tasks), 0.1)

    async def _close_connections(self) -> None:
        await _wait({task for task in self._shared.tasks if not task.done()}, 0.1)
        for connection in self._open():
            connection.shutdown()
        if self._shared.connections:
            self.state.emptied = anyio.Event()
            with anyio.move_on_after(CLOSE_SECONDS):
                await self.state.emptied.wait()

    def _open(self) -> list[HardenedProtocol | WebSocket]:
        ours = (HardenedProtocol, WebSocket)
        return [connection for connection in self._shared.connections if isinstance(connection, ours)]

    def _cut_everything(self) -> None:
        for connection in self._open():
            connection.abort()
        for task in list(self._shared.tasks):
            task.cancel()


async def _wait(tasks: set[asyncio.Task[None]], seconds: float) -> set[asyncio.Task[None]]:
    """Wait for all of them; those that are not done in time."""
    if not tasks:
        return set()
    _, pending = await asyncio.wait(tasks, timeout=seconds)
    return pending


def _warn_of_slow_loop() -> None:
    if not type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        log.warning("server.uvloop.missing", effect="every request costs about twice the CPU; install uvloop")
