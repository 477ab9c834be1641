"""What is wanted of a workload, where the platform itself keeps that: how orders change it, and whether one did."""

from __future__ import annotations

import msgspec

from mcp_servers.platform_ctl.cluster import Order, Outcome, Plan
from mcp_servers.verbs import Refused


class Wanted(msgspec.Struct, kw_only=True):
    """What each platform keeps of a workload, besides what is its own. Copies belong to `template`: the revision, and how often they were all replaced.

    `changed` counts all changes, `mark` is that of the last order, and `moved_at` its second by the platform's clock.
    """

    namespace: str
    name: str
    replicas: int
    revision: int
    restarts: int = 0
    changed: int = 0
    mark: str = ""
    moved_at: float = 0.0

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def template(self) -> tuple[int, int]:
        """What copies are made from now."""
        return (self.revision, self.restarts)

    def change(self, order: Order, plan: Plan, mark: str, at: float) -> None:
        """Carry an order out. Raises Refused where the plan was made from another state."""
        if str(self.changed) != plan.before:
            msg = f"{self.path} was changed by somebody else in the meantime: nothing was done. Look again."
            raise Refused(msg)
        if order.verb == "scale":
            self.replicas = plan.target
        elif order.verb == "rollback":
            self.revision = plan.target
        else:
            self.restarts += 1
        self.changed += 1
        self.mark, self.moved_at = mark, at

    def outcome(self, plan: Plan, mark: str) -> Outcome:
        """Say whether an order was carried out."""
        if self.mark == mark:
            return "done"
        return "not_done" if str(self.changed) == plan.before else "unknown"
