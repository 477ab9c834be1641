"""What each administrative role may do. A pure table: nothing here looks anything up.

Data-plane keys have no role, and so no right: who may call a model is no administrator for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

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
