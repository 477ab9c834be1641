"""What agents say of each other: names that there are, and who works in one conversation with whom. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gateway.config.agent_checks import near, tools_of
from gateway.config.agent_settings import AgentDefinition, AgentSettings
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.core.tools import SERVER, TRANSFER


def link_findings(name: str, agent: AgentSettings, known: Collection[str]) -> Iterator[Finding]:
    """Yield what a definition says of handing over that cannot be; `known` are the names of all agents, `name` is its own."""
    for number, to in enumerate(agent.handoffs):
        path = ("handoffs", number)
        if to == name:
            yield Finding(path=path, message="an agent cannot hand over to itself")
        elif to not in known:
            others = [other for other in known if other != name]
            yield Finding(path=path, message=f"no agent is named {shown(to)}{near(to, others)}")
        elif to in agent.handoffs[:number]:
            yield Finding(path=path, message=f"{shown(to)} is listed twice")


def in_conversation(start: str, agents: Mapping[str, AgentDefinition]) -> dict[str, tuple[str, ...]]:
    """Give the agents that can come to be in charge of a conversation that begins with one, each with the way to it; what is not known is left out."""
    ways: dict[str, tuple[str, ...]] = {start: (start,)}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        for to in agents[name].settings.handoffs:
            if to in agents and to not in ways:
                ways[to] = (*ways[name], to)
                waiting.append(to)
    return ways


def tools_in_conversation(name: str, agents: Mapping[str, AgentDefinition]) -> frozenset[str]:
    """Give what can be called in a conversation that begins with an agent (server/tool), other agents and transfers among it."""
    those = [agents[each].settings for each in in_conversation(name, agents)]
    transfers = {f"{SERVER}/{TRANSFER}{to}" for agent in those for to in agent.handoffs}
    return frozenset(transfers.union(*map(tools_of, those)))
