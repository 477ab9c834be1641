"""`switchgear check`: is this configuration sound?"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click

from gateway.cli.options import config_option
from gateway.config import ConfigError, Settings, load, read_environment
from gateway.providers.catalog import open_provider


@click.command()
@config_option
def command(config: Path) -> None:
    """Check a configuration; every fault is printed with file, line and path. Exits 1 when there is one."""
    try:
        settings = load(config, read_environment())
        anyio.run(_open_providers, settings)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        sys.exit(1)
    click.echo(f"{config}: sound; {len(settings.providers)} providers, {len(settings.models)} models")


async def _open_providers(settings: Settings) -> None:
    """Make every provider, which reads what it refers to (a script, say). Nothing is connected or started."""
    for name, provider in settings.providers.items():
        open_provider(name, provider)
