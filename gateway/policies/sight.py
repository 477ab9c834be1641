"""What a policy can see: which facts it reads, and of which kinds of thing it speaks. Found in its parsed form.

A decision may be remembered under exactly the facts that the policies behind it can see, and under no fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from cedarpy import pst

from gateway.config.policy_settings import ActionName
from gateway.policies.schema import ADMINISTRATION, CALL, GROUPS, MOMENT


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """`call`: how it is asked for. `time`: when. `endpoints`: the policy speaks of endpoints in so many words."""

    call: bool = False
    time: bool = False
    endpoints: bool = False

    def __or__(self, other: Sight) -> Sight:
        return Sight(
            call=self.call or other.call, time=self.time or other.time, endpoints=self.endpoints or other.endpoints
        )


def sight_of(policy: pst.Template) -> Sight:
    """Give what the policy can see."""
    attributes: set[str] = set()
    endpoints = False
    contexts = owners = 0
    for node in _nodes(policy):
        if isinstance(node, pst.Var):
            contexts += node.name == "context"
        elif isinstance(node, pst.GetAttr | pst.HasAttr):
            if node.base == _CONTEXT:
                owners += 1
                attributes.add(node.attr if isinstance(node, pst.GetAttr) else node.attrs[0])
        elif isinstance(node, pst.EntityUid):
            endpoints = endpoints or str(node.type) == "Endpoint" or node.id == "use_endpoint"
        elif isinstance(node, pst.ScopeIs | pst.ScopeIsIn | pst.Is):
            endpoints = endpoints or str(node.entity_type) == "Endpoint"
    # Where the context is more than the owner of an attribute, everything in it may matter.
    whole = contexts != owners
    return Sight(
        call=whole or not attributes.isdisjoint((*CALL, *ADMINISTRATION)),
        time=whole or not attributes.isdisjoint(MOMENT),
        endpoints=endpoints,
    )


def applies_to(policy: pst.Template, action: ActionName) -> bool:
    """Whether the head of the policy leaves room for the action."""
    head = policy.action
    if isinstance(head, pst.ActionEq):
        return head.entity.id == action
    if isinstance(head, pst.ActionIn):
        return not {action, GROUPS[action]}.isdisjoint(entity.id for entity in head.entities)
    return True


_CONTEXT = pst.Var(name="context")


def _nodes(root: object) -> Iterator[object]:
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        names = getattr(node, "__dataclass_fields__", None)
        if names is not None:
            yield node
            waiting.extend(getattr(node, name) for name in names)
        elif isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
