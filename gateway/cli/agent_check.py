"""`switchgear agent check`: are the agents sound?"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.agent_folder import read_agents
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.config import ConfigError


@click.command()
@config_option
def command(config: Path) -> None:
    """Check every agent; every fault is printed with file, line and path. Exits 1 when there is one."""
    try:
        _, documents = read_agents(config)
    except ConfigError as error:
        fail(error)
    agents, cases = len(documents.agents), sum(map(len, documents.cases.values()))
    click.echo(f"{agents} agent{'' if agents == 1 else 's'}, {cases} case{'' if cases == 1 else 's'}: sound")
