"""Rules of agents that no single type can say: within a definition, and between it and the rest of the configuration."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from gateway.config.agent_settings import AGENTS, AgentCase, AgentOutputSettings, AgentSettings, called_by
from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.settings import Settings
from gateway.core.tools import SERVER

KNOWLEDGE_TOOLS: Final = ("knowledge/search_knowledge", "knowledge/read_knowledge")
"""The tools by which an agent with `retrieval` searches and reads, as cases name them."""

ASK_HUMAN: Final = "switchgear/ask_human"
"""The tool by which an agent asks people, as cases name it."""

MEMORY_READS: Final = ("memory_search", "memory_read")
MEMORY_WRITES: Final = ("memory_write", "memory_delete")
"""The tools of an agent with a memory, and those of one that may write, too: of the server `switchgear`."""


def definition_findings(settings: AgentSettings) -> Iterator[Finding]:
    """Yield tools that are named twice, and approvals of tools that the agent does not have."""
    for server, names in settings.tools.items():
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Finding(
                    path=("tools", server, number), needs=("tools",), message=f"{shown(name)} is listed twice"
                )
    for number, name in enumerate(settings.agents):
        if name in settings.agents[:number]:
            yield Finding(path=("agents", number), needs=("agents",), message=f"{shown(name)} is listed twice")
    had = tools_of(settings)
    for tool in settings.approval:
        if tool not in had:
            message = f"{shown(tool)} is no tool of this agent{near(tool, had)}"
            yield Finding(path=("approval", tool), needs=("agents", "approval", "tools", "workflow"), message=message)


def case_findings(case: AgentCase, had: Collection[str]) -> Iterator[Finding]:
    """Yield tools in a case that are none of those that can be used in it."""
    for path, tool in _named_in(case):
        if tool not in had:
            yield Finding(path=path, message=f"{shown(tool)} is no tool of this agent{near(tool, had)}")
    if (case.memory or case.expect.memory is not None) and f"{SERVER}/{MEMORY_READS[0]}" not in had:
        path = ("memory",) if case.memory else ("expect", "memory")
        yield Finding(path=path, message="the agent has no memory")
    servers = {tool.partition("/")[0] for tool in had}
    for name in case.live:
        if name not in servers:
            message = f"{shown(name)} is no server of this agent's tools{near(name, servers)}"
            yield Finding(path=("live", name), message=message)
    for number, call in enumerate(case.expect.after):
        if call.tool.partition("/")[0] not in case.live:
            message = f"the server of {shown(call.tool)} is not asked in this case: write it under live"
            yield Finding(path=("expect", "after", number, "tool"), needs=("live",), message=message)


def tools_of(agent: AgentSettings) -> list[str]:
    """Give the names of all that an agent may call, in their order: server/tool, then agents/agent, then what it searches with, asks people with, and remembers with."""
    tools = [f"{server}/{name}" for server, names in agent.tools.items() for name in names]
    asking = [] if agent.ask_human is None else [ASK_HUMAN]
    searching = list(KNOWLEDGE_TOOLS) if agent.retrieval else []
    remembering = [f"{SERVER}/{name}" for name in memory_tools(agent)]
    return tools + [f"{AGENTS}/{name}" for name in called_by(agent)] + searching + asking + remembering


def memory_tools(agent: AgentSettings) -> tuple[str, ...]:
    """Give the names of the tools by which an agent remembers; none without a memory."""
    if agent.memory is None:
        return ()
    return MEMORY_READS + MEMORY_WRITES if agent.memory.write else MEMORY_READS


def _named_in(case: AgentCase) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give the tools that a case names, each with its path."""
    for place, turn in enumerate(case.model):
        for number, call in enumerate(turn.call):
            yield ("model", place, "call", number, "tool"), call.tool
    for number, call in enumerate(case.results):
        yield ("results", number, "tool"), call.tool
    for number, call in enumerate(case.expect.calls or ()):
        yield ("expect", "calls", number, "tool"), call.tool
    for number, tool in enumerate(case.expect.approvals):
        yield ("expect", "approvals", number), tool
    for number, answer in enumerate(case.answers):
        yield ("answers", number, "tool"), answer.tool
    for name in ("asked", "unasked", "after"):
        for number, call in enumerate(getattr(case.expect, name) or ()):
            yield ("expect", name, number, "tool"), call.tool


