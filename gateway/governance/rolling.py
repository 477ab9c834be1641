"""Where rollouts come from: the conductor over the store and the audit log, as far as there are any. It does none of their work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.core.clock import Clock
from gateway.core.ids import new_id
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits
from gateway.stores.audit import AuditObject

if TYPE_CHECKING:
    from gateway.governance.opening import Governance


def open_rollouts(governance: Governance, splits: Splits, clock: Clock) -> Conductor:
    """Give the conductor of this process. Without a database rollouts begin anew with it."""
    kept = governance.kept
    replica = new_id("replica_")
    if kept is None:
        return Conductor(splits, clock, replica=replica)

    def tell(event: str, model: str, details: Mapping[str, Any]) -> None:
        kept.audit.record_later(event, about=AuditObject(kind="model", id=model), details=details)

    return Conductor(splits, clock, replica=replica, store=kept.rollouts, told=tell)
