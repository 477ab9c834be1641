"""Which folder of policies a command is about: one that is named, or the configuration's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from gateway.cli.options import config_option
from gateway.config import ConfigError, Fault, peek, read_environment
from gateway.config.policy_documents import load_policy_documents
from gateway.config.policy_settings import PolicyDocuments, PolicySettings


def folder_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command FOLDER, --config, --default and --time-zone."""
    options = (
        click.argument("folder", required=False, type=click.Path(path_type=Path)),
        config_option,
        click.option(
            "--default",
            type=click.Choice(["allow", "deny"]),
            help="What holds where no policy speaks (with FOLDER: allow; else the configuration's).",
        ),
        click.option("--time-zone", help="Time zone of context.hour (with FOLDER: UTC; else the configuration's)."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def read_documents(
    folder: Path | None, config: Path, default: Literal["allow", "deny"] | None, time_zone: str | None
) -> PolicyDocuments:
    """Read the folder's documents. Raises ConfigError."""
    environ = read_environment()
    if folder is not None:
        # A name like `~x` is the shell's business, which has seen it already.
        settings, base = PolicySettings(folder=str(folder.absolute())), Path.cwd()
    else:
        configured = peek(config, environ).policies
        if configured is None:
            message = "no policies are configured here: add the section `policies`, or name a FOLDER"
            raise ConfigError([Fault(file=str(config), message=message)])
        settings, base = configured, config.absolute().parent
    chosen = PolicySettings(
        folder=settings.folder,
        default=default or settings.default,
        time_zone=time_zone or settings.time_zone,
    )
    return load_policy_documents(chosen, base=base, environ=environ, file="" if folder else str(config))
