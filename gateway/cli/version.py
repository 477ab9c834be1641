"""`switchgear version`."""

import click

from gateway import __version__


@click.command()
def command() -> None:
    """Print the version."""
    click.echo(f"switchgear {__version__}")
