"""Plans of agents: from a definition, and from what its caller may use and asks for, to what a run is to be done with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from gateway.agents.agent_judging import SITUATION
from gateway.agents.agent_tools import SERVER as AGENTS
from gateway.agents.agent_tools import granted_agent
from gateway.agents.builtin_tools import ASK_HUMAN, READ_RESULT
from gateway.agents.handoffs import transfer
from gateway.agents.knowledge_tools import knowledge_tools, readable
from gateway.agents.memory_tools import granted_memory, memory_tools
from gateway.agents.naming import named_servers, narrowed
from gateway.agents.plan import Granted, Listed, Plan
from gateway.agents.planning import function_of
from gateway.config import Settings
from gateway.config.agent_settings import PREFIX, AgentDefinition, called_by
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, Forbidden, InvalidRequest
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE, Tool, model_name
from gateway.pipeline.authorized import refusal
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import model as resource
from gateway.policies.facts import tool as tool_resource
from gateway.stores.agent_versions import AgentVersions
from gateway.stores.runs import Limits
from gateway.tools.hub import Hub, ToolNotReached

NANO: Final = 1_000_000_000
OF_THE_DEFINITION: Final = ("reasoning", "temperature", "tool_choice", "top_p")
"""Fields of a request that say how to think: with an agent the definition says so, and what a client writes is not heard."""
_PASSED: Final = ("include", "metadata", "prompt_cache_key", "safety_identifier", "service_tier", "truncation", "user")


class AgentsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """What one generation of the configuration says of agents; its settings are there for what is tried beside it."""

    agents: Mapping[str, AgentDefinition]
    authorizer: Authorizer
    settings: Settings | None = None


class AgentPlanner:
    """A Planner for models `agent/<name>`.

    `in_force` gives the agents of the present, `versions` keeps them for runs that go on with them later.
    """

    def __init__(
        self,
        in_force: Callable[[], AgentsInForce],
        hub: Hub | None,
        versions: AgentVersions,
    ) -> None:
        self._in_force = in_force
        self._hub = hub
        self._versions = versions

    def is_ours(self, entry: Json) -> bool:
        """Whether an entry of a request's `tools` is one that this server runs: agents' tools are not listed in requests."""
        del entry
        return False

    async def plan(
        self, caller: Caller, model: str, fields: dict[str, Json], *, version: str = "", agent: str = ""
    ) -> Plan | None:
        """Give the plan of a request to an agent; None for any other model. An agent in charge that is gone is in charge no more.

        Raises InvalidRequest, Forbidden, and Conflict for a version that nobody has any more.
        """
        if not model.startswith(PREFIX):
            return None
        now = self._in_force()
        asked = model.removeprefix(PREFIX)
        definition = await self._definition(agent, version, now) if agent not in ("", asked) else None
        handed = definition is not None
        if definition is None:
            definition = await self._definition(asked, version, now)
        if definition is None:
            return None  # the catalogue says what there is
        settings = definition.settings
        for name in dict.fromkeys((model, definition.model)):
            _require(now.authorizer, caller, name)
        named = named_servers(fields, definition, self._hub, handed=handed)
        granted, listed = narrowed(named, *await self._granted(definition, caller, now.authorizer))
        granted |= await self._transfers(definition, caller, now)
        if settings.workflow is None and (handed or granted.keys() - {ASK_HUMAN.name}):
            # Who takes over also finds results that the one before was shown the beginning of.
            granted[READ_RESULT.name] = READ_RESULT
        # Each time: with the last run that had it, it is forgotten.
        await self._versions.keep(definition)
        given = _fields(definition, granted, fields) if settings.workflow is None else _of_workflow(fields)
        return Plan(
            model=settings.model or definition.model,
            fields=given,
            granted=granted,
            listed=listed,
            limits=limits_of(definition),
            parallel=settings.parallel_tool_calls,
            agent=definition.name,
            version=definition.version,
            compact_at=settings.compact_at,
            workflow=settings.workflow,
        )

    async def _definition(self, name: str, version: str, now: AgentsInForce) -> AgentDefinition | None:
        current = now.agents.get(name)
        if not version or (current is not None and current.version == version):
            return current
        kept = await self._versions.find(version)
        if kept is None:
            msg = f"The version {version[:100]!r} of the agent {name[:100]!r}, with which the response began, is not kept any more."
            raise Conflict(msg, param="model")
        return kept

    async def _granted(
        self, definition: AgentDefinition, caller: Caller, authorizer: Authorizer
    ) -> tuple[dict[str, Granted], tuple[Listed, ...]]:
        granted: dict[str, Granted] = {}
        listed: list[Listed] = []
        for server, names in definition.settings.tools.items():
            tools, error = await self._tools(server, names)
            usable: list[Tool] = []
            for tool in tools:
                effect = authorizer.decide(caller, "use_tool", tool_resource(server, tool.name)).effect
                if effect != "deny":
                    asks = effect == "ask" or definition.settings.approval.get(tool.id) == "always"
                    name = model_name(server, tool.name)
                    granted[name] = Granted(name=name, tool=tool, wish="always" if asks else "")
                    usable.append(tool)
            listed.append(Listed(server=server, tools=tuple(usable), error=error))
        agents = self._agents(definition, caller, authorizer)
        granted.update({each.name: each for each in agents})
        if agents:
            listed.append(Listed(server=AGENTS, tools=tuple(each.tool for each in agents)))
        searching = self._searching(definition, caller, authorizer)
        granted.update({each.name: each for each in searching})
        if searching:
            listed.append(Listed(server=KNOWLEDGE, tools=tuple(each.tool for each in searching)))
        asking = definition.settings.ask_human
        if asking is not None:
            granted[ASK_HUMAN.name] = msgspec.structs.replace(ASK_HUMAN, people=asking.groups, ttl=asking.ttl)
        granted.update({each.name: each for each in self._memory(definition, caller, authorizer)})
        return granted, tuple(listed)

    def _memory(self, definition: AgentDefinition, caller: Caller, authorizer: Authorizer) -> Sequence[Granted]:
        """Give the tools of an agent's memory that its caller may use; none where the memory is not configured any more."""
        settings, use = self._in_force().settings, definition.settings.memory
        memory = None if settings is None or use is None else settings.memories.get(use.name)
        if memory is None or use is None:
            return ()
        found = []
        for tool in memory_tools(use.name, memory, definition.name, write=use.write):
            effect = authorizer.decide(caller, "use_tool", tool_resource(tool.server, tool.name)).effect
            if effect != "deny":
                asks = effect == "ask" or definition.settings.approval.get(tool.id) == "always"
                found.append(granted_memory(tool, asks=asks))
        return found

    def _agents(self, definition: AgentDefinition, caller: Caller, authorizer: Authorizer) -> Sequence[Granted]:
        """Give the agents that one may call and its caller may use."""
        agents = self._in_force().agents
        found = []
        for name in called_by(definition.settings):
            agent = agents.get(name)
            effect = authorizer.decide(caller, "use_agent", resource(PREFIX + name), SITUATION).effect
            # A step of a workflow is not left out: its call is refused, with the reason.
            if agent is not None and (effect != "deny" or definition.settings.workflow is not None):
                asks = effect == "ask" or definition.settings.approval.get(f"{AGENTS}/{name}") == "always"
                found.append(granted_agent(agent, asks=asks))
        return found

    def _searching(self, definition: AgentDefinition, caller: Caller, authorizer: Authorizer) -> Sequence[Granted]:
        """Give the tools that search and read those of an agent's knowledge bases that its caller may read; none where that is none."""
        settings, asked = self._in_force().settings, definition.settings.retrieval
        bases = {} if settings is None else settings.knowledge
        within = {name: asked[name].limit for name in readable(asked, bases, caller, authorizer)}
        found: list[Granted] = []
        for tool in knowledge_tools(bases, within) if within else ():
            effect = authorizer.decide(caller, "use_tool", tool_resource(tool.server, tool.name)).effect
            if effect != "deny":
                asks = effect == "ask" or definition.settings.approval.get(tool.id) == "always"
                name = model_name(tool.server, tool.name)
                found.append(Granted(name=name, tool=tool, wish="always" if asks else ""))
        return found

    async def _transfers(self, definition: AgentDefinition, caller: Caller, now: AgentsInForce) -> dict[str, Granted]:
        """Give the functions that hand over to other agents: those that there are, and that the caller may use."""
        found: dict[str, Granted] = {}
        for name in definition.settings.handoffs:
            to = now.agents.get(name)
            if to is not None and _may_use(now.authorizer, caller, to.model):
                # Kept before anything is written that names it: who takes the run over may know another.
                await self._versions.keep(to)
                granted = transfer(to)
                found[granted.name] = granted
        return found

    async def _tools(self, server: str, names: Collection[str]) -> tuple[Sequence[Tool], str]:
        """Give those of a server's tools that the agent has, and why there are none."""
        if self._hub is None:
            return (), "There are no tools here."
        try:
            return [tool for tool in await self._hub.tools(server) if tool.name in names], ""
        except ToolNotReached as error:
            # An agent without one of its servers can still say that it lacks it.
            return (), error.message


