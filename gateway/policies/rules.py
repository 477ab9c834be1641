"""The policies of one folder, parsed once: the engine behind decisions. It imports Cedar; import it only when it is configured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal

import cedarpy
import msgspec
from cedarpy import pst

from gateway.config.faults import ConfigError, Fault
from gateway.config.policy_settings import ActionName, PolicyDocuments
from gateway.core.caller import Caller
from gateway.core.tools import Tool
from gateway.policies.argument_values import ArgumentUnreadable
from gateway.policies.call_policies import CallPolicies
from gateway.policies.decision import CallDecision, Decision, Rule, strictest
from gateway.policies.entities import context, encoded, principal_uid, resource_uid
from gateway.policies.facts import Resource, Situation, tool
from gateway.policies.reading import Parsed, Unreadable, open_schema, read_policy
from gateway.policies.schema import GROUPS
from gateway.policies.sight import Sight, applies_to
from gateway.policies.source import MOST_POLICIES, Piece, divide
from gateway.policies.tool_judgement import ToolFacts

BLIND = Sight()


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """The policies that can decide about one action, as Cedar's handle; None where there is none."""

    policies: cedarpy.PolicySet | None


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluation said: `spoke` is False where no policy permits or forbids."""

    allowed: bool = False
    ids: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class Rules:
    """Decides by the policies. Pure: the same question gets the same answer, whatever was asked before."""

    def __init__(self, parsed: Iterable[Parsed], *, default: Literal["allow", "deny"], zone: dt.tzinfo) -> None:
        ordered = sorted(parsed, key=lambda entry: entry.rule.id)
        self._schema = open_schema()
        self._default: Literal["allow", "deny"] = default
        self._zone = zone
        self._parsed = {entry.rule.id: entry for entry in ordered}
        self._calls = CallPolicies([entry for entry in ordered if applies_to(entry.tree, "call_tool")])
        self._first = {action: _part(ordered, action, fallback=False) for action in GROUPS}
        self._then = {action: _part(ordered, action, fallback=True) for action in GROUPS}
        self._sight = {action: _sight(ordered, action) for action in GROUPS}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, by id."""
        return tuple(entry.rule for entry in self._parsed.values())

    @property
    def speak_of_endpoints(self) -> bool:
        """Whether a policy says anything about endpoints in so many words."""
        return any(entry.sight.endpoints for entry in self._parsed.values())

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all policies."""
        return frozenset(self._parsed)

    def sight(self, action: ActionName) -> Sight:
        """Give what the policies for an action can see."""
        return self._sight[action]

    def judge(
        self, caller: Caller, action: ActionName, resource: Resource, situation: Situation, at: float
    ) -> Decision:
        """Decide. `at` is in seconds since 1970. Whatever goes wrong on the way is a denial."""
        try:
            return self._decide(caller, action, resource, context(action, situation, at, self._zone))
        except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
            # An id that is no Unicode text, an action that no resource of this kind has, a clock out of range.
            return Decision(effect="deny", why="error", errors=(f"{type(error).__name__}: {error}"[:500],))

    def judge_call(self, facts: ToolFacts) -> CallDecision:
        """Decide about a call of a tool. Whatever goes wrong on the way is a denial."""
        try:
            circumstances = self._calls.context(facts, self._zone)
            decision = self._decide(facts.caller, "call_tool", tool(facts.tool.server, facts.tool.name), circumstances)
        except ArgumentUnreadable as error:
            return CallDecision(decision=Decision(effect="deny", why="error", errors=(str(error),)), unreadable=True)
        except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError) as error:
            errors = (f"{type(error).__name__}: {error}"[:500],)
            return CallDecision(decision=Decision(effect="deny", why="error", errors=errors))
        lifted = (
            frozenset[str]().union(*(self._parsed[name].lifts for name in decision.ids))
            if decision.allowed
            else frozenset[str]()
        )
        return CallDecision(decision=decision, lifted=lifted)

    def may_lift(self, called: Tool, rule: str) -> bool:
        """Whether a policy could lift a built-in rule for some call of a tool."""
        return self._calls.may_lift(called, rule)

    def misfits(self, called: Tool) -> tuple[Fault, ...]:
        """Give the policies that err, or could, for the arguments that a tool's definition tells of."""
        return self._calls.misfits(called)

    def _decide(
        self, caller: Caller, action: ActionName, resource: Resource, circumstances: dict[str, Any]
    ) -> Decision:
        known = encoded(caller, resource)
        request = {
            "principal": principal_uid(caller),
            "action": {"type": "Action", "id": action},
            "resource": resource_uid(resource),
            "context": circumstances,
        }
        # What arguments a tool has no schema says that is the same for all: for them the values' own types hold.
        schema = None if action == "call_tool" else self._schema
        for part in (self._first[action], self._then[action]):
            answer = self._ask(part, request, known, schema)
            if answer.errors:
                return self._erred(answer)
            if answer.ids:
                return self._spoken(answer)
        return Decision(effect=self._default, why="default")

    def _ask(
        self, part: _Part, request: dict[str, dict[str, Any]], known: str, schema: cedarpy.Schema | None
    ) -> _Answer:
        if part.policies is None:
            return _Answer()
        result = cedarpy.is_authorized(request, part.policies, known, schema=schema)
        errors = tuple(str(error)[:500] for error in result.diagnostics.errors)
        ids = tuple(sorted(result.diagnostics.reasons))
        if result.decision is cedarpy.Decision.NoDecision and not errors:
            errors = ("no decision",)
        return _Answer(allowed=result.decision is cedarpy.Decision.Allow, ids=ids, errors=errors)

    def _erred(self, answer: _Answer) -> Decision:
        # Cedar skips a policy that errs, a forbid too: what is left may allow what was meant to be forbidden.
        return Decision(effect="deny", why="error", rules=self._named(answer.ids), errors=answer.errors)

    def _spoken(self, answer: _Answer) -> Decision:
        rules = self._named(answer.ids)
        if answer.allowed:
            return Decision(effect="allow", why="policy", rules=rules)
        wanted = [self._parsed[name].approval for name in answer.ids]
        approvals = tuple(approval for approval in wanted if approval is not None)
        if len(approvals) == len(wanted):
            return Decision(effect="ask", why="policy", rules=rules, approvals=strictest(approvals))
        hard = tuple(rule for rule in rules if self._parsed[rule.id].approval is None)
        return Decision(effect="deny", why="policy", rules=hard)

    def _named(self, ids: tuple[str, ...]) -> tuple[Rule, ...]:
        return tuple(self._parsed[name].rule for name in ids)


