"""`switchgear check`: is this configuration sound?"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click
import msgspec

from gateway.app import Application
from gateway.cli.options import config_option
from gateway.config import ConfigError, Fault, Settings, peek, read_environment
from gateway.loading import Loader
from gateway.providers.catalog import open_provider
from gateway.telemetry.logs import configure_logs


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: sound, and the faults with file, line and path.")
def command(config: Path, as_json: bool) -> None:
    """Check a configuration; every fault is printed with file, line and path.

    Scripts and secrets that it refers to are read too; nothing is connected or started. Exits 1 when there is a fault.
    """
    configure_logs(format="console", level="warning")
    try:
        settings = peek(config, read_environment())
        anyio.run(_build, settings, config)
    except ConfigError as error:
        _report(error.faults, as_json)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode({"sound": True, "faults": []}))
        return
    providers, models = _counted(len(settings.providers), "provider"), _counted(len(settings.models), "model")
    click.echo(f"{config}: sound; {providers}, {models}")


def _report(faults: list[Fault] | tuple[Fault, ...], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"sound": False, "faults": faults}))
        return
    for fault in faults:
        click.echo(str(fault), err=True)
    click.echo(f"{_counted(len(faults), 'fault')} found", err=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


async def _build(settings: Settings, config: Path) -> None:
    """Make everything that the server would make, every provider first, so that all that are at fault are named."""
    faults: list[Fault] = []
    for name, provider in settings.providers.items():
        try:
            open_provider(name, provider)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    await Application(settings, Loader(config, read_environment), config_path=config).live.verify()
