"""`switchgear agent show`: one agent, whole."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from gateway.cli.admin_output import print_json, print_object
from gateway.cli.agent_folder import chosen, read_agents
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.config import ConfigError


@click.command()
@click.argument("name")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, config: Path, as_json: bool) -> None:
    """Show what the agent NAME is: its definition with all defaults, its version, and what it is told."""
    try:
        _, documents = read_agents(config)
    except ConfigError as error:
        fail(error)
    (agent,) = chosen(documents, (name.removeprefix("agent/"),))
    built = msgspec.json.decode(msgspec.json.encode(agent.settings))
    whole = {"agent": agent.model, "version": agent.version, **built}
    if as_json:
        print_json({**whole, "instructions_text": agent.instructions, "schema": agent.schema})
        return
    print_object(whole)
    click.echo(f"\n{agent.instructions}")