def limits_of(definition: AgentDefinition) -> Limits:
    """Give what a run of the agent may use."""
    limits = definition.settings.limits
    return Limits(
        steps=limits.steps,
        tool_calls=limits.tool_calls,
        tokens=limits.tokens,
        nano=None if limits.cost is None else round(limits.cost * NANO),
        seconds=limits.seconds,
        handoffs=limits.handoffs,
    )


def _may_use(authorizer: Authorizer, caller: Caller, model: str) -> bool:
    return authorizer.decide(caller, "use_agent", resource(model), SITUATION).allowed


def _require(authorizer: Authorizer, caller: Caller, model: str) -> None:
    subject = resource(model)
    decision = authorizer.decide(caller, "use_agent", subject, SITUATION)
    if not decision.allowed:
        raise Forbidden(refusal("use_agent", subject, decision), param="model")


def _fields(definition: AgentDefinition, granted: Mapping[str, Granted], asked: dict[str, Json]) -> dict[str, Json]:
    """Give the request to the model. Raises InvalidRequest for what a client cannot say to an agent."""
    settings = definition.settings
    fields: dict[str, Json] = {name: asked[name] for name in _PASSED if asked.get(name) is not None}
    fields["instructions"] = "\n\n".join(filter(None, (definition.instructions, _instructions(asked))))
    tools = [function_of(one) for _, one in sorted(granted.items())] + _of_the_client(asked, granted)
    if tools:
        fields["tools"] = tools
        fields["parallel_tool_calls"] = settings.parallel_tool_calls
    if settings.temperature is not None:
        fields["temperature"] = settings.temperature
    if (most := _least(settings.max_output_tokens, asked.get("max_output_tokens"))) is not None:
        fields["max_output_tokens"] = most
    if (text := _text(definition, asked)) is not None:
        fields["text"] = text
    return fields


