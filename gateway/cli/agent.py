"""`switchgear agent`: lists, shows, checks and tests the agents of a configuration. No server is asked, and none is needed."""

from __future__ import annotations

import click

from gateway.cli import agent_check, agent_list, agent_show, agent_test


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show, check and test the agents of a configuration."""


command.add_command(agent_check.command, "check")
command.add_command(agent_list.command, "list")
command.add_command(agent_show.command, "show")
command.add_command(agent_test.command, "test")
