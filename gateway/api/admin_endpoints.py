"""All endpoints of the admin API but reload. Who wires them gives the ports that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.agents.answers import Answers
from gateway.api import (
    admin_approvals,
    admin_audit,
    admin_batches,
    admin_budgets,
    admin_cache,
    admin_calls,
    admin_chargeback,
    admin_incidents,
    admin_keys,
    admin_knowledge,
    admin_memories,
    admin_prompts,
    admin_retention,
    admin_rollouts,
    admin_runs,
    admin_semantic,
    admin_service_accounts,
    admin_shadows,
    admin_targets,
    admin_teams,
    admin_tenants,
    admin_tools,
    admin_travel,
    admin_triggers,
    admin_usage,
    admin_users,
    admin_whoami,
)
from gateway.api.admin_services import Services
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.routing.condition import Condition
from gateway.routing.rollouts.conductor import Conductor
from gateway.tools.server_hub import ServerHub


def admin_endpoints(
    edge: Edge,
    services: Services,
    conditions: Callable[[], Iterable[Condition]] = tuple,
    rollouts: Conductor | None = None,
    cache: admin_cache.CacheDesk | None = None,
    tools: ServerHub | None = None,
    watching: admin_runs.Watching | None = None,
    answers: Answers | None = None,
) -> dict[str, AsgiApp]:
    """Give the endpoints by path.

    `conditions` are those of all targets, `rollouts` conducts those of all models, `cache` is what the cache shows, `tools` the hub.
    `watching` is what there is to see of runs, `answers` takes people's answers to what these ask.
    """
    families = (
        admin_tenants,
        admin_teams,
        admin_users,
        admin_service_accounts,
        admin_keys,
        admin_budgets,
        admin_usage,
        admin_calls,
        admin_chargeback,
        admin_retention,
        admin_audit,
        admin_batches,
        admin_shadows,
        admin_memories,
    )
    found = admin_whoami.endpoints(edge) | admin_targets.endpoints(edge, conditions)
    found |= admin_prompts.endpoints(edge) | admin_knowledge.endpoints(edge)
    if rollouts is not None:
        found |= admin_rollouts.endpoints(edge, services, rollouts)
    if cache is not None:
        found |= admin_cache.endpoints(edge, services, cache) | admin_semantic.endpoints(edge, services, cache.switch)
    if tools is not None:
        found |= admin_tools.endpoints(edge, services, tools)
    found |= admin_runs.endpoints(edge, services, watching) | admin_approvals.endpoints(edge, answers)
    found |= admin_travel.endpoints(edge, services, watching)
    found |= admin_triggers.endpoints(edge, services, watching) | admin_incidents.endpoints(edge, services, watching)
    for family in families:
        found |= family.endpoints(edge, services)
    return found
