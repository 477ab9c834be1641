"""The agents that a command is about: those of the configuration, one of them, or those of its names."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click
import msgspec

from gateway.agent_source import AgentSource
from gateway.config import ConfigError, Fault, Settings, peek, read_environment
from gateway.config.agent_settings import AgentDefinition, AgentDocuments
from gateway.core.clock import SYSTEM_CLOCK
from gateway.policy_source import PolicySource


def read_agents(config: Path, folder: Path | None = None) -> tuple[Settings, AgentDocuments]:
    """Read the configuration and its agents, as the server would, or those of another folder. Raises ConfigError."""
    environ = read_environment()
    settings = peek(config, environ)
    if settings.agents is None:
        message = "no agents are configured here: add the section `agents`"
        raise ConfigError([Fault(file=str(config), message=message)])
    if folder is not None:
        settings = msgspec.structs.replace(settings, agents=msgspec.structs.replace(settings.agents, folder=str(folder)))  # fmt: skip
    authorizer = PolicySource(config, environ).open(settings.policies, SYSTEM_CLOCK)
    return settings, AgentSource(config, environ).open(settings, authorizer)


def folder_of(names: tuple[str, ...]) -> Path | None:
    """Give the folder that the agents lie in which are named by their own folders; None where none is. Exits with 1 where they lie in several."""
    folders = {Path(name).resolve().parent for name in names if "/" in name and Path(name).is_dir()}
    if len(folders) > 1:
        click.echo("the agents that are named lie in several folders: name those of one", err=True)
        sys.exit(1)
    return next(iter(folders), None)


def chosen(documents: AgentDocuments, names: tuple[str, ...]) -> list[AgentDefinition]:
    """Give the agents of these names, all where none is named. Exits with 1 for a name that there is not."""
    for name in names:
        if name not in documents.agents:
            close = difflib.get_close_matches(name[:100], documents.agents, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            click.echo(f"no agent is named {name!r}{hint}", err=True)
            sys.exit(1)
    return [documents.agents[name] for name in names or documents.agents]
