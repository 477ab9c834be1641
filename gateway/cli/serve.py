"""`switchgear serve`: the server, from settings to exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click

from gateway.app import Application
from gateway.cli.options import config_option
from gateway.config import ConfigError, Settings, load, read_environment
from gateway.server import EdgeServer, ServerOptions, ServerStartError
from gateway.telemetry.logs import configure_logs


@click.command()
@config_option
@click.option("--host", help="Listen on this address instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0 takes a free one.")
def command(config: Path, host: str | None, port: int | None) -> None:
    """Serve the configured models over HTTP until SIGTERM or SIGINT; SIGHUP reloads the configuration."""
    overrides = {("server", key): value for key, value in (("host", host), ("port", port)) if value is not None}

    def load_settings() -> Settings:
        return load(config, read_environment(), overrides=overrides)

    async def run() -> None:
        settings = load_settings()
        configure_logs(format=settings.logging.format, level=settings.logging.level)
        application = Application(settings, load_settings, config_path=config)
        server = EdgeServer(application.asgi, _options(settings), render_error=application.render_error)
        server.on_drain_deadline(application.end_streams)
        await server.serve(on_listening=lambda host, port: _announce(settings, host, port))

    try:
        anyio.run(run, backend="asyncio", backend_options={"use_uvloop": True})
    except ConfigError as error:
        click.echo("The configuration cannot be used:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        sys.exit(1)
    except ServerStartError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


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
        idle_timeout=limits.idle_timeout,
        connections=limits.connections,
        drain_timeout=server.drain_timeout,
    )


def _announce(settings: Settings, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    access = "keys are asked for" if settings.server.keys else "no keys configured: open to everybody on this machine"
    click.echo(f"Switchgear listens on {url} ({access})")
    for name, model in settings.models.items():
        served = ", ".join(f"{target.provider}/{target.model}" for target in model.targets)
        click.echo(f"  model {name:<20} {served}")
    first = next(iter(settings.models))
    key = " -H 'authorization: Bearer YOUR_KEY'" if settings.server.keys else ""
    body = f'{{"model": "{first}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'
    click.echo("Try:")
    click.echo(f"  curl {url}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body}'")
    sys.stdout.flush()
