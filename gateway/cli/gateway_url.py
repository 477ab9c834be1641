"""Finds the gateway that a command talks to: a given one, one that runs already, or one of its own in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from gateway.app import Application
from gateway.cli.address import local_url_of
from gateway.config import Settings, peek, read_environment
from gateway.core.errors import UpstreamError
from gateway.loading import Loader
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from gateway.server import EdgeServer, ServerOptions

_PROBE = HttpTimeouts(connect=1.0, first_byte=2.0, idle=2.0, total=3.0)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway: its URL, the key to send (None where none is asked for).

    `own` says that it is this process's; `tried` is the URL at which none ran, empty where none is fixed. `expected` names
    the models of the configuration whose address led here: what runs there may serve another; None where no file did.
    """

    url: str
    key: str | None
    own: bool = False
    tried: str = ""
    expected: tuple[str, ...] | None = None


async def answers(url: str) -> bool:
    """Whether a gateway lives at `url`."""
    client = NativeUpstream(url, connections=1)
    try:
        response = await client.request(HttpRequest(method=b"GET", path=b"/healthz"), _PROBE)
        await response.aclose()
    except UpstreamError:
        return False
    finally:
        await client.aclose()
    return response.status == 200


async def find_running(settings: Settings) -> str | None:
    """Give the URL of the gateway that runs where these settings say, None when none does."""
    url = local_url_of(settings.server.host, settings.server.port)
    return url if settings.server.port and await answers(url) else None


@asynccontextmanager
async def open_gateway(config: Path, url: str | None, key: str | None) -> AsyncIterator[Found]:
    """Give the gateway at `url`, else a running one where `config` says, else one started here for as long as needed.

    Raises ConfigError for a configuration that cannot be used.
    """
    if url is not None:
        yield Found(url=url, key=key)
        return
    settings = peek(config, read_environment())
    keys = settings.server.keys
    key = key or (keys[0].reveal() if keys else None)
    running = await find_running(settings)
    if running is not None:
        yield Found(url=running, key=key, expected=tuple(settings.models))
        return
    async with _own_gateway(config) as own:
        tried = local_url_of(settings.server.host, settings.server.port) if settings.server.port else ""
        yield Found(url=own, key=key, own=True, tried=tried)


@asynccontextmanager
async def _own_gateway(config: Path) -> AsyncIterator[str]:
    """Serve on a free loopback port in this process."""
    load = Loader(config, read_environment)
    settings = await load()
    quiet = msgspec.structs.replace(settings, logging=msgspec.structs.replace(settings.logging, calls=False))
    application = Application(quiet, load, config_path=config)
    server = EdgeServer(application.asgi, ServerOptions(host="127.0.0.1", port=0, drain_timeout=1.0))
    listening = anyio.Event()
    address: list[str] = []

    def on_listening(host: str, port: int) -> None:
        address.append(f"http://{host}:{port}")
        listening.set()

    async def serve() -> None:
        await server.serve(on_listening=on_listening)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await listening.wait()
        try:
            yield address[0]
        finally:
            server.begin_drain()
