"""The group of all commands. It imports a command's module only when that command runs, so that `--help` is quick."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click
from click.exceptions import NoSuchCommand

from gateway import __version__

_COMMANDS = {
    "approvals": "Show what agents ask people, and answer it.",
    "agent": "List, show, check and test the agents.",
    "audit": "List, export and verify the audit log.",
    "batch": "List, show and cancel batches of all callers.",
    "budget": "Make, list and change budgets and limits.",
    "cache": "Show what the cache keeps, and take entries out of it.",
    "chat": "Talk with a model in the terminal.",
    "check": "Check a configuration and name every fault in it.",
    "completion": "Print the script that completes commands in your shell.",
    "incidents": "List and show incidents, and start a run for one.",
    "init": "Write a commented starting configuration into a directory.",
    "key": "Make, list, change, rotate and revoke virtual keys.",
    "knowledge": "List the knowledge bases, and search in one.",
    "ledger": "Write bills, compare invoices with the ledger, and delete rows.",
    "mcp": "Bridge an assistant's standard input and output to the gateway's /mcp, and print how to set one up.",
    "memory": "List and show what agents remember, and delete it.",
    "models": "List the models and their state.",
    "policy": "Check, test and explain the policies.",
    "prompts": "List, show and render the prompt templates.",
    "rollout": "Show rollouts and splits, and steer them.",
    "route": "Explain where calls go, and show how the targets are doing.",
    "run": "List, show, watch and end runs.",
    "secret": "Keep secrets encrypted in the database.",
    "serve": "Serve the configured models over HTTP.",
    "service-account": "Make, list and change service accounts.",
    "shadow": "Show what shadows answered, beside what their models answered.",
    "team": "Make, list and change teams.",
    "tenant": "Make, list and change tenants.",
    "tools": "Show servers of tools, and accept what they changed.",
    "triggers": "Show, try and fire what starts runs without a person asking.",
    "usage": "Sum up what was used, and what it cost.",
    "user": "Make, list and change users.",
    "version": "Print the version.",
    "whoami": "Say who a key is, and what it may do.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        _import_structlog_without_rich()
        command: Any = importlib.import_module(f"gateway.cli.{cmd_name.replace('-', '_')}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            # click looks for near names among the commands that are loaded, and none is.
            raise NoSuchCommand(error.command_name, possibilities=_COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: switchgear serve. Every command has its own help: switchgear COMMAND -h.",
)
@click.version_option(__version__, prog_name="switchgear", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Switchgear: a self-hosted LLM gateway and agent runtime."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _import_structlog_without_rich() -> None:
    """Import structlog as if rich were missing.

    Where structlog finds rich it imports it, for a fifth of the server's start and 4 MB, to draw tracebacks with the values
    of local variables: prompts and keys, which no log may hold.
    """
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's documented sign for "not here"
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
