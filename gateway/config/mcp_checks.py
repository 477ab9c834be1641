"""Rules of the MCP endpoint that no single type can say: within its section, and between it and the rest of the configuration."""

from collections.abc import Iterator, Sequence

from gateway.config.agent_checks import KNOWLEDGE_TOOLS, near
from gateway.config.agent_settings import AGENTS
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.mcp_door_settings import door_faults
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.config.settings import Settings


def mcp_findings(settings: McpEndpointSettings) -> Iterator[Finding]:
    """Yield names that are written twice, prefixes that two servers share, and rules for tools that clients do not have."""
    for server, names in settings.servers.items():
        yield from _twice(names, ("servers", server))
    yield from _twice(settings.agents, ("agents",))
    yield from _twice(settings.knowledge, ("knowledge",))
    yield from _prefixes(settings)
    had = [f"{server}/{name}" for server, names in settings.servers.items() for name in names]
    had += KNOWLEDGE_TOOLS if settings.knowledge else ()
    for tool in settings.approval:
        if tool not in had:
            message = f"{shown(tool)} is no tool of this section{near(tool, had)}"
            yield Finding(path=("approval", tool), needs=("servers", "approval"), message=message)
    callable_ = [*had, *(f"{AGENTS}/{name}" for name in settings.agents)]
    for tool in settings.limits.tools:
        if tool not in callable_:
            message = f"{shown(tool)} is no tool of this section{near(tool, callable_)}"
            yield Finding(path=("limits", "tools", tool), needs=("servers", "agents", "limits"), message=message)


def _twice(names: Sequence[str], path: tuple[str, ...]) -> Iterator[Finding]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Finding(path=(*path, number), needs=path[:1], message=f"{shown(name)} is listed twice")


def _prefixes(settings: McpEndpointSettings) -> Iterator[Finding]:
    taken: dict[str, str] = {}
    for server in settings.prefixes:
        if server not in (*settings.servers, *settings.offers):
            message = f"{shown(server)} is no server of this section{near(server, settings.servers)}"
            yield Finding(path=("prefixes", server), needs=("servers", "prefixes"), message=message)
    for server in dict.fromkeys((*settings.servers, *settings.offers)):
        prefix = settings.prefixes.get(server, server)
        if prefix in taken:
            message = f"the tools of {shown(taken[prefix])} begin with {shown(prefix)} already: two servers would have the same names"
            path = ("prefixes", server) if server in settings.prefixes else ("servers",)
            yield Finding(path=path, needs=("servers", "prefixes"), message=message)
        taken.setdefault(prefix, server)


def endpoint_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the section names and the configuration does not have, and that its calls are kept."""
    mcp = settings.mcp
    if mcp is None:
        return
    if settings.runs is None:
        message = "what clients call is kept as runs: write the section runs, and database"
        yield Finding(path=("mcp",), needs=("runs",), message=message)
    if mcp.agents and settings.agents is None:
        message = "there are no agents: write the section agents"
        yield Finding(path=("mcp", "agents"), needs=("agents",), message=message)
    yield from _elsewhere(mcp, settings)


def _elsewhere(mcp: McpEndpointSettings, settings: Settings) -> Iterator[Finding]:
    servers = settings.tools.servers
    for path, message in door_faults(mcp, settings.access.jwt):
        yield Finding(path=("mcp", *path), needs=("access",), message=message)
    for number, name in enumerate(mcp.knowledge):
        if name not in settings.knowledge:
            message = f"no knowledge base is named {shown(name)}{near(name, settings.knowledge)}"
            yield Finding(path=("mcp", "knowledge", number), needs=("knowledge",), message=message)
    for number, server in enumerate(mcp.offers):
        if server not in servers:
            message = f"no server of tools is named {shown(server)} in tools.servers{near(server, servers)}"
            yield Finding(path=("mcp", "offers", number), needs=("tools",), message=message)
    for server, names in mcp.servers.items():
        if server not in servers:
            message = f"no server of tools is named {shown(server)} in tools.servers{near(server, servers)}"
            yield Finding(path=("mcp", "servers", server), needs=("tools",), message=message)
            continue
        allowed = servers[server].tools
        for number, name in enumerate(names):
            if name not in allowed:
                hint = near(name, allowed)
                message = f"{shown(name)} is not on the list of allowed tools of tools.servers.{server}{hint}"
                yield Finding(path=("mcp", "servers", server, number), needs=("tools",), message=message)
