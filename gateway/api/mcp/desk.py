"""What the handlers of /mcp need: a record, without behaviour but for what it looks up in the present configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from gateway.agents.calling import Calling
from gateway.agents.knowledge_tools import readable
from gateway.api.edge import Edge
from gateway.api.mcp.names import Named, table_of
from gateway.api.mcp.pace import Pace
from gateway.api.mcp.sessions import Sessions
from gateway.api.mcp.states import States
from gateway.api.mcp_door import Aimed
from gateway.config import Settings
from gateway.config.agent_settings import AGENTS, PREFIX, AgentDefinition, AgentDocuments
from gateway.config.knowledge_settings import KnowledgeSettings
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.core.caller import Caller
from gateway.core.tools import KNOWLEDGE, Tool
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Situation
from gateway.policies.facts import model as agent_resource
from gateway.policies.facts import tool as tool_resource
from gateway.stores.audit_log import AuditLog
from gateway.tools.changes import Changes
from gateway.tools.hub import Hub
from gateway.tools.logged import Hearers
from gateway.tools.server_offers import ServerOffers

_SITUATION = Situation(operation="generate", dialect="openai_responses")
"""How it is asked whether an agent may be used: as everywhere."""


class Configuration(Protocol):
    """One generation of the configuration, as the handlers see it."""

    @property
    def settings(self) -> Settings:
        """Its settings."""
        ...

    @property
    def agents(self) -> AgentDocuments:
        """Its agents."""
        ...

    @property
    def authorizer(self) -> Authorizer:
        """What callers may do."""
        ...


class Site(Hub, Protocol):
    """The hub, and what it has besides tools."""

    @property
    def hearers(self) -> Hearers:
        """Who hears what is logged in calls."""
        ...

    @property
    def offers(self) -> ServerOffers:
        """Resources, prompts and completion."""
        ...

    @property
    def changes(self) -> Changes:
        """What is new."""
        ...


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What there is for clients in one generation. `table` has every name, sorted."""

    settings: McpEndpointSettings
    table: Mapping[str, Named]
    agents: Mapping[str, AgentDefinition]
    authorizer: Authorizer
    public_url: str
    knowledge: Mapping[str, KnowledgeSettings] = {}

    def bases(self, caller: Caller) -> list[str]:
        """Give the knowledge bases that a caller may search and read here."""
        return readable(sorted(self.knowledge), self.knowledge, caller, self.authorizer)

    def shows(self, caller: Caller, named: Named) -> bool:
        """Whether a caller may use what a name stands for at all; what he may not use is not there for him."""
        if named.server == KNOWLEDGE and not self.bases(caller):
            return False
        if named.server:
            return self.authorizer.decide(caller, "use_tool", tool_resource(named.server, named.tool)).effect != "deny"
        if not named.agent:
            return True
        subject = agent_resource(PREFIX + named.agent)
        known = named.agent in self.agents
        return known and self.authorizer.decide(caller, "use_agent", subject, _SITUATION).effect != "deny"

    def approval_url(self, approval: str) -> str:
        """Give the page where people answer; empty where none is known."""
        written = self.settings.approval_url
        if written is not None:
            return written.replace("{approval}", approval)
        return f"{self.public_url.rstrip('/')}/admin/approvals/{approval}" if self.public_url else ""


class McpDesk:
    """Shared by all handlers of one application. `current` gives the present generation; `states` and `sessions` seal what clients keep between two requests."""

    def __init__(
        self,
        current: Callable[[], Configuration],
        *,
        edge: Edge,
        hub: Site,
        calling: Calling,
        states: States,
        sessions: Sessions,
        pace: Pace,
        audit: AuditLog | None,
    ) -> None:
        self._current = current
        self.edge = edge
        self.hub: Hub = hub
        self.hearers, self.offers, self.changes = hub.hearers, hub.offers, hub.changes
        self.calling = calling
        self.states = states
        self.sessions = sessions
        self.pace = pace
        self.counts = pace.counts
        self.audit = audit
        self._offer: tuple[Configuration, Offer] | None = None

    @property
    def configured(self) -> bool:
        """Whether there is anything for clients."""
        return self._current().settings.mcp is not None

    def offer(self) -> Offer:
        """Give what there is for clients now. Ask only where it is `configured`."""
        now = self._current()
        if self._offer is not None and self._offer[0] is now:
            return self._offer[1]
        settings = now.settings.mcp or McpEndpointSettings()
        offer = Offer(
            settings=settings,
            table=table_of(settings),
            agents={name: agent for name, agent in now.agents.agents.items() if name in settings.agents},
            authorizer=now.authorizer,
            public_url=now.settings.tools.public_url or "",
            knowledge={name: now.settings.knowledge[name] for name in settings.knowledge},
        )
        self._offer = (now, offer)
        return offer

    def aimed(self, caller: Caller, name: str) -> Aimed | None:
        """Give what a tool's name stands for, for whoever judges scopes; None for what a caller does not know."""
        offer = self.offer()
        named = offer.table.get(name)
        if named is None or not (named.server or named.agent) or not offer.shows(caller, named):
            return None
        if named.agent:
            return Aimed(id=f"{AGENTS}/{named.agent}", effect="once")
        tool = self.known(name)
        return Aimed(id=f"{named.server}/{named.tool}", effect="once" if tool is None else tool.effect)

    def known(self, name: str) -> Tool | None:
        """Give the tool of a name as far as it is known now; nothing is waited for."""
        named = self.offer().table.get(name)
        info = self.hub.server(named.server) if named is not None and named.server else None
        return None if info is None or named is None else next((t for t in info.tools if t.name == named.tool), None)
