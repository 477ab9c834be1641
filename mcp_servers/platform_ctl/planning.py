"""Plans: the difference that an order makes, from what there is. The same for every platform; what a platform needs besides, it adds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mcp_servers.platform_ctl.cluster import Change, Order, Plan, Revision
from mcp_servers.verbs import Refused


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an order begins from. `before` names this state; `history` is the newest first."""

    path: str
    replicas: int
    pods: Sequence[str]
    history: Sequence[Revision]
    before: str


def planned(order: Order, now: Standing) -> Plan:
    """Give the plan of an order on a workload; the target is a number of replicas or of a revision. Raises Refused."""
    if order.verb == "scale":
        change = Change(path=f"{now.path} replicas", before=now.replicas, after=order.replicas)
        changes = [] if now.replicas == order.replicas else [change]
        return Plan(changes=changes, before=now.before, target=order.replicas)
    if order.verb == "restart":
        change = Change(path=f"{now.path} pods", before=[*now.pods], after="each is replaced")
        return Plan(changes=[change], before=now.before)
    current = next((each for each in now.history if each.current), None)
    to = _wanted(order, now, current)
    if current is None or to.number == current.number:
        return Plan(changes=[], before=now.before, target=to.number)
    changes = [
        Change(path=f"{now.path} revision", before=current.number, after=to.number),
        Change(path=f"{now.path} version", before=current.version, after=to.version),
    ]
    return Plan(changes=changes, before=now.before, target=to.number)


def _wanted(order: Order, now: Standing, current: Revision | None) -> Revision:
    if order.revision is not None:
        found = [each for each in now.history if each.number == order.revision]
    else:
        found = [each for each in now.history if current is not None and each.number < current.number]
    if not found:
        wanted = "an earlier revision" if order.revision is None else f"a revision {order.revision}"
        msg = f"{now.path} has not {wanted} to go back to."
        raise Refused(msg)
    return found[0]


def drained(node: str, *, cordoned: bool, pods: Sequence[str], workloads: Sequence[str]) -> Plan:
    """Give the plan of draining a machine, from whether it takes no pods already, and what is on it."""
    changes = [] if cordoned else [Change(path=f"{node} schedulable", before=True, after=False)]
    changes += [Change(path=f"{node} pod {pod}", before="runs here", after="evicted") for pod in pods]
    return Plan(changes=changes, target={"pods": [*pods], "workloads": sorted(workloads)})
