"""`switchgear agent list`: which agents there are."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.admin_output import print_json, print_table
from gateway.cli.agent_folder import read_agents
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.config import ConfigError
from gateway.config.agent_checks import tools_of


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object for each agent.")
def command(config: Path, as_json: bool) -> None:
    """List the agents: what each thinks with, its tools, its version."""
    try:
        _, documents = read_agents(config)
    except ConfigError as error:
        fail(error)
    rows = [
        {
            "agent": agent.model,
            "model": agent.settings.model or "(workflow)",
            "tools": tools_of(agent.settings),
            "handoffs": agent.settings.handoffs,
            "cases": len(documents.cases[name]),
            "version": agent.version,
            "description": agent.settings.description,
        }
        for name, agent in documents.agents.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("agent", "model", "tools", "cases", "version"))
