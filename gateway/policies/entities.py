"""Callers and resources as Cedar's entities. Ids travel as JSON values, never as parts of a text that is parsed.

An id that a tenant gives to its own (a user, a team, a group, a service account) is qualified by the tenant, so that one
tenant's group `sre` is nobody else's: `acme/sre`. In the tenant `default` the name stands alone.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from gateway.config.policy_settings import ActionName
from gateway.core.caller import DEFAULT_TENANT, Caller
from gateway.policies.facts import Resource, Situation, server_of
from gateway.policies.schema import GROUPS

Uid = dict[str, str]

_TYPES = {
    "model": "Model",
    "agent": "Agent",
    "tool": "Tool",
    "resource": "Resource",
    "prompt": "Prompt",
    "endpoint": "Endpoint",
    "store": "VectorStore",
    "file": "File",
    "tenant": "Tenant",
}


def qualified(tenant: str, name: str) -> str:
    """Give the id of what `tenant` calls `name`. No two pairs have the same."""
    if tenant == DEFAULT_TENANT and "/" not in name:
        return name
    # The first slash is the boundary, so the tenant's own part may hold none.
    return f"{tenant.replace('%', '%25').replace('/', '%2F')}/{name}"


def principal_uid(caller: Caller) -> Uid:
    """Give who asks: a user (by a token), a service account (a trigger acts as one), a key, or nobody known."""
    if caller.kind == "anonymous":
        return {"type": "Anonymous", "id": "anonymous"}
    if caller.kind == "jwt":
        return {"type": "User", "id": qualified(caller.tenant, caller.user or caller.id)}
    if caller.kind in {"service", "trigger"}:
        return {"type": "ServiceAccount", "id": qualified(caller.tenant, caller.user or caller.id)}
    return {"type": "Key", "id": caller.id}


def resource_uid(resource: Resource) -> Uid:
    """Give what is asked for."""
    return {"type": _TYPES[resource.kind], "id": resource.id}


def entities(caller: Caller, resource: Resource) -> list[dict[str, Any]]:
    """Give what Cedar has to know of both: attributes, tags, and everything that they are in."""
    return [_principal(caller), _resource(resource)]


def context(action: ActionName, situation: Situation, at: float, zone: dt.tzinfo) -> dict[str, Any]:
    """Give what is known of the circumstances. `at` is in seconds since 1970; it is told to the minute."""
    known = clock_facts(at, zone)
    group = GROUPS[action]
    if group == "use":
        known |= {"operation": situation.operation, "dialect": situation.dialect, "stream": situation.stream}
    elif group == "administer":
        known |= {"section": situation.section}
    return known


def clock_facts(at: float, zone: dt.tzinfo) -> dict[str, Any]:
    """Give what is known of the time, to the minute. `at` is in seconds since 1970."""
    moment = dt.datetime.fromtimestamp(at // 60 * 60, dt.UTC)
    local = moment.astimezone(zone)
    return {
        "time": {"__extn": {"fn": "datetime", "arg": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}},
        "hour": local.hour,
        "weekday": local.isoweekday(),
    }


def _principal(caller: Caller) -> dict[str, Any]:
    uid = principal_uid(caller)
    parents: list[Uid] = [{"type": "Tenant", "id": caller.tenant}]
    if uid["type"] != "Anonymous":
        parents += _memberships(caller, uid)
    known = caller.user or caller.id if caller.kind in {"jwt", "service", "trigger"} else caller.id
    return {
        "uid": uid,
        "attrs": {"id": known, "tenant": {"__entity": {"type": "Tenant", "id": caller.tenant}}},
        "tags": dict(caller.tags),
        "parents": parents,
    }


def _memberships(caller: Caller, uid: Uid) -> list[Uid]:
    found = [{"type": "Group", "id": qualified(caller.tenant, group)} for group in caller.groups]
    if caller.team:
        found.append({"type": "Team", "id": qualified(caller.tenant, caller.team)})
    if caller.user and uid["type"] == "Key":
        found.append({"type": "User", "id": qualified(caller.tenant, caller.user)})
    if caller.role:
        found.append({"type": "Role", "id": caller.role})
    return found


def _resource(resource: Resource) -> dict[str, Any]:
    attributes: dict[str, Any] = {"id": resource.id}
    parents: list[Uid] = []
    if resource.kind == "tenant":
        attributes = {}
    elif resource.kind == "model":
        attributes["providers"] = list(resource.providers)
    elif resource.kind in {"tool", "resource", "prompt"}:
        parents = [{"type": "Server", "id": server_of(resource.id)}]
    elif resource.kind in {"store", "file"}:
        owner = {"type": "Tenant", "id": resource.tenant or DEFAULT_TENANT}
        attributes["tenant"] = {"__entity": owner}
        parents = [owner]
    return {"uid": resource_uid(resource), "attrs": attributes, "parents": parents}


def encoded(caller: Caller, resource: Resource) -> str:
    """Give the entities as JSON text. Raises UnicodeEncodeError for lone surrogates."""
    return msgspec.json.encode(entities(caller, resource)).decode()
