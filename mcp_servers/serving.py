"""Runs a program of this folder: by stdio, or by HTTP on one address, with its configuration read from a YAML file."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import msgspec
import structlog
import yaml
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

MOST_BYTES: Final = 1024 * 1024
T = TypeVar("T")


class ConfigurationError(Exception):
    """The configuration cannot be used; the text says what and where."""


def load(path: Path, kind: type[T]) -> T:
    """Read a configuration. Raises ConfigurationError."""
    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            msg = f"{path}: larger than {MOST_BYTES} bytes"
            raise ConfigurationError(msg)
        return msgspec.convert(yaml.safe_load(data), kind)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise ConfigurationError(msg) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: this is not YAML: {error}"
        raise ConfigurationError(msg) from None
    except msgspec.ValidationError as error:
        msg = f"{path}: {error}"
        raise ConfigurationError(msg) from None


def main(name: str, about: str, build: Callable[[Path], Server[Any]]) -> None:
    """Run a program: `build` makes its server from the path of its configuration, and raises ConfigurationError."""
    parser = parser_of(name, about)
    arguments = parser.parse_args()
    serve(parser, lambda: build(arguments.config), port=arguments.http)


def parser_of(name: str, about: str) -> argparse.ArgumentParser:
    """Give the command line that every program has."""
    parser = argparse.ArgumentParser(prog=f"python -m mcp_servers.{name}", description=about)
    parser.add_argument("--config", type=Path, required=True, help="its configuration, a YAML file")
    parser.add_argument(
        "--http", type=int, metavar="PORT", help="serve HTTP on this port of 127.0.0.1, at /mcp, in place of stdio"
    )
    return parser


def serve(parser: argparse.ArgumentParser, build: Callable[[], Server[Any]], *, port: int | None) -> None:
    """Serve by stdio, or by HTTP on a port; exits with 2 where `build` raises ConfigurationError."""
    # Standard output is the protocol's.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        server = build()
    except ConfigurationError as error:
        parser.exit(2, f"{error}\n")
    if port is None:
        anyio.run(_stdio, server)
    else:
        _http(server, port)


async def _stdio(server: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _http(server: Server[Any], port: int) -> None:
    import uvicorn  # noqa: PLC0415 - by stdio, which is the usual, it is not needed

    # Whoever can be made to look up a name must not reach this from a browser.
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
    )
    app = server.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
