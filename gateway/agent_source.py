"""Where the agents in force come from: the folder that the settings name, read; and what answers as them, once something begins runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gateway.agents.agent_planning import AgentsInForce
from gateway.agents.catalogue import agent_routes
from gateway.agents.desk import RunDesk
from gateway.agents.knowledge_tools import standing_for
from gateway.agents.memory_flow import flow_of, tools_of_memory
from gateway.agents.rule_of_two import rule_of_two
from gateway.config import ConfigError, Fault, Settings
from gateway.config.agent_checks import near
from gateway.config.agent_documents import DEFINITION, digest_agents_folder, load_agent_documents
from gateway.config.agent_families import everybody
from gateway.config.agent_links import in_conversation
from gateway.config.agent_settings import AgentDefinition, AgentDocuments
from gateway.config.tool_settings import ToolSettings
from gateway.config.trigger_checks import agents_of_triggers
from gateway.config.trigger_settings import ScheduleTriggerSettings
from gateway.core.tools import Label, Tool
from gateway.pipeline.route import Route, Surroundings
from gateway.policies.authorizer import Authorizer
from gateway.policies.tool_judge import StandingToolJudge


class HasAgents(Protocol):
    """A generation of the configuration."""

    @property
    def agents(self) -> AgentDocuments:
        """Its agents."""
        ...

    @property
    def authorizer(self) -> Authorizer:
        """What callers may do."""
        ...

    @property
    def settings(self) -> Settings:
        """Its settings."""
        ...


class AgentSource:
    """Reads the folder. `config` is the configuration's file: a relative folder counts from where it lies.

    `desk` begins runs; it is there only after the first generation, which it is made from.
    """

    def __init__(self, config: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._base = config.absolute().parent
        self._environ = environ
        self.desk: RunDesk | None = None
        self._current: Callable[[], HasAgents] | None = None

    def follow(self, current: Callable[[], HasAgents], desk: RunDesk | None) -> None:
        """From now on, what is in force is what `current` gives, and `desk` begins its runs."""
        self._current, self.desk = current, desk

    def in_force(self) -> AgentsInForce:
        """Give the agents of the present generation, and who decides about them."""
        if self._current is None:
            msg = "agents are asked for only when the first generation is there"
            raise RuntimeError(msg)
        now = self._current()
        return AgentsInForce(agents=now.agents.agents, authorizer=now.authorizer, settings=now.settings)

    def open(self, settings: Settings, authorizer: Authorizer) -> AgentDocuments:
        """Give the agents that the settings name. Raises ConfigError."""
        documents = load_agent_documents(settings, base=self._base, environ=self._environ)
        faults = [
            Fault(file=str(Path(documents.folder) / name / DEFINITION), path=path, message=message)
            for name, agent in documents.agents.items()
            for path, message in _faults(agent, documents.agents, settings, authorizer)
        ]
        faults += [
            Fault(file=str(self._config), path=path, message=message)
            for path, message in agents_of_triggers(settings, documents.agents)
        ]
        faults += _unknown_to_clients(documents, settings, self._config)
        if faults:
            raise ConfigError(faults)
        return documents

    def digest(self, settings: Settings) -> bytes:
        """Give what differs whenever a file of an agent does, empty where there are none. Raises ConfigError."""
        if settings.agents is None:
            return b""
        return digest_agents_folder(settings.agents, base=self._base, environ=self._environ)

    def routes(self, documents: AgentDocuments, surroundings: Surroundings) -> dict[str, Route]:
        """Give the routes of agents, by their models' names."""
        return agent_routes(documents.agents, surroundings, lambda: self.desk)


def _unknown_to_clients(documents: AgentDocuments, settings: Settings, config: Path) -> Iterator[Fault]:
    """Give the agents that clients of MCP are to reach and that there are not."""
    listed = () if settings.mcp is None else settings.mcp.agents
    for number, name in enumerate(listed):
        if name not in documents.agents:
            message = f"no agent is named '{name}'{near(name, documents.agents)}"
            yield Fault(file=str(config), path=f"mcp.agents[{number}]", message=message)


