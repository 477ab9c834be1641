"""Where runs come from: their executor and their desk, put together for one application. It does none of their work."""

from __future__ import annotations

import secrets
import socket
from functools import partial

import msgspec

from gateway.agents.calling import Calling
from gateway.agents.costs import Costs
from gateway.agents.counts import Counts
from gateway.agents.executor import Executor
from gateway.agents.forgetting import forget_expired
from gateway.agents.listeners import Listeners
from gateway.agents.means import Means, ToolMeans
from gateway.agents.news_source import News
from gateway.agents.running import Running
from gateway.api.edge import Edge
from gateway.api.inside import rights_now
from gateway.config.run_settings import RunSettings
from gateway.stores.conversations import ConversationStore
from gateway.stores.key_ring import KeyRing
from gateway.stores.runs import RunStore


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """What an application has that keeps responses. `most_items` is how many a conversation may have; `calling` is None where runs have no tools."""

    desk: Running
    executor: Executor
    conversations: ConversationStore
    most_items: int
    costs: Costs
    news: News
    calling: Calling | None = None


def open_runs(
    settings: RunSettings,
    edge: Edge,
    counts: Counts,
    ring: KeyRing,
    *,
    runs: RunStore,
    conversations: ConversationStore,
    tools: ToolMeans | None = None,
) -> Runs:
    """Put it together; nothing runs yet. `counts` is what the metrics read."""
    costs = Costs()
    means = Means(
        runs=runs,
        conversations=conversations,
        settings=settings,
        current=edge.current,
        known=partial(rights_now, ring=ring, wall=edge.clock.wall, made="response"),
        counts=counts,
        listeners=Listeners(counts),
        clock=edge.clock,
        new_id=edge.new_id,
        # For people who read the table; what fences is the epoch.
        owner=f"{socket.gethostname()[:100]}-{secrets.token_hex(4)}",
        tools=tools,
        costs=costs,
        seal=edge.seal,
    )
    executor = Executor(means)
    desk = Running(means, executor)
    if tools is not None and tools.memory is not None:
        executor.beside(partial(forget_expired, tools.memory.store, edge.clock))
    if desk.approvals is not None:
        executor.beside(desk.approvals.watch)
    return Runs(
        desk=desk,
        executor=executor,
        conversations=conversations,
        most_items=settings.context_items,
        costs=costs,
        news=means.news,
        calling=None if tools is None else Calling(means, tools, executor, desk),
    )
