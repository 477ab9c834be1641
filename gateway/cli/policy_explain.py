"""`switchgear policy explain`: answers one question by the policies of a folder, and says which of them decided."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import click
import msgspec

from gateway.cli.faults import fail
from gateway.cli.policy_folder import folder_options, read_documents
from gateway.config import ConfigError
from gateway.config.policy_documents import expand_principal, expand_resource
from gateway.config.policy_settings import (
    ActionName,
    CaseContext,
    CasePrincipal,
    CaseResource,
    CaseSettings,
)
from gateway.policies.cases import caller_of, decide, reason, resource_of
from gateway.policies.decision import Decision
from gateway.policies.entities import entities
from gateway.policies.rules import open_rules


class _Described(click.ParamType[Any]):
    """`kind:id`, or a JSON object with the same fields as in cases.yaml."""

    name = "kind:id or json"

    def __init__(self, cls: type[msgspec.Struct], expand: Callable[[str], dict[str, Any]] | None) -> None:
        self._cls = cls
        self._expand = expand

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the record; a usage error for what is none."""
        if isinstance(value, self._cls):
            return value
        try:
            fields = (
                msgspec.json.decode(value)
                if self._expand is None or value.lstrip().startswith("{")
                else self._expand(value)
            )
            return msgspec.convert(fields, self._cls)
        except (msgspec.MsgspecError, ValueError) as error:
            self.fail(str(error), param, ctx)


@click.command()
@folder_options
@click.option(
    "--principal",
    required=True,
    type=_Described(CasePrincipal, expand_principal),
    help='Who asks: user:alice, key:key-1, service:ci, anonymous, or {"kind": "user", "id": "alice", "team": "research"}.',
)
@click.option("--action", required=True, type=click.Choice(get_args(ActionName)), help="What they want to do.")
@click.option(
    "--resource",
    required=True,
    type=_Described(CaseResource, expand_resource),
    help="With what: model:chat, agent:helper, tool:github/create_issue, endpoint:openai_chat, store:…, file:…, tenant:…",
)
@click.option(
    "--context",
    type=_Described(CaseContext, None),
    default=CaseContext(),
    show_default=False,
    help='How: {"call": {"args": {"replicas": 5}, "taint": ["web/fetch"]}} of a call_tool; else {"operation": "generate", "dialect": "openai_chat", "stream": true, "time": "2026-01-05T23:00"}.',
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool, principal: CasePrincipal, resource: CaseResource, **given: Any) -> None:
    """Say what the policies in FOLDER decide about one question, by which rules, and why.

    Exits 0 whatever the answer is, and 1 when the policies are at fault.
    """
    case = CaseSettings(
        principal=principal, action=given["action"], resource=resource, context=given["context"], expect="allow"
    )
    try:
        documents = read_documents(given["folder"], given["config"], given["default"], given["time_zone"])
        rules = open_rules(documents)
    except ConfigError as error:
        fail(error)
    try:
        decision = decide(rules, case, documents.zone)
    except (ValueError, OverflowError):
        raise click.BadParameter("time is not of the form 2026-01-05T12:00", param_hint="--context") from None
    if as_json:
        click.echo(msgspec.json.encode(decision))
        return
    _show(case, decision)


def _show(case: CaseSettings, decision: Decision) -> None:
    who, what = case.principal, case.resource
    verdict = {"allow": "may", "deny": "may not", "ask": "may, once it is approved,"}[decision.effect]
    click.echo(f"{decision.effect}: {who.kind}:{who.id} {verdict} {case.action} {what.kind}:{what.id}")
    click.echo(f"  because: {_because(case, decision)}")
    for entity in entities(caller_of(who), resource_of(what)):
        parents = ", ".join(map(_uid, entity["parents"]))
        click.echo(f"  {_uid(entity['uid'])}{' in ' + parents if parents else ''}")
    for rule in decision.rules:
        click.echo(f"{rule.path}:{rule.line}: {rule.id}" if rule.path else rule.id)
        for line in rule.text.splitlines():
            click.echo(f"    {line}")
    for approval in decision.approvals:
        who_approves = " or ".join(approval.approvers) or "whoever may answer approvals"
        click.echo(f"  approval: {approval.quorum} of {who_approves}, within {approval.ttl} s")


def _because(case: CaseSettings, decision: Decision) -> str:
    if decision.why == "policy":
        return f"{'these policies decide' if len(decision.rules) > 1 else 'this policy decides'}: {', '.join(decision.ids)}"
    if decision.why == "default" and case.action == "call_tool" and decision.allowed:
        return "no policy forbids it, and no built-in rule asks for an approval"
    if decision.why == "default":
        return f"no policy permits or forbids it, and the default is {decision.effect}"
    return reason(decision)


def _uid(uid: dict[str, str]) -> str:
    return f"{uid['type']}::{json.dumps(uid['id'], ensure_ascii=False)}"
