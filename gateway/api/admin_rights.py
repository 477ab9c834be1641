"""How far an administrator sees, and what he may hand on. Pure: nothing here looks anything up."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.caller import DEFAULT_TENANT, Caller
from gateway.core.errors import Forbidden
from gateway.core.rights import rights_of


def is_platform_owner(caller: Caller) -> bool:
    """Whether the caller administers all tenants: an owner of the default one."""
    return caller.role == "owner" and caller.tenant == DEFAULT_TENANT


def sees(caller: Caller, tenant: str) -> bool:
    """Whether the objects of `tenant` exist, as far as the caller can know."""
    return caller.tenant == tenant or is_platform_owner(caller)


def require_cover(
    caller: Caller, *, role: str = "", models: Iterable[str] | None = None, tools: Iterable[str] | None = None
) -> None:
    """Raise Forbidden where `role`, `models` or `tools` reach further than the caller's own.

    An admin does not hand out approvals, nor somebody with two models all of them. Patterns are those of Caller: none
    is everything, a `*` ends a prefix. None is a list that is not touched.
    """
    if not rights_of(role) <= rights_of(caller.role):
        msg = f"The role {role!r} has rights that yours ({caller.role or 'none'}) has not: it is not yours to give or change."
        raise Forbidden(msg, param="role")
    _require_patterns("models", caller.models, models)
    _require_patterns("tools", caller.tools, tools)


def _require_patterns(name: str, own: tuple[str, ...], wanted: Iterable[str] | None) -> None:
    if not own or wanted is None:
        return
    asked = tuple(wanted)
    if asked and all(any(_within(pattern, mine) for mine in own) for pattern in asked):
        return
    msg = f"`{name}` reaches further than your own key does, which is held to: {', '.join(own)[:200]}."
    raise Forbidden(msg, param=name)


def _within(pattern: str, own: str) -> bool:
    """Whether all that `pattern` fits, `own` fits too."""
    return pattern == own or (own.endswith("*") and pattern.startswith(own[:-1]))
