"""`switchgear completion`: tab completion for the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gateway.cli.main import cli


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL; for bash: eval "$(switchgear completion bash)"."""
    complete = get_completion_class(shell)
    if complete is None:
        msg = f"no completion for {shell}"
        raise click.ClickException(msg)
    click.echo(complete(cli, {}, "switchgear", "_SWITCHGEAR_COMPLETE").source())
