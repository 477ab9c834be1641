"""Table tests of policies: each case is a question, the decision that it must get, and the rules that must bring it about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.config.faults import Fault
from gateway.config.policy_settings import CasePrincipal, CaseResource, CaseSettings, PolicyCase
from gateway.core.caller import Caller
from gateway.core.tools import Label, Tool
from gateway.policies.authorizer import Authorizer, Judge
from gateway.policies.decision import Decision, Rule
from gateway.policies.facts import Resource, Situation
from gateway.policies.tool_judge import DEFAULT, ERROR, StandingToolJudge
from gateway.policies.tool_judgement import ToolFacts, ToolJudgement

_KINDS = {"user": "jwt", "key": "key", "service": "service", "anonymous": "anonymous"}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a case. `problem` is empty when it passed."""

    case: PolicyCase
    decision: Decision | None
    problem: str

    @property
    def title(self) -> str:
        """The case's name, or what it asks."""
        case = self.case.case
        who, what = case.principal, case.resource
        return case.name or f"{who.kind}:{who.id} {case.action} {what.kind}:{what.id}"


def run_cases(judge: Judge, cases: Iterable[PolicyCase], zone: dt.tzinfo) -> list[Outcome]:
    """Ask every case's question. Nothing is remembered from one to the next."""
    return [_run(judge, case, zone) for case in cases]


def faults_of(outcomes: Iterable[Outcome]) -> list[Fault]:
    """Give what failed, as faults of the document."""
    return [
        Fault(
            file=outcome.case.path,
            line=outcome.case.line,
            path=outcome.title,
            message=f"this case fails: {outcome.problem}",
        )
        for outcome in outcomes
        if outcome.problem
    ]


def caller_of(principal: CasePrincipal) -> Caller:
    """Give the caller that a case describes."""
    user = principal.id if principal.kind in {"user", "service"} else principal.user
    return Caller(
        id=principal.id,
        kind=_KINDS[principal.kind],
        tenant=principal.tenant,
        team=principal.team,
        user=user,
        groups=principal.groups,
        tags=tuple(principal.tags.items()),
        models=principal.models,
        tools=principal.tools,
        role=principal.role,
    )


def resource_of(resource: CaseResource) -> Resource:
    """Give the resource that a case describes."""
    return Resource(kind=resource.kind, id=resource.id, tenant=resource.tenant, providers=resource.providers)


def moment_of(text: str, zone: dt.tzinfo) -> float:
    """Give seconds since 1970. Raises ValueError for what is no time."""
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def decide(judge: Judge, case: CaseSettings, zone: dt.tzinfo) -> Decision:
    """Answer one case's question as a server would. Raises ValueError for a time that is none."""
    at = moment_of(case.context.time, zone)
    situation = Situation(
        operation=case.context.operation,
        dialect=case.context.dialect,
        stream=case.context.stream,
        section=case.context.section,
    )
    authorizer = Authorizer(judge, wall=lambda: at, capacity=0)
    if case.action == "call_tool":
        if case.resource.kind != "tool" or not case.resource.id.partition("/")[2]:
            return Decision(effect="deny", why="error", errors=("call_tool is about a tool, as tool:server/name",))
        judgement = StandingToolJudge(authorizer).judge(facts_of(case, at))
        return _as_decision(judgement, {rule.id: rule for rule in judge.rules})
    return authorizer.decide(caller_of(case.principal), case.action, resource_of(case.resource), situation)


def facts_of(case: CaseSettings, at: float) -> ToolFacts:
    """Give the call of a tool that a case describes."""
    call, resource = case.context.call, case.resource
    gives = Label(source=resource.id)
    server, _, name = resource.id.partition("/")
    untrusted = {path: Label(source="case", integrity="untrusted") for path in call.untrusted}
    return ToolFacts(
        caller=caller_of(case.principal),
        agent=call.agent,
        tool=Tool(
            server=server, name=name, schema={}, definition="", effect=call.effect, outward=call.outward, gives=gives
        ),
        arguments=call.args,
        origins=dict.fromkeys(call.args, gives) | untrusted,
        taint=call.taint,
        sensitive=call.sensitive,
        wish=call.wish,
        nano=round(call.cost * 1_000_000_000),
        steps=call.steps,
        calls=call.calls,
        at=at,
    )


def _as_decision(judgement: ToolJudgement, known: dict[str, Rule]) -> Decision:
    """Give a judgement in the form of all other decisions, its built-in rules as rules that stand in no file."""
    why: Literal["error", "default", "policy"] = "policy"
    if ERROR in judgement.rules:
        why = "error"
    elif not judgement.rules or DEFAULT in judgement.rules:
        why = "default"
    rules = tuple(
        known.get(name) or Rule(id=name, path="", line=0, kind="forbid", text=judgement.reason, named=True)
        for name in judgement.rules
        if name != DEFAULT
    )
    errors = (judgement.errors or (judgement.reason,)) if why == "error" else ()
    return Decision(effect=judgement.effect, why=why, rules=rules, errors=errors, approvals=judgement.approvals)


def _run(judge: Judge, case: PolicyCase, zone: dt.tzinfo) -> Outcome:
    wanted = case.case
    try:
        decision = decide(judge, wanted, zone)
    except (ValueError, OverflowError):
        problem = f"context.time is not a time like 2026-01-05T12:00: {wanted.context.time[:60]!r}"
        return Outcome(case=case, decision=None, problem=problem)
    problem = ""
    if decision.effect != wanted.expect:
        problem = f"expected {wanted.expect}, found {decision.effect} ({reason(decision)})"
    elif decision.why == "error":
        problem = f"the policies erred: {'; '.join(decision.errors)}"
    elif wanted.rules is not None and set(wanted.rules) != set(decision.ids):
        problem = f"expected the rules {_list(wanted.rules)}, found {_list(decision.ids)}"
    return Outcome(case=case, decision=decision, problem=problem)


def reason(decision: Decision) -> str:
    """Give why, in a few words."""
    if decision.why == "policy":
        return f"by {_list(decision.ids)}"
    if decision.why == "error":
        return f"an error: {'; '.join(decision.errors)}"
    return {"open": "no policies", "key": "not on the caller's own list", "default": "no policy speaks"}[decision.why]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
