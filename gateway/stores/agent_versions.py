"""The port of agents' versions: what an agent was when a run began with it, or was handed over to it, for as long as that run is kept.

`RunStore.remove_expired` forgets those that no run refers to any more and that nobody has kept for SPARED seconds.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.config.agent_settings import AgentDefinition

SPARED: Final = 86_400.0
"""Seconds: a version is kept before the run, or the call that hands over, is written that names it, and that call may come much later."""


class AgentVersions(Protocol):
    """Keeps definitions by their version. Everything raises StoreUnavailable."""

    async def keep(self, definition: AgentDefinition) -> None:
        """Keep a definition for SPARED seconds from now at least; one of the same version that is there stays."""
        ...

    async def find(self, version: str) -> AgentDefinition | None:
        """Give the definition of a version, None where it is not kept."""
        ...
