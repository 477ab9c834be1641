"""The patterns of a caller's own lists of models and tools: the cheap check, which holds without any policy."""

from __future__ import annotations

from gateway.config.policy_settings import ActionName
from gateway.core.caller import Caller
from gateway.policies.facts import Resource


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns is the name, or, ending in `*`, begins it. No patterns match everything."""
    if not patterns:
        return True
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns)


def on_list(caller: Caller, action: ActionName, resource: Resource) -> bool:
    """Whether the caller's own lists leave room for this.

    Agents are on the list of models, as `agent/<name>`; what else servers of tools offer is on the list of tools, as `server/<URI or name>`.
    """
    if action == "use_model":
        return matches(caller.models, resource.id)
    if action == "use_agent":
        return matches(caller.models, f"agent/{resource.id}")
    if action in {"use_tool", "read_resource", "use_prompt"}:
        return matches(caller.tools, resource.id)
    return True
