"""Where /mcp comes from: its endpoint and its desk, put together for one application. It does none of their work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.agents.calling import Calling
from gateway.api.edge import Edge
from gateway.api.mcp.counts import McpCounts
from gateway.api.mcp.desk import Configuration, McpDesk
from gateway.api.mcp.endpoint import McpEndpoint
from gateway.api.mcp.pace import Pace
from gateway.api.mcp.states import States
from gateway.stores.audit_log import AuditLog
from gateway.stores.counters import CounterStore
from gateway.stores.sealing import Seal
from gateway.tools.server_hub import ServerHub


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


def open_mcp(
    current: Callable[[], Configuration],
    edge: Edge,
    hub: ServerHub,
    calling: Calling | None,
    counters: CounterStore,
    counts: McpCounts,
    kept: Kept | None,
) -> McpEndpoint:
    """Put it together; nothing is imported of the official library yet. Where nothing is kept of runs there is nothing at /mcp."""
    if calling is None:
        return McpEndpoint(edge, None)
    desk = McpDesk(
        current,
        edge=edge,
        hub=hub,
        calling=calling,
        states=States(None if kept is None else kept.call_seal),
        pace=Pace(counters, edge.new_id, counts),
        counts=counts,
        audit=None if kept is None else kept.audit,
    )
    return McpEndpoint(edge, desk)
