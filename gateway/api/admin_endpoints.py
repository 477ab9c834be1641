"""All endpoints of the admin API but reload. Who wires them gives the ports that there are."""

from __future__ import annotations

from gateway.api import (
    admin_audit,
    admin_budgets,
    admin_chargeback,
    admin_keys,
    admin_retention,
    admin_service_accounts,
    admin_teams,
    admin_tenants,
    admin_usage,
    admin_users,
    admin_whoami,
)
from gateway.api.admin_services import Services
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge


def admin_endpoints(edge: Edge, services: Services) -> dict[str, AsgiApp]:
    """Give the endpoints by path."""
    families = (
        admin_tenants,
        admin_teams,
        admin_users,
        admin_service_accounts,
        admin_keys,
        admin_budgets,
        admin_usage,
        admin_chargeback,
        admin_retention,
        admin_audit,
    )
    found = admin_whoami.endpoints(edge)
    for family in families:
        found |= family.endpoints(edge, services)
    return found
