"""`switchgear serve`: the server, from settings to exit code."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import click

from gateway.api.responses import socket_paths
from gateway.app import Application
from gateway.batching import large_bodies
from gateway.cli.announcement import announcement
from gateway.cli.options import config_option
from gateway.config import ConfigError, Settings, read_environment
from gateway.governance import Governance, GovernanceRefused, open_governance
from gateway.loading import Loader
from gateway.server import EdgeServer, ServerOptions, ServerStartError
from gateway.telemetry.logs import configure_logs

FORCED_EXIT = 1
"""After a second signal: answers were cut off."""
GARBAGE_THRESHOLD = 10_000
"""Objects made and not freed, before the garbage collector looks for cycles among them."""


@click.command()
@config_option
@click.option("--host", help="Listen on this address instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0 takes a free one.")
def command(config: Path, host: str | None, port: int | None) -> None:
    """Serve the configured models over HTTP.

    SIGTERM or Ctrl-C lets answers in flight finish and exits 0, a second one ends them and exits 1. SIGHUP reloads the
    configuration. Where it listens is printed to standard output, the log to standard error.
    """
    overrides = {("server", key): value for key, value in (("host", host), ("port", port)) if value is not None}

    base = config.absolute().parent
    load_settings = Loader(config, read_environment, overrides=overrides)

    async def run() -> int:
        settings = await load_settings()
        configure_logs(format=settings.logging.format, level=settings.logging.level)
        async with open_governance(settings, base=base, environ=read_environment()) as governance:
            return await serve(settings, governance)

    async def serve(settings: Settings, governance: Governance) -> int:
        application = Application(settings, load_settings, config_path=config, governance=governance)
        await application.live.verify()
        server = EdgeServer(application.asgi, _options(settings), render_error=application.render_error)
        server.on_drain_deadline(application.end_streams)
        server.on_forced_end(application.end_at_once)
        application.watch_server(lambda: server.state.refused, lambda: len(server.state.sockets))

        def on_listening(host: str, port: int) -> None:
            _say(announcement(settings, host, port, directory=config.parent, **_access(application)))
            _spare_the_garbage_collector()

        await server.serve(on_listening=on_listening)
        return FORCED_EXIT if server.forced else 0

    try:
        status = anyio.run(run, backend="asyncio", backend_options={"use_uvloop": True})
    except ConfigError as error:
        click.echo("The configuration cannot be used:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        sys.exit(1)
    except (GovernanceRefused, ServerStartError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    sys.exit(status)


def _access(application: Application) -> dict[str, Any]:
    kept = application.governance.kept
    first_key = None if kept is None else kept.first_key
    return {"first_key": first_key, "is_open": application.live.current().identity.open}


def _spare_the_garbage_collector() -> None:
    """Take what lives as long as the server out of the garbage collector's sight, and call it less often.

    Looking through all of it took 20 ms, in which no stream went on, about once in a thousand calls.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def _options(settings: Settings) -> ServerOptions:
    server, limits = settings.server, settings.server.limits
    return ServerOptions(
        host=server.host,
        port=server.port,
        header_bytes=limits.header_bytes,
        header_count=limits.header_count,
        header_timeout=limits.header_timeout,
        body_timeout=limits.body_timeout,
        body_bytes=limits.body_bytes,
        large_bodies=large_bodies(settings),
        sockets=socket_paths(server),
        most_sockets=server.websockets.most,
        ping_interval=server.websockets.ping_interval,
        idle_timeout=limits.idle_timeout,
        connections=limits.connections,
        drain_timeout=server.drain_timeout,
    )


def _say(text: str) -> None:
    """Print what nobody may be there to read: a server goes on when the pipe behind its standard output is closed."""
    try:
        click.echo(text)
    except OSError:
        # Else the interpreter tries again when it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
