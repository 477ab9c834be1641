"""Which agents call which: no circles, and no longer chains than the server allows. It reads definitions, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.config.agent_settings import AgentDefinition
from gateway.config.run_settings import RunSettings
from gateway.config.settings import Settings

Path = tuple[str | int, ...]


class Call(NamedTuple):
    """An agent that a definition may call, and the path where it says so."""

    path: Path
    agent: str


class FamilyFinding(NamedTuple):
    """What is wrong with an agent's place among the others, and the path in its definition."""

    agent: str
    path: Path
    message: str


def calls_of(agent: AgentDefinition) -> Sequence[Call]:
    """Give the agents that one may call."""
    return [Call(("agents", number), name) for number, name in enumerate(agent.settings.agents)]


def descendants(name: str, agents: Mapping[str, AgentDefinition]) -> Sequence[str]:
    """Give all agents that one calls, and that those call, each once, without itself; what there is not is left out."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        agent = agents.get(waiting.pop())
        for call in () if agent is None else calls_of(agent):
            if call.agent not in found and call.agent in agents:
                found[call.agent] = None
                waiting.append(call.agent)
    found.pop(name, None)
    return list(found)


def family_findings(agents: Mapping[str, AgentDefinition], settings: Settings) -> Iterator[FamilyFinding]:
    """Yield circles, each once, and chains that are too long, each at its beginning. Every agent that is called is there."""
    circles = list(_circles(agents))
    if circles:
        yield from circles
        return
    most = (settings.runs or RunSettings()).agent_depth
    called = {call.agent for agent in agents.values() for call in calls_of(agent)}
    longest: dict[str, tuple[str, ...]] = {}
    for name in agents:
        chain = _longest(name, agents, longest)
        if name not in called and len(chain) - 1 > most:
            message = f"{' → '.join(chain)} is {len(chain) - 1} levels deep, and runs.agent_depth is {most}"
            first = next(call for call in calls_of(agents[name]) if call.agent == chain[1])
            yield FamilyFinding(name, first.path, message)


def _circles(agents: Mapping[str, AgentDefinition]) -> Iterator[FamilyFinding]:
    """Yield the circles that a walk through all calls runs into."""
    done: set[str] = set()
    for start in agents:
        if start in done:
            continue
        way = [start]
        left = [iter(calls_of(agents[start]))]
        while way:
            call = next(left[-1], None)
            if call is None:
                done.add(way.pop())
                left.pop()
            elif call.agent in way:
                circle = [*way[way.index(call.agent) :], call.agent]
                message = f"agents call each other in a circle: {' → '.join(circle)}"
                yield FamilyFinding(way[-1], call.path, message)
            elif call.agent not in done:
                way.append(call.agent)
                left.append(iter(calls_of(agents[call.agent])))


def _longest(name: str, agents: Mapping[str, AgentDefinition], known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Give the longest chain that begins with an agent; there are no circles."""
    if name not in known:
        chains = [_longest(call.agent, agents, known) for call in calls_of(agents[name])]
        known[name] = (name, *max(chains, key=len, default=()))
    return known[name]