def output_findings(settings: AgentOutputSettings) -> Iterator[Finding]:
    """Yield that a schema comes from one place."""
    if (settings.file is None) == (settings.schema is None):
        yield Finding(needs=("file", "schema"), message="expected either file or schema")


def agents_findings(settings: Settings) -> Iterator[Finding]:
    """Yield that the work of agents is kept."""
    if settings.agents is not None and settings.runs is None:
        message = "what agents do is kept as runs: write the section runs, and database"
        yield Finding(path=("agents",), needs=("runs",), message=message)


def fitting_findings(agent: AgentSettings, settings: Settings, others: Collection[str]) -> Iterator[Finding]:
    """Yield what a definition refers to and the configuration does not have; `others` are the names of all agents."""
    allowed = {label: server.tools for label, server in settings.tools.servers.items()}
    if agent.model and agent.model not in settings.models:
        message = f"no model is named {shown(agent.model)}{near(agent.model, settings.models)}"
        yield Finding(path=("model",), message=message)
    for server, names in agent.tools.items():
        if server not in allowed:
            message = f"no server of tools is named {shown(server)} in tools.servers{near(server, allowed)}"
            yield Finding(path=("tools", server), message=message)
            continue
        for number, name in enumerate(names):
            if name not in allowed[server]:
                hint = near(name, allowed[server])
                message = f"{shown(name)} is not on the list of allowed tools of tools.servers.{server}{hint}"
                yield Finding(path=("tools", server, number), message=message)
    for name, path in called_by(agent).items():
        if name not in others:
            yield Finding(path=path, message=f"no agent is named {shown(name)}{near(name, others)}")
    yield from _sources(agent, settings)
    yield from _guardrails(agent, settings)


def _sources(agent: AgentSettings, settings: Settings) -> Iterator[Finding]:
    for name in agent.retrieval:
        if name not in settings.knowledge:
            message = f"no knowledge base is named {shown(name)}{near(name, settings.knowledge)}"
            yield Finding(path=("retrieval", name), message=message)
    yield from _memory(agent, settings)


def _memory(agent: AgentSettings, settings: Settings) -> Iterator[Finding]:
    # That a workflow has none is said already.
    if agent.memory is None or agent.workflow is not None or agent.memory.name in settings.memories:
        return
    message = f"no memory is named {shown(agent.memory.name)} in memories{near(agent.memory.name, settings.memories)}"
    yield Finding(path=("memory", "name"), message=message)


def _guardrails(agent: AgentSettings, settings: Settings) -> Iterator[Finding]:
    guards = {} if settings.protection is None else settings.protection.guardrails
    for number, name in enumerate(agent.guardrails):
        if name not in guards:
            message = f"no guardrail is named {shown(name)} in protection.guardrails{near(name, guards)}"
            yield Finding(path=("guardrails", number), message=message)
            continue
        match = guards[name].match
        if match.tenants or match.teams or match.providers or not _holds(match.models, agent.model):
            message = f"the guardrail {shown(name)} does not stand around every call of the model {shown(agent.model)}"
            yield Finding(path=("guardrails", number), message=message)


def _holds(patterns: Collection[str], model: str) -> bool:
    return not patterns or any(
        model.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == model for pattern in patterns
    )


def near(word: str, known: Iterable[str]) -> str:
    """Give what may be said after a word that is not known: the nearest one, or those that there are."""
    some = list(known)
    close = difflib.get_close_matches(word[:100], some, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f" (known: {', '.join(some[:20])})" if some else " (there is none)"