def open_rules(documents: PolicyDocuments) -> Rules:
    """Parse and check the policies of a folder. Raises ConfigError with every fault, by file, line and policy."""
    pieces: list[Piece] = []
    faults: list[Fault] = []
    for text in documents.texts:
        found, problems = divide(text)
        pieces += found
        faults += problems
    if len(pieces) > MOST_POLICIES:
        message = f"more than {MOST_POLICIES:,} policies ({len(pieces):,})"
        raise ConfigError([Fault(file=documents.folder, message=message)])
    schema = open_schema()
    parsed: dict[str, Parsed] = {}
    for piece in pieces:
        try:
            entry = read_policy(piece, schema)
        except Unreadable as error:
            faults += error.faults
            continue
        first = parsed.setdefault(entry.rule.id, entry)
        if first is not entry:
            message = f"the id is taken: {first.rule.path}:{first.rule.line} has it too"
            faults.append(Fault(file=piece.path, line=piece.line, path=entry.rule.id, message=message))
    if faults:
        raise ConfigError(faults)
    return Rules(parsed.values(), default=documents.default, zone=documents.zone)


def _relevant(parsed: list[Parsed], action: ActionName) -> list[Parsed]:
    return [entry for entry in parsed if applies_to(entry.tree, action)]


def _part(parsed: list[Parsed], action: ActionName, *, fallback: bool) -> _Part:
    trees = {entry.rule.id: entry.tree for entry in _relevant(parsed, action) if entry.fallback is fallback}
    if not trees:
        return _Part(policies=None)
    whole = pst.PolicySet(templates={}, static_policies=trees, template_links=())
    return _Part(policies=cedarpy.PolicySet.from_pst(whole))


def _sight(parsed: list[Parsed], action: ActionName) -> Sight:
    seen = BLIND
    for entry in _relevant(parsed, action):
        seen = seen | entry.sight
    return seen
