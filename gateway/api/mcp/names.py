"""Names of tools as MCP clients know them: one for each tool, none for two, the same after a restart and in every replica. Pure.

A name follows from the configuration alone, and is found by looking it up: it is never taken apart. It fits clients of MCP (128 of A-Z a-z 0-9 _ . -)
and the models behind them (64 of A-Z a-z 0-9 _ -).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from gateway.agents.knowledge_tools import READ, SEARCH
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.core.tools import KNOWLEDGE

STATUS: Final = "approval_status"
AGENT_STATUS: Final = "agent_status"
AGENT: Final = "agent_"
"""Begins the name of an agent as a tool."""
MOST: Final = 64

_FIT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z").match
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_BETWEEN: Final = "__"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a name stands for: the tool `tool` of `server`, or, without a server, the agent `agent`, or neither: how calls stand."""

    name: str
    server: str = ""
    tool: str = ""
    agent: str = ""


def table_of(settings: McpEndpointSettings) -> dict[str, Named]:
    """Give all names, sorted."""
    found = [
        Named(name=tool_name(settings.prefixes.get(server, server), server, tool), server=server, tool=tool)
        for server, tools in settings.servers.items()
        for tool in tools
    ]
    found += [Named(name=agent_name(agent), agent=agent) for agent in settings.agents]
    found += [Named(name=tool, server=KNOWLEDGE, tool=tool) for tool in (SEARCH, READ) if settings.knowledge]
    if found:
        found.append(Named(name=STATUS))
    if settings.agents:
        found.append(Named(name=AGENT_STATUS))
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def tool_name(prefix: str, server: str, tool: str) -> str:
    """Give the name of a tool; with an empty prefix it is the tool's own, where that can be nobody else's."""
    name = f"{prefix}{_BETWEEN}{tool}" if prefix else tool
    clear = _BETWEEN not in tool and _BETWEEN not in prefix and not prefix.endswith("_") and not tool.startswith("_")
    if _FIT(name) and clear and not _is_ours(name):
        return name
    return _marked(name, f"{server}\x00{tool}")


def agent_name(agent: str) -> str:
    """Give the name of an agent as a tool."""
    name = AGENT + agent
    return name if _FIT(name) and _BETWEEN not in name else _marked(name, f"\x00{agent}")


def _is_ours(name: str) -> bool:
    return name.startswith(AGENT) or name in (STATUS, SEARCH, READ)


def _marked(name: str, of: str) -> str:
    mark = hashlib.sha256(of.encode()).hexdigest()[:12]
    return f"{_UNFIT.sub('_', name)[: MOST - 14]}{_BETWEEN}{mark}"
