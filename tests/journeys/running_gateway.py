"""A whole gateway on a free port: in the test's own event loop, or as a process where signals and exit codes matter."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

from gateway.api.responses import socket_paths
from gateway.app import Application
from gateway.batching import large_bodies
from gateway.config import Settings
from gateway.core.record import Record
from gateway.governance import open_governance
from gateway.loading import Loader
from gateway.server import EdgeServer, ServerOptions

ROOT = Path(__file__).resolve().parents[2]


class Gateway:
    """A gateway in the test's event loop."""

    def __init__(self, application: Application, server: EdgeServer, port: int) -> None:
        self.application = application
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._records: list[Record] = []
        application.recorder._sinks = (*application.recorder._sinks, self._records.extend)

    @property
    def records(self) -> list[Record]:
        """The records made since `forget`."""
        self.application.recorder.flush()
        return self._records

    def forget(self) -> None:
        """Begin a new list of records."""
        self.application.recorder.flush()
        self._records.clear()

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress: no call, no generation held."""
        return not self.application.edge.in_progress and self.application.live.current().idle


@asynccontextmanager
async def running(
    folder: Path, config: str, *, environ: Mapping[str, str] | None = None, drain_timeout: float = 0.5
) -> AsyncIterator[Gateway]:
    """Run a gateway with the configuration `config`, which is written to `folder`/switchgear.yaml."""
    path = folder / "switchgear.yaml"
    path.write_text(config)
    environment = dict(environ or {})
    load = Loader(path, lambda: environment)
    settings = await load()
    async with open_governance(settings, base=folder, environ=environment) as governance:
        application = Application(settings, load, config_path=path, governance=governance)
        async with served(application, settings, drain_timeout=drain_timeout) as gateway:
            yield gateway


@asynccontextmanager
async def served(application: Application, settings: Settings, *, drain_timeout: float) -> AsyncIterator[Gateway]:
    """Serve an application on a free port."""
    limits = settings.server.limits
    options = ServerOptions(
        port=0,
        drain_timeout=drain_timeout,
        header_bytes=limits.header_bytes,
        header_count=limits.header_count,
        header_timeout=limits.header_timeout,
        body_timeout=limits.body_timeout,
        body_bytes=limits.body_bytes,
        large_bodies=large_bodies(settings),
        sockets=socket_paths(settings.server),
        most_sockets=settings.server.websockets.most,
        ping_interval=settings.server.websockets.ping_interval,
    )
    server = EdgeServer(application.asgi, options, render_error=application.render_error)
    server.on_drain_deadline(application.end_streams)
    application.watch_server(lambda: server.state.refused, lambda: len(server.state.sockets))
    listening = anyio.Event()
    where: list[int] = []

    def on_listening(host: str, port: int) -> None:
        del host
        where.append(port)
        listening.set()

    async def serve() -> None:
        await server.serve(on_listening=on_listening)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with anyio.fail_after(10):
            await listening.wait()
        try:
            yield Gateway(application, server, where[0])
        finally:
            server.begin_drain()


class ServedProcess:
    """`switchgear serve` as a process; its log lines go to `log`."""

    def __init__(self, process: Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.port = int(url.rsplit(":", 1)[1])
        self.log = log

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def exit_code(self, within: float) -> int:
        """Wait for the end."""
        with anyio.fail_after(within):
            return await self.process.wait()


@asynccontextmanager
async def served_process(
    folder: Path, config: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[ServedProcess]:
    """Start the command and wait until it listens; it is killed at the end if it still runs."""
    path = folder / "switchgear.yaml"
    path.write_text(config)
    log = folder / "serve.log"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **(environ or {})}
    with log.open("wb") as errors:
        process = await anyio.open_process(
            [sys.executable, "-m", "gateway", "serve", "--config", str(path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=env,
        )
    try:
        printed = b""
        with anyio.fail_after(30):
            while b"\n" not in printed:
                printed += await process.stdout.receive()
        url = printed.decode().split(" on ", 1)[1].split()[0]
        yield ServedProcess(process, url, log)
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.aclose()
