"""The port of agents' versions: what an agent was when a run began with it, for as long as that run is kept.

The last run of a version takes it along when it is removed (`RunStore.remove`, `remove_expired`).
"""

from __future__ import annotations

from typing import Protocol

from gateway.config.agent_settings import AgentDefinition


class AgentVersions(Protocol):
    """Keeps definitions by their version. Everything raises StoreUnavailable."""

    async def keep(self, definition: AgentDefinition) -> None:
        """Keep a definition; one of the same version that is there stays."""
        ...

    async def find(self, version: str) -> AgentDefinition | None:
        """Give the definition of a version, None where it is not kept."""
        ...
