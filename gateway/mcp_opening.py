"""Where /mcp comes from: its endpoint and its desk, put together for one application. It does none of their work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.agents.calling import Calling
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.identity import Identities
from gateway.api.mcp.counts import McpCounts
from gateway.api.mcp.desk import Configuration, McpDesk, Site
from gateway.api.mcp.endpoint import PATH, McpEndpoint
from gateway.api.mcp.pace import Pace
from gateway.api.mcp.sessions import Sessions
from gateway.api.mcp.states import States
from gateway.api.mcp_door import Entrance, Guarded, metadata
from gateway.config.mcp_door_settings import McpDoorSettings
from gateway.stores.audit_log import AuditLog
from gateway.stores.counters import CounterStore
from gateway.stores.sealing import Seal
from gateway.stores.session_notes import SessionNotes


class Mcp(msgspec.Struct, frozen=True, kw_only=True):
    """What an application has of it: what runs in its lifespan, and what answers where."""

    endpoint: McpEndpoint
    endpoints: dict[str, AsgiApp]


class Kept(Protocol):
    """The stores that it takes."""

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...

    @property
    def call_seal(self) -> Seal:
        """What seals the names of calls that clients keep."""
        ...

    @property
    def session_seal(self) -> Seal:
        """What seals sessions."""
        ...

    @property
    def session_notes(self) -> SessionNotes:
        """What is kept of them."""
        ...


class Shared(msgspec.Struct, frozen=True):
    """What it has in common with the rest of the application: where is counted, where is kept (None: nowhere), and who calls."""

    counters: CounterStore
    kept: Kept | None
    identities: Identities


def open_mcp(
    current: Callable[[], Configuration],
    edge: Edge,
    hub: Site,
    calling: Calling | None,
    counts: McpCounts,
    shared: Shared,
) -> Mcp:
    """Put it together; nothing is imported of the official library yet. Where nothing is kept of runs there is nothing at /mcp."""
    door = Door(current, shared.identities)
    told = metadata.endpoints(edge, door.entrance)
    if calling is None:
        endpoint = McpEndpoint(edge, None)
        return Mcp(endpoint=endpoint, endpoints={PATH: endpoint, **told})
    kept = shared.kept
    desk = McpDesk(
        current,
        edge=edge,
        hub=hub,
        calling=calling,
        states=States(None if kept is None else kept.call_seal),
        sessions=Sessions(
            None if kept is None else kept.session_seal,
            None if kept is None else kept.session_notes,
            edge.clock,
            edge.new_id,
        ),
        pace=Pace(shared.counters, edge.new_id, counts),
        audit=None if kept is None else kept.audit,
    )
    endpoint = McpEndpoint(edge, desk)
    guarded = Guarded(endpoint, door.served, desk.aimed, body_bytes=edge.body_bytes, depth=edge.json_depth)
    return Mcp(endpoint=endpoint, endpoints={PATH: guarded, **told})


class Door:
    """Gives the entrance of the present generation."""

    def __init__(self, current: Callable[[], Configuration], identities: Identities) -> None:
        self._current = current
        self._identities = identities
        self._made: tuple[Configuration, Entrance] | None = None

    def entrance(self) -> Entrance:
        """Give it."""
        now = self._current()
        if self._made is None or self._made[0] is not now:
            settings = now.settings
            self._made = now, Entrance.of(settings.mcp or McpDoorSettings(), settings, self._identities)
        return self._made[1]

    def served(self) -> Entrance | None:
        """Give it where there is anything behind it."""
        return None if self._current().settings.mcp is None else self.entrance()
