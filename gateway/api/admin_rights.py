"""What each administrative role may do, and what it may hand on. A pure table: nothing here looks anything up.

Data-plane keys have no role, and so no right: who may call a model is no administrator for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from gateway.core.caller import DEFAULT_TENANT, Caller
from gateway.core.errors import Forbidden

Right = Literal["self", "read", "audit", "write", "asked", "approve", "erase"]
"""`self` is to see oneself and one's own usage, `read` to see the tenant's objects and usage, `audit` to read and verify the
audit log, `write` to make and change objects, `asked` to see what agents ask people, `approve` to answer what agents ask, `erase` to delete ledger rows."""

RIGHTS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        "owner": frozenset({"self", "read", "audit", "write", "asked", "approve", "erase"}),
        "admin": frozenset({"self", "read", "audit", "write", "asked"}),
        "auditor": frozenset({"self", "read", "audit", "asked"}),
        "approver": frozenset({"self", "asked", "approve"}),
        "member": frozenset({"self"}),
    }
)


def rights_of(role: str) -> frozenset[Right]:
    """Give the rights of a role; an unknown one, and none, have none."""
    return RIGHTS.get(role, frozenset())


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
