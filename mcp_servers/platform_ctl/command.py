"""The platform control's command line: the MCP program itself, and, of a simulated cluster, its metrics and its incidents."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import anyio

from mcp_servers.platform_ctl.program import ABOUT, build
from mcp_servers.platform_ctl.settings import Settings, Simulated
from mcp_servers.platform_ctl.simulated.backend import SimulatedBackend
from mcp_servers.platform_ctl.simulated.exporting import export
from mcp_servers.platform_ctl.simulated.incidents import named
from mcp_servers.serving import ConfigurationError, load, parser_of, serve


def run(words: Sequence[str]) -> None:
    """Do what the words say; exits with 2 where that cannot be done."""
    if words and words[0] in ("simulate", "inject"):
        _simulated(words)
        return
    parser = parser_of("platform_ctl", ABOUT)
    _add_folder(parser)
    parser.add_argument(
        "--incident",
        action="append",
        default=[],
        metavar="NAME",
        help="what goes wrong in a simulated cluster besides: a scenario of its configuration, or kind:target",
    )
    arguments = parser.parse_args(words)
    serve(
        parser,
        lambda: build(arguments.config, folder=arguments.folder, incidents=tuple(arguments.incident)),
        port=arguments.http,
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder",
        type=Path,
        help="where relative paths of journal and state count from, in place of the file's folder",
    )


def _simulated(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m mcp_servers.platform_ctl")
    commands = parser.add_subparsers(dest="command", required=True)
    simulate = commands.add_parser("simulate", help="serve the metrics of a simulated cluster for Prometheus")
    simulate.add_argument("--metrics-port", type=int, default=0, help="port of 127.0.0.1; 0 takes a free one")
    inject = commands.add_parser("inject", help="let something go wrong in a simulated cluster now")
    inject.add_argument("incident", help="a scenario of the configuration, or kind:target")
    for each in (simulate, inject):
        each.add_argument("--config", type=Path, required=True, help="the platform control's configuration")
        each.add_argument("--environment", help="which environment; not needed where one alone is simulated")
        _add_folder(each)
    arguments = parser.parse_args(words)
    try:
        settings = _platform(load(arguments.config, Settings), arguments.environment)
        backend = SimulatedBackend(settings, arguments.folder or arguments.config.absolute().parent)
        if arguments.command == "inject":
            anyio.run(backend.inject, named(settings, arguments.incident))
        else:
            export(backend, arguments.metrics_port)
    except ConfigurationError as error:
        parser.exit(2, f"{error}\n")


def _platform(settings: Settings, wanted: str | None) -> Simulated:
    """Give the simulated cluster that is meant. Raises ConfigurationError."""
    found = {name: each.platform for name, each in settings.environments.items()}
    simulated = {name: each for name, each in found.items() if isinstance(each, Simulated) and wanted in (None, name)}
    if len(simulated) != 1:
        msg = f"--environment: name one that is simulated: {', '.join(sorted(simulated)) or 'there is none'}"
        raise ConfigurationError(msg)
    (only,) = simulated.values()
    if only.state is None:
        msg = "state: a cluster that several programs look at is kept in a file"
        raise ConfigurationError(msg)
    return only