def _of_workflow(asked: dict[str, Json]) -> dict[str, Json]:
    """Give what of a request there is to a workflow. Raises InvalidRequest for what only a model can take."""
    text = asked.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    for name, given in (("tools", asked.get("tools")), ("text.format", form)):
        if given and given != {"type": "text"}:
            msg = f"`{name}`: the agent follows a workflow, which calls no tools of clients and answers in text."
            raise InvalidRequest(msg, param=name)
    return {name: asked[name] for name in _PASSED if asked.get(name) is not None}


def _instructions(asked: dict[str, Json]) -> str:
    said = asked.get("instructions")
    return said if isinstance(said, str) else ""


def _of_the_client(asked: dict[str, Json], granted: Mapping[str, Granted]) -> list[Json]:
    """Give the client's own functions, which it runs itself. Raises InvalidRequest for any other tool."""
    found: list[Json] = []
    listed = asked.get("tools")
    for number, tool in enumerate(listed if isinstance(listed, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "mcp":
            continue  # one of the agent's own servers
        if kind not in ("function", "custom"):
            msg = f"`tools[{number}]`: an agent has the tools of its definition; a client can name its servers and add functions of its own, nothing else."
            raise InvalidRequest(msg, param=f"tools[{number}].type")
        if tool.get("name") in granted:
            msg = f"`tools[{number}].name`: the agent has a tool {str(tool['name'])[:64]!r} already."
            raise InvalidRequest(msg, param=f"tools[{number}].name")
        found.append(tool)
    return found


def _least(own: int | None, asked: Json) -> int | None:
    wanted = asked if isinstance(asked, int) and not isinstance(asked, bool) else None
    return min((number for number in (own, wanted) if number is not None), default=None)


def _text(definition: AgentDefinition, asked: dict[str, Json]) -> Json:
    """Give the form of the answer: the definition's where it has one, else the client's."""
    written: Json = asked.get("text")
    if definition.schema is None or definition.settings.output is None:
        return written
    output = definition.settings.output
    form = {"type": "json_schema", "name": output.name, "schema": definition.schema, "strict": output.strict}
    return {**(written if isinstance(written, dict) else {}), "format": form}
