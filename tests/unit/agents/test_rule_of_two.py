"""An agent that reads strangers' words and secrets does not reach outside unasked."""

import pytest

from gateway.agents.rule_of_two import rule_of_two
from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.core.tools import Label, Tool
from gateway.policies.authorizer import Authorizer
from gateway.policies.rules import open_rules
from gateway.policies.tool_judge import StandingToolJudge


def tool(name, *, effect="read", outward=False, integrity="trusted", confidentiality="internal"):
    gives = Label(source=f"s/{name}", integrity=integrity, confidentiality=confidentiality)
    return Tool(server="s", name=name, schema={}, definition="", gives=gives, effect=effect, outward=outward)


WEB = tool("web", integrity="untrusted")
CRM = tool("crm", confidentiality="sensitive")
SEND = tool("send", effect="once", outward=True)
FETCH = tool("fetch", outward=True)


def judge(text=None):
    rules = None
    if text is not None:
        texts = (PolicyText(name="a.cedar", path="a.cedar", text=text),)
        rules = open_rules(PolicyDocuments(folder="", texts=texts, cases=(), zone=None, default="allow", digest=b""))
    return StandingToolJudge(Authorizer(rules, wall=lambda: 0.0))


def lifting(*names, head="resource"):
    return f'@lifts("{", ".join(names)}") permit (principal, action == Action::"call_tool", {head});'


@pytest.mark.parametrize("tools", [(WEB, CRM), (WEB, SEND), (CRM, SEND), (SEND,), ()])
def test_two_of_three_may_be_together(tools):
    assert rule_of_two(tools, lambda _: True) == ""


def test_all_three_may_not_and_the_refusal_names_them():
    refusal = rule_of_two([WEB, CRM, SEND, FETCH], lambda _: True)

    assert all(name in refusal for name in ("s/web", "s/crm", "s/send", "s/fetch"))


def test_the_builtin_rules_ask_and_so_all_three_may_be_together():
    assert rule_of_two([WEB, CRM, SEND, FETCH], judge().may_pass) == ""
    assert rule_of_two([WEB, CRM, SEND, FETCH], judge("").may_pass) == ""


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (lifting("sensitive-outward"), "s/fetch"),
        (lifting("sensitive-outward", "untrusted-write"), "s/fetch, s/send"),
        (lifting("sensitive-outward", "untrusted-write", head='resource == Tool::"s/send"'), "(s/send)"),
        (lifting("untrusted-write"), ""),
        (lifting("sensitive-outward", head='resource == Tool::"s/other"'), ""),
    ],
)
def test_what_a_policy_frees_counts_as_unasked(text, refused):
    refusal = rule_of_two([WEB, CRM, SEND, FETCH], judge(text).may_pass)

    assert bool(refusal) is bool(refused)
    assert refused in refusal
