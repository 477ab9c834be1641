"""What memories can hold at worst, by what the agents that write them may have read: found when definitions are read. Pure.

A memory carries content from one run to another, so it joins what the Rule of Two looks at: an agent that reads what others wrote down reads,
by way of it, what these had read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from gateway.agents.memory_tools import memory_source, memory_tools
from gateway.config.agent_families import everybody
from gateway.config.agent_links import in_conversation
from gateway.config.agent_settings import AgentDefinition
from gateway.config.memory_settings import MemorySettings
from gateway.core.tools import Label, Tool

Reads = Callable[[AgentDefinition], Iterable[Tool]]
"""Gives what an agent reads beside memories."""


class Kept(NamedTuple):
    """One memory, as far as definitions can tell them apart: each agent has its own where the scope is agent."""

    name: str
    agent: str = ""


def flow_of(
    agents: Mapping[str, AgentDefinition], memories: Mapping[str, MemorySettings], reads: Reads
) -> dict[Kept, Label]:
    """Give the label of what each memory gives at worst, as far as agents have it."""
    labels: dict[Kept, Label] = {}
    for agent in agents.values():
        kept = kept_of(agent, memories)
        if kept is not None:
            labels[kept] = _at_least(kept, memories[kept.name])
    families = [_family(name, agents) for name in agents]
    changed = True
    while changed:
        changed = False
        for family in families:
            read = [tool.gives for agent in family for tool in reads(agent)]
            read += [labels[kept] for agent in family if (kept := kept_of(agent, memories)) is not None]
            for kept in _written(family, memories):
                if (after := _joined(labels[kept], read)) != labels[kept]:
                    labels[kept], changed = after, True
    return labels


def _written(family: Sequence[AgentDefinition], memories: Mapping[str, MemorySettings]) -> set[Kept]:
    writers = [agent for agent in family if agent.settings.memory is not None and agent.settings.memory.write]
    return {kept for agent in writers if (kept := kept_of(agent, memories)) is not None}


def kept_of(agent: AgentDefinition, memories: Mapping[str, MemorySettings]) -> Kept | None:
    """Give the memory of an agent; None where it has none that is configured."""
    use = agent.settings.memory
    if use is None or use.name not in memories:
        return None
    return Kept(use.name, agent.name if memories[use.name].scope == "agent" else "")


def tools_of_memory(
    agent: AgentDefinition, memories: Mapping[str, MemorySettings], flow: Mapping[Kept, Label]
) -> Sequence[Tool]:
    """Give what an agent's memory is to the Rule of Two: one that reads it, under its own name, and those that change it."""
    kept, use = kept_of(agent, memories), agent.settings.memory
    if kept is None or use is None:
        return ()
    made = memory_tools(kept.name, memories[kept.name], agent.name, write=use.write)
    reader = msgspec.structs.replace(made[0], server="memory", name=kept.name, gives=flow[kept])
    return (reader, *(tool for tool in made if tool.effect != "read"))


def _at_least(kept: Kept, settings: MemorySettings) -> Label:
    """Give what it gives whatever is written: in one that is shared, what other users had their runs write."""
    shared = settings.scope != "user"
    return Label(
        source=memory_source(kept.name),
        integrity=settings.gives.integrity if shared else "trusted",
        confidentiality=settings.gives.confidentiality,
    )


def _joined(label: Label, read: Sequence[Label]) -> Label:
    if any(each.integrity == "untrusted" for each in read):
        label = msgspec.structs.replace(label, integrity="untrusted")
    if any(each.confidentiality == "sensitive" for each in read):
        label = msgspec.structs.replace(label, confidentiality="sensitive")
    return label


def _family(name: str, agents: Mapping[str, AgentDefinition]) -> list[AgentDefinition]:
    """Give an agent with all that work in its conversations and below them: what one has read, another may write down."""
    names = {*in_conversation(name, agents), *everybody(name, agents)}
    return [agents[each] for each in agents if each in names]
