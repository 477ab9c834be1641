"""Which connector reaches a server, by its settings. What speaks MCP is loaded when the first connection is opened."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import anyio.to_thread

from gateway.config.secret import Secret, reveal
from gateway.config.tool_settings import (
    AnyServerSettings,
    HttpServerSettings,
    OpenApiServerSettings,
    StdioServerSettings,
)
from gateway.stores.tool_grants import Holder
from gateway.tools.connection import CannotConnect, Connection, Connector, ServerKind
from gateway.tools.oauth.bearer import Bearer, Bearers
from gateway.tools.openapi.connecting import OpenApiConnector
from gateway.tools.personal import Personal
from gateway.tools.stdio_child import Program, environment_of

USER_IDLE = 300.0
"""Seconds after which a person's connection that nobody uses is closed."""

_SHORTEST_SECRET = 4


class StdioConnector:
    """Starts a program, and speaks MCP with it."""

    kind: ServerKind = "stdio"

    def __init__(self, server: str, settings: StdioServerSettings, environment: Mapping[str, str]) -> None:
        self._server = server
        self._settings = settings
        added = {name: reveal(value) for name, value in settings.env.items()}
        secrets = [value.reveal() for value in settings.env.values() if isinstance(value, Secret)]
        self._program = Program(
            server=server,
            command=(settings.command, *settings.args),
            environment=environment_of(environment, added),
            masked=tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET),
            cwd=settings.cwd,
        )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection]:
        """Open a connection. Raises CannotConnect."""
        await _load()
        from gateway.tools.mcp_connection import open_stdio  # noqa: PLC0415 the MCP library takes a second to load

        async with open_stdio(self._server, self._settings, self._program) as connection:
            yield connection


class HttpConnector:
    """Speaks MCP over HTTP; `bearer` gives the tokens where the server asks for any."""

    kind: ServerKind = "http"

    def __init__(self, server: str, settings: HttpServerSettings, bearer: Bearer | None = None) -> None:
        self._server = server
        self.bearer = bearer
        self._settings = settings
        self._headers = {name: reveal(value) for name, value in settings.headers.items()}

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection]:
        """Open a connection. Raises CannotConnect."""
        await _load()
        from gateway.tools.mcp_connection import open_http  # noqa: PLC0415 the MCP library takes a second to load

        async with open_http(self._server, self._settings, self._headers, self.bearer) as connection:
            yield connection


def connector_of(
    server: str, settings: AnyServerSettings, environment: Mapping[str, str], bearers: Bearers | None = None
) -> Connector:
    """Give what opens connections to a server. `environment` is this process's, of which a program is given the harmless part.

    `bearers` let this gateway be authorized; without them it asks without any token.
    """
    if isinstance(settings, StdioServerSettings):
        return StdioConnector(server, settings, environment)
    if isinstance(settings, OpenApiServerSettings):
        return OpenApiConnector(server, settings)
    return HttpConnector(server, settings, None if bearers is None else bearers.of(settings, Holder(server=server)))


def personal_of(server: str, settings: AnyServerSettings, bearers: Bearers | None = None) -> Personal | None:
    """Give people's own connections to a server, None for one that is used with the gateway's account."""
    if not isinstance(settings, HttpServerSettings) or settings.credentials != "user":
        return None
    theirs = settings

    def of(holder: Holder) -> HttpConnector:
        return HttpConnector(server, theirs, None if bearers is None else bearers.of(theirs, holder))

    return Personal(server, of, most=settings.user_connections, idle=USER_IDLE, start_timeout=settings.start_timeout)


async def _load() -> None:
    if importlib.util.find_spec("mcp") is None:
        msg = "the package mcp is not installed: pip install 'switchgear[mcp]'"
        raise CannotConnect(msg)
    # In a thread: it takes about a second, and calls are being answered meanwhile.
    await anyio.to_thread.run_sync(importlib.import_module, "gateway.tools.mcp_connection")