def _faults(
    agent: AgentDefinition, agents: Mapping[str, AgentDefinition], settings: Settings, authorizer: Authorizer
) -> Iterator[tuple[str, str]]:
    """Give what the policies in force have against a definition, each with its path."""
    for number, rule in enumerate(agent.settings.policies):
        if rule not in authorizer.rule_ids:
            yield f"policies[{number}]", f"no policy has the id '{rule[:80]}'"
    judge = StandingToolJudge(authorizer)
    fed = fed_by(agents, settings)
    memories = _memories(agents, settings, fed)
    if refusal := _refusal([agent], settings, judge, memories):
        yield "tools", refusal
        return
    talking = list(in_conversation(agent.name, agents))
    if refusal := _refusal([agents[name] for name in talking], settings, judge, memories):
        # Who takes over reads all that was read before: together they are one.
        yield "handoffs", f"Together with those that it can be handed over to ({', '.join(talking[1:])}): {refusal}"
        return
    below = [name for name in everybody(agent.name, agents) if name not in talking]
    if refusal := _refusal([agents[name] for name in (*talking, *below)], settings, judge, memories):
        # What one has read, another acts by: together they are one.
        path = next((each for each in ("agents", "workflow") if getattr(agent.settings, each)), "handoffs")
        yield path, f"Together with the agents below it ({', '.join(below)}): {refusal}"


def fed_by(agents: Mapping[str, AgentDefinition], settings: Settings) -> Mapping[str, Tool]:
    """Give what stands for the triggers that hand an agent what strangers wrote, by the agent's name: read as if a tool had given it."""
    return {
        trigger.agent: Tool(
            server="triggers",
            name=name,
            schema={},
            definition="",
            effect="read",
            gives=Label(source=f"triggers/{name}", integrity="untrusted"),
            outward=False,
        )
        for name, trigger in settings.triggers.items()
        if trigger.agent in agents and not isinstance(trigger, ScheduleTriggerSettings)
    }


def _memories(
    agents: Mapping[str, AgentDefinition], settings: Settings, fed: Mapping[str, Tool]
) -> Mapping[str, Sequence[Tool]]:
    """Give what agents have beside tools of servers, by their names: what feeds them, what they search, and their memories with what these can hold."""
    own = {
        name: (
            *((fed[name],) if name in fed else ()),
            *standing_for(agent.settings.retrieval, settings.knowledge),
        )
        for name, agent in agents.items()
    }
    flow = flow_of(agents, settings.memories, lambda agent: (*tools_in(agent, settings), *own[agent.name]))
    return {name: (*own[name], *tools_of_memory(agent, settings.memories, flow)) for name, agent in agents.items()}


def _refusal(
    agents: Sequence[AgentDefinition],
    settings: Settings,
    judge: StandingToolJudge,
    beside: Mapping[str, Sequence[Tool]],
) -> str:
    """Say why the tools of these agents may not be in one hand; empty where they may. `beside` are those of no server."""
    tools: dict[tuple[str, str], Tool] = {}
    passing: set[tuple[str, str]] = set()
    for agent in agents:
        for tool in (*tools_in(agent, settings), *beside[agent.name]):
            tools[tool.id, tool.memory] = tool
            if agent.settings.approval.get(tool.id) != "always" and judge.may_pass(tool):
                passing.add((tool.id, tool.memory))
    return rule_of_two(list(tools.values()), lambda tool: (tool.id, tool.memory) in passing)


def tools_in(agent: AgentDefinition, settings: Settings) -> list[Tool]:
    """Give the tools of a definition, as the operator describes them."""
    return [
        tool_of(server, name, settings.tools.servers[server].tools[name])
        for server, names in agent.settings.tools.items()
        for name in names
    ]


def tool_of(server: str, name: str, settings: ToolSettings) -> Tool:
    """Give a tool as the operator describes it; what its server says of it is not known, so it is what one is that nobody speaks of."""
    gives = settings.gives
    return Tool(
        server=server,
        name=name,
        schema={"type": "object"},
        definition="",
        effect=settings.effect or "once",
        gives=Label(source=f"{server}/{name}", integrity=gives.integrity, confidentiality=gives.confidentiality),
        outward=settings.outward,
    )
