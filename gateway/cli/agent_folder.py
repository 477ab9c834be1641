"""The agents that a command is about: those of the configuration, one of them, or those of its names."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from gateway.agent_source import AgentSource
from gateway.config import ConfigError, Fault, Settings, peek, read_environment
from gateway.config.agent_settings import AgentDefinition, AgentDocuments
from gateway.core.clock import SYSTEM_CLOCK
from gateway.policy_source import PolicySource


def read_agents(config: Path) -> tuple[Settings, AgentDocuments]:
    """Read the configuration and its agents, as the server would. Raises ConfigError."""
    environ = read_environment()
    settings = peek(config, environ)
    if settings.agents is None:
        message = "no agents are configured here: add the section `agents`"
        raise ConfigError([Fault(file=str(config), message=message)])
    authorizer = PolicySource(config, environ).open(settings.policies, SYSTEM_CLOCK)
    return settings, AgentSource(config, environ).open(settings, authorizer)


def chosen(documents: AgentDocuments, names: tuple[str, ...]) -> list[AgentDefinition]:
    """Give the agents of these names, all where none is named. Exits with 1 for a name that there is not."""
    for name in names:
        if name not in documents.agents:
            close = difflib.get_close_matches(name[:100], documents.agents, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            click.echo(f"no agent is named {name!r}{hint}", err=True)
            sys.exit(1)
    return [documents.agents[name] for name in names or documents.agents]
