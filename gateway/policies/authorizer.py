"""Answers "may this caller do this?": the caller's own lists first, then the policies, remembered. One a generation.

It needs no Cedar: where no policies are configured the lists alone decide. A decision is remembered under everything that
the policies for its action can see (`sight`): always the whole caller and resource; the circumstances of the call where a
policy reads them; the time, to the minute, where a policy reads it. So what is remembered is never older than what it was
decided on, and a new generation begins with nothing remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from gateway.config.faults import Fault
from gateway.config.policy_settings import ActionName
from gateway.core.caller import Caller
from gateway.core.tools import Tool
from gateway.policies.decision import NOT_ON_KEY, OPEN, CallDecision, Decision, Rule
from gateway.policies.facts import NO_SITUATION, Resource, Situation
from gateway.policies.patterns import on_list
from gateway.policies.tool_judgement import ToolFacts

LARGEST_KEPT = 4096
"""Characters of a question's facts beyond which its decision is not kept, so that the cache is bounded in bytes too."""


class Sight(Protocol):
    """Which circumstances the policies for an action can see."""

    @property
    def call(self) -> bool:
        """The operation, the dialect, whether it streams, the section."""
        ...

    @property
    def time(self) -> bool:
        """The time, to the minute."""
        ...


class Judge(Protocol):
    """The policies of a generation."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, by id."""
        ...

    @property
    def speak_of_endpoints(self) -> bool:
        """Whether a policy says anything about endpoints in so many words."""
        ...

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all policies."""
        ...

    def sight(self, action: ActionName) -> Sight:
        """Give what the policies for an action can see."""
        ...

    def judge(
        self, caller: Caller, action: ActionName, resource: Resource, situation: Situation, at: float
    ) -> Decision:
        """Decide; `at` is in seconds since 1970."""
        ...

    def judge_call(self, facts: ToolFacts) -> CallDecision:
        """Decide about a call of a tool."""
        ...

    def may_lift(self, called: Tool, rule: str) -> bool:
        """Whether a policy could lift a built-in rule for some call of a tool."""
        ...

    def misfits(self, called: Tool) -> tuple[Fault, ...]:
        """Give the policies that could err for what a tool's definition says of its arguments."""
        ...


class Authorizer:
    """Decides for one generation of the configuration. `wall` gives seconds since 1970."""

    def __init__(self, judge: Judge | None, *, wall: Callable[[], float], capacity: int = 10_000) -> None:
        self._judge = judge
        self._wall = wall
        self._capacity = capacity
        self._crowded = capacity // 2
        self._sights: dict[ActionName, tuple[bool, bool]] = {}
        self._known: OrderedDict[tuple[object, ...], Decision] = OrderedDict()
        self.asks_about_endpoints = judge is not None and judge.speak_of_endpoints
        self.evaluated = 0

    def decide(
        self, caller: Caller, action: ActionName, resource: Resource, situation: Situation = NO_SITUATION
    ) -> Decision:
        """Say whether the caller may do `action` with `resource`, and which rules say so. It raises nothing."""
        judge = self._judge
        if judge is None:
            return OPEN if on_list(caller, action, resource) else NOT_ON_KEY
        sees_call, sees_time = self._sights.get(action) or self._look(judge, action)
        minute = self._wall() // 60 if sees_time else 0.0
        key = (caller, action, resource, situation if sees_call else None, minute)
        known = self._known
        decision = known.get(key)
        if decision is not None:
            if len(known) > self._crowded:
                known.move_to_end(
                    key
                )  # nothing is forgotten before there is a crowd, and then what was asked for longest ago
            return decision
        if on_list(caller, action, resource):
            self.evaluated += 1
            decision = judge.judge(caller, action, resource, situation, minute * 60)
        else:
            decision = NOT_ON_KEY
        self._keep(key, decision, caller, resource, situation)
        return decision

    def lasts(self, caller: Caller, action: ActionName, resource: Resource, situation: Situation) -> bool:
        """Whether the decision stays what it is for as long as this generation lives, and is small enough to be kept."""
        if not self._capacity or _size(caller, resource, situation) > LARGEST_KEPT:
            return False
        return self._judge is None or not (self._sights.get(action) or self._look(self._judge, action))[1]

    def _look(self, judge: Judge, action: ActionName) -> tuple[bool, bool]:
        sight = judge.sight(action)
        self._sights[action] = (sight.call, sight.time)
        return self._sights[action]

    @property
    def rule_ids(self) -> frozenset[str]:
        """The ids of the policies in force."""
        return frozenset() if self._judge is None else self._judge.ids

    @property
    def policies(self) -> Judge | None:
        """The policies, None where none are configured."""
        return self._judge

    @property
    def remembered(self) -> int:
        """How many decisions are kept."""
        return len(self._known)

    def _keep(
        self, key: tuple[object, ...], decision: Decision, caller: Caller, resource: Resource, situation: Situation
    ) -> None:
        if not self._capacity or _size(caller, resource, situation) > LARGEST_KEPT:
            return
        self._known[key] = decision
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _size(caller: Caller, resource: Resource, situation: Situation) -> int:
    """Characters that a remembered question holds on to."""
    texts = [caller.id, caller.tenant, caller.team, caller.user, caller.role, *caller.groups, *caller.models]
    texts += [*caller.tools, *(part for tag in caller.tags for part in tag)]
    texts += [resource.id, resource.tenant, *resource.providers, situation.operation, situation.dialect]
    return sum(map(len, texts)) + len(situation.section)
