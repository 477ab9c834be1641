"""Decides about calls of tools: the caller's lists, the policies, the built-in rules, the client's wish; deny over ask over allow.

It needs no Cedar: where no policies are configured, the caller's lists and the built-in rules decide.
"""

from __future__ import annotations

from typing import Final

from gateway.core.tools import Tool
from gateway.policies.authorizer import Authorizer
from gateway.policies.builtin_rules import ANYBODY, SENSITIVE_OUTWARD, UNTRUSTED_WRITE, Concern, concerns
from gateway.policies.decision import Approval, CallDecision, Decision, strictest
from gateway.policies.facts import Situation, tool
from gateway.policies.tool_judgement import ToolFacts, ToolJudgement

ERROR: Final = "builtin:error"
UNREADABLE: Final = "builtin:unreadable-argument"
NOT_ON_LIST: Final = "builtin:callers-list"
DEFAULT: Final = "builtin:default"
USE: Final = Situation(operation="generate", dialect="openai_responses")
"""How `use_tool` is asked about by a run: always the same, whichever dialect began it."""
_NOTHING: Final = CallDecision(decision=Decision(effect="allow", why="open"))


class StandingToolJudge:
    """A judge for one generation of the configuration."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def judge(self, facts: ToolFacts) -> ToolJudgement:
        """Decide. Whatever goes wrong on the way is a denial; it raises nothing."""
        try:
            return self._judge(facts)
        except Exception as error:  # noqa: BLE001 - a judge that fails must not let anything pass
            return ToolJudgement(
                effect="deny", rules=(ERROR,), reason=f"The call could not be judged ({type(error).__name__})."
            )

    def may_pass(self, called: Tool) -> bool:
        """Whether a call could pass without an approval after untrusted and sensitive content was read, as policies are lifted now."""
        policies = self._authorizer.policies
        if policies is None:
            return not called.outward and called.effect == "read"
        held = (called.outward and not policies.may_lift(called, SENSITIVE_OUTWARD)) or (
            called.effect != "read" and not policies.may_lift(called, UNTRUSTED_WRITE)
        )
        return not held

    def _judge(self, facts: ToolFacts) -> ToolJudgement:
        use = self._authorizer.decide(facts.caller, "use_tool", tool(facts.tool.server, facts.tool.name), USE)
        if use.effect == "deny":
            return _denied(use)
        policies = self._authorizer.policies
        said = _NOTHING if policies is None else policies.judge_call(facts)
        if said.decision.effect == "deny":
            return _denied(said.decision, tell=said.unreadable)
        asking = [decision for decision in (use, said.decision) if decision.effect == "ask"]
        found = concerns(facts, said.lifted)
        if not asking and not found:
            return ToolJudgement(effect="allow", rules=said.decision.ids)
        return _asked(asking, found)


def _asked(asking: list[Decision], found: tuple[Concern, ...]) -> ToolJudgement:
    wanted: tuple[Approval, ...] = tuple(approval for decision in asking for approval in decision.approvals)
    # Whom a policy names may answer for anybody: then nobody is needed besides.
    approvals = strictest(wanted or (ANYBODY,))
    rules = [rule for decision in asking for rule in decision.ids] + [concern.rule for concern in found]
    reasons = [_explained(decision) for decision in asking] + [concern.reason for concern in found]
    return ToolJudgement(
        effect="ask", rules=tuple(dict.fromkeys(rules)), reason=" ".join(dict.fromkeys(reasons)), approvals=approvals
    )


def _denied(decision: Decision, *, tell: bool = False) -> ToolJudgement:
    if decision.why == "key":
        return ToolJudgement(effect="deny", rules=(NOT_ON_LIST,), reason="The tool is not on the caller's own list.")
    if decision.why == "default":
        return ToolJudgement(effect="deny", rules=(DEFAULT,), reason="No policy permits this call.")
    if decision.why == "error":
        if tell:
            return ToolJudgement(effect="deny", rules=(UNREADABLE,), reason=f"Refused: {'; '.join(decision.errors)}.")
        # What Cedar says of an error tells of policies: it is for the log.
        why = "The policies could not be evaluated for this call."
        return ToolJudgement(effect="deny", rules=(*decision.ids, ERROR), reason=why, errors=decision.errors)
    return ToolJudgement(effect="deny", rules=decision.ids, reason=_explained(decision))


def _explained(decision: Decision) -> str:
    """Give a sentence: which policies, by the names that they were given, and what they themselves say."""
    named = [rule.id for rule in decision.rules if rule.named]
    verb = "requires an approval" if decision.effect == "ask" else "forbids this call"
    by = f"The policy {', '.join(named)} {verb}." if named else f"A policy {verb}."
    return " ".join([by, *(text for rule in decision.rules if (text := rule.note("explain")))])
