"""One tenant's names mean nothing in another, and nothing that a caller may choose makes a policy say something else."""

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError
from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.core.caller import Caller
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Resource, Situation, model
from gateway.policies.folder import open_folder

TEXT = """
@id("research") permit (principal in Team::"acme/research", action == Action::"use_model", resource);
@id("sre") permit (principal in Group::"sre", action == Action::"use_model", resource);
@id("alice") permit (principal == User::"globex/alice", action == Action::"use_model", resource == Model::"chat");
@id("own") permit (principal, action in Action::"data", resource) when { resource.tenant == principal.tenant };
"""
CALL = Situation(operation="generate", dialect="openai_chat")
WEIRD = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        (
            "acme/research",
            "research",
            "sre",
            "default/sre",
            "../acme/research",
            'x" || principal in Team::"acme/research',
            'research"), User::"globex/alice',
            "research\n",
            "\uff52esearch",
            "Research",
            "\u202eresearch",
            "\ud800",
        )
    ),
)


def documents(text):
    text = PolicyText(name="a.cedar", path="policies/a.cedar", text=text)
    return PolicyDocuments(folder="policies", texts=(text,), cases=(), zone=UTC, default="deny", digest=b"")


@pytest.fixture(scope="module")
def authorizer():
    return Authorizer(open_folder(documents(TEXT)), wall=lambda: 0.0)


def may(authorizer, caller, name="chat"):
    return authorizer.decide(caller, "use_model", model(name), CALL).allowed


def test_those_who_are_meant_are_let_in(authorizer):
    assert may(authorizer, Caller(id="k", kind="key", tenant="acme", team="research"))
    assert may(authorizer, Caller(id="j", kind="jwt", groups=("sre",)))
    assert may(authorizer, Caller(id="j", kind="jwt", tenant="globex", user="alice"))


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(("jwt", "key", "service", "static")),
    tenant=st.one_of(st.sampled_from(("mallory", "acme/research", "acme%2Fresearch", "")), WEIRD),
    team=WEIRD, user=WEIRD, group=WEIRD, role=WEIRD, name=WEIRD,
)  # fmt: skip
def test_nobody_else_gets_in_whatever_they_call_themselves(authorizer, kind, tenant, team, user, group, role, name):
    if tenant in {"acme", "globex", "default"}:
        return
    caller = Caller(
        id=name, kind=kind, tenant=tenant, team=team, user=user, groups=(group,), role=role, tags=((name, team),)
    )

    assert not may(authorizer, caller)
    assert not may(authorizer, caller, name)


def test_the_groups_of_another_tenants_tokens_are_other_groups(authorizer):
    for group in ("sre", "default/sre", "/sre", "default%2Fsre"):
        assert not may(authorizer, Caller(id="j", kind="jwt", tenant="mallory", groups=(group,)))


def test_what_belongs_to_a_tenant_stays_with_it(authorizer):
    for kind, action in (("store", "read_store"), ("file", "write_file")):
        mine, theirs = (Resource(kind=kind, id="x", tenant=tenant) for tenant in ("acme", "globex"))
        caller = Caller(id="k", kind="key", tenant="acme")
        for _ in range(2):
            assert authorizer.decide(caller, action, mine).allowed
            assert not authorizer.decide(caller, action, theirs).allowed


def test_a_decision_for_one_tenant_is_never_served_to_another(authorizer):
    # The same key id and the same names: only the tenant differs.
    callers = [
        Caller(id="k", kind="key", tenant=tenant, team="research") for tenant in ("acme", "globex", "acme", "mallory")
    ]

    assert [may(authorizer, caller) for caller in callers] == [True, False, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal, action, resource) when { " + "(" * 20_000 + "true" + ")" * 20_000 + " };",
        "permit (principal, action, resource) when { " + " && ".join(["true"] * 20_000) + " };",
        "permit (principal, action, resource) when { "
        + "if true then " * 20_000
        + "true"
        + " else false" * 20_000
        + " };",
        "permit (principal, action, resource) when { context" + ".time" * 20_000 + " };",
        "permit (principal, action, resource) when { context has " + ".".join(["time"] * 20_000) + " };",
        "permit (principal, action, resource) when { " + "[" * 20_000 + "]" * 20_000 + ".isEmpty() };",
        "permit (principal, action, resource) when { context.hour" + " + 1" * 900 + " > 0 };",
        "permit (principal, action, resource)" + " when { true }" * 900 + ";",
        "@a(" * 5_000,
        '"' * 5_001,
    ],
)
def test_no_document_ends_the_process(text):
    # Cedar's parser overflows its stack on these, which nothing can catch.
    with pytest.raises(ConfigError) as caught:
        open_folder(documents(text))

    assert all(fault.file == "policies/a.cedar" for fault in caught.value.faults)


def test_a_caller_cannot_make_the_cache_large(authorizer):
    small = Authorizer(open_folder(documents(TEXT)), wall=lambda: 0.0, capacity=10)
    for number in range(50):
        may(small, Caller(id=f"k{number}", kind="key"), f"model-{number}")
        may(small, Caller(id="k", kind="jwt", groups=("x" * 5_000, str(number))))

    assert small.remembered == 10
