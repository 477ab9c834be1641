"""Which agents call which: no circles, and no longer chains than the server allows. It reads definitions, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.config.agent_links import in_conversation
from gateway.config.agent_settings import AgentDefinition, called_by
from gateway.config.run_settings import RunSettings
from gateway.config.settings import Settings

Path = tuple[str | int, ...]


class Call(NamedTuple):
    """An agent that a definition may call, and the path where it says so."""

    path: Path
    agent: str


class Onward(NamedTuple):
    """A call, and who is in charge until it is made: each hands over to the next, and the last calls."""

    way: tuple[str, ...]
    call: Call


class FamilyFinding(NamedTuple):
    """What is wrong with an agent's place among the others, and the path in its definition."""

    agent: str
    path: Path
    message: str


def calls_of(agent: AgentDefinition) -> Sequence[Call]:
    """Give the agents that one may call."""
    return [Call(path, name) for name, path in called_by(agent.settings).items()]


def everybody(name: str, agents: Mapping[str, AgentDefinition]) -> Sequence[str]:
    """Give an agent and all that come to work for it: by being called or handed over to, by itself or by those."""
    found = {name: None}
    waiting = [name]
    while waiting:
        agent = agents[waiting.pop()]
        for each in (*agent.settings.handoffs, *(call.agent for call in calls_of(agent))):
            if each not in found and each in agents:
                found[each] = None
                waiting.append(each)
    return list(found)


def onward(name: str, agents: Mapping[str, AgentDefinition]) -> Sequence[Onward]:
    """Give the calls that can be made in a conversation that begins with an agent, by whoever is in charge of it then."""
    ways = in_conversation(name, agents)
    return [Onward(way, call) for each, way in ways.items() for call in calls_of(agents[each])]


def family_findings(agents: Mapping[str, AgentDefinition], settings: Settings) -> Iterator[FamilyFinding]:
    """Yield circles, each once, and chains that are too long, each at its beginning. Every agent that is called is there.

    Agents that only hand over to each other are no circle: no run waits for another, and each transfer is counted.
    """
    circles = list(_circles(agents))
    if circles:
        yield from circles
        return
    most = (settings.runs or RunSettings()).agent_depth
    called = {call.agent for agent in agents.values() for call in calls_of(agent)}
    longest: dict[str, tuple[Onward, ...]] = {}
    for name in agents:
        chain = _longest(name, agents, longest)
        if name not in called and len(chain) > most and len(chain[0].way) == 1:
            message = f"{_shown(chain)} is {len(chain)} levels deep, and runs.agent_depth is {most}"
            yield FamilyFinding(name, chain[0].call.path, message)


def _circles(agents: Mapping[str, AgentDefinition]) -> Iterator[FamilyFinding]:
    """Yield the circles that a walk through all calls runs into."""
    done: set[str] = set()
    for start in agents:
        if start in done:
            continue
        way: list[str] = [start]
        steps: list[Onward] = []
        left = [iter(onward(start, agents))]
        while way:
            step = next(left[-1], None)
            if step is None:
                done.add(way.pop())
                left.pop()
                del steps[-1:]
            elif step.call.agent in way:
                circle = [*steps[way.index(step.call.agent) :], step]
                message = f"agents call each other in a circle: {_shown(circle)}"
                yield FamilyFinding(step.way[-1], step.call.path, message)
            elif step.call.agent not in done:
                way.append(step.call.agent)
                steps.append(step)
                left.append(iter(onward(step.call.agent, agents)))


def _longest(
    name: str, agents: Mapping[str, AgentDefinition], known: dict[str, tuple[Onward, ...]]
) -> tuple[Onward, ...]:
    """Give the longest chain that begins with an agent; there are no circles."""
    if name not in known:
        chains = [(step, *_longest(step.call.agent, agents, known)) for step in onward(name, agents)]
        known[name] = max(chains, key=len, default=())
    return known[name]


def _shown(chain: Sequence[Onward]) -> str:
    """Give a chain as people read it, with whoever hands over in between."""
    return " → ".join([*(name for step in chain for name in step.way), chain[-1].call.agent])
