"""The group of all commands. It imports a command's module only when that command runs, so that `--help` is quick."""

from __future__ import annotations

import importlib
from typing import Any

import click

_COMMANDS = {
    "chat": "Talk with a model in the terminal.",
    "check": "Check a configuration and name every fault in it.",
    "completion": "Print the script that completes commands in your shell.",
    "init": "Write a commented starting configuration into a directory.",
    "models": "List the configured models and their state.",
    "serve": "Serve the configured models over HTTP.",
    "version": "Print the version.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: Any = importlib.import_module(f"gateway.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Switchgear: a self-hosted LLM gateway and agent runtime."""
