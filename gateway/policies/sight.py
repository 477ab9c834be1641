"""What a policy can see: which facts it reads, and of which kinds of thing it speaks. Found in its parsed form.

A decision may be remembered under exactly the facts that the policies behind it can see, and under no fewer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
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
    for node in _nodes(policy):
        if isinstance(node, pst.GetAttr) and node.base == _CONTEXT:
            attributes.add(node.attr)
        elif isinstance(node, pst.HasAttr) and node.base == _CONTEXT:
            attributes.add(node.attrs[0])
        elif isinstance(node, pst.EntityUid):
            endpoints = endpoints or str(node.type) == "Endpoint" or node.id == "use_endpoint"
        elif isinstance(node, pst.ScopeIs | pst.ScopeIsIn | pst.Is):
            endpoints = endpoints or str(node.entity_type) == "Endpoint"
    whole = _uses_whole_context(policy)
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


def _uses_whole_context(policy: pst.Template) -> bool:
    """Whether the context occurs other than as the owner of an attribute: then everything in it may matter."""
    everywhere = sum(node == _CONTEXT for node in _nodes(policy))
    as_owner = sum(isinstance(node, pst.GetAttr | pst.HasAttr) and node.base == _CONTEXT for node in _nodes(policy))
    return everywhere != as_owner


def _nodes(root: object) -> Iterator[object]:
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, tuple):
            waiting.extend(node)
        elif dataclasses.is_dataclass(node):
            yield node
            waiting.extend(getattr(node, field.name) for field in dataclasses.fields(node))
