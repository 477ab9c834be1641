"""Agents as models: a route for each, so that every dialect, policy and record knows them without a way of their own.

What an agent spends is spent by the calls of its models, each with a record, limits and data protection of its own. So the outer call is recorded with
its run, and with nothing used: it is not paid for twice, and holds no place that its own calls would then wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.agents.agent_responder import PROVIDER, AgentProvider, FindDesk
from gateway.config.agent_settings import AgentDefinition
from gateway.config.routing_settings import BreakerSettings, RetrySettings
from gateway.core.record import Record
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.pipeline.build import build_routes
from gateway.pipeline.route import Modelled, Route, Surroundings
from gateway.routing.plan import RoutingPlan

_LONGEST: Final = 604_800.0
"""Seconds; how long a run may take, its own limits say."""


def agent_routes(
    agents: Mapping[str, AgentDefinition], surroundings: Surroundings, find_desk: FindDesk
) -> dict[str, Route]:
    """Give the routes of agents, by their models' names."""
    if not agents:
        return {}
    runs: dict[str, str] = {}
    provider = AgentProvider(find_desk, runs.__setitem__)
    take = surroundings.take_record

    def take_record(record: Record) -> None:
        used = None if record.usage is None else Usage()
        run = runs.pop(record.id, "")
        take(msgspec.structs.replace(record, usage=used, cost=0.0, cost_nano=0, run=run))

    around = Surroundings(
        take_record=take_record,
        cost=lambda target, usage: 0,
        clock=surroundings.clock,
        prices=surroundings.prices,
        open_entry=surroundings.open_entry,
        authorizer=surroundings.authorizer,
        conditions=surroundings.conditions,
        lines=surroundings.lines,
        spawn=surroundings.spawn,
        beside=surroundings.beside,
    )
    # Done once: a second try would be a second run, with all that its tools do.
    # And one that fails often is told of, not spared: its models have breakers of their own.
    breaker = BreakerSettings(failures=10_000, least=1_000_000)
    plan = RoutingPlan(retry=RetrySettings(attempts=1), breaker=breaker, deadline=_LONGEST)
    models = {
        agent.model: Modelled(
            targets=(Target(provider=PROVIDER, model=name),),
            plan=plan,
            description=agent.settings.description or None,
        )
        for name, agent in agents.items()
    }
    return build_routes(models, {PROVIDER: provider}, around)
