"""Ids are values and never text that is parsed; what a tenant names is that tenant's alone."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.caller import Caller
from gateway.policies.entities import encoded, entities, principal_uid, qualified
from gateway.policies.facts import Resource, model, server_of, tool

NAMES = st.text(min_size=1, max_size=12, alphabet=st.characters(exclude_categories=("Cs",)))
HOSTILE = st.one_of(
    NAMES,
    st.sampled_from(
        (
            '"',
            "\\",
            'a" || true',
            'x"), Team::"a',
            "a\nb",
            "\x00",
            "\u2028",
            "a/b",
            "%2F",
            "acme/sre",
            "default/x",
            "*",
            "ü",
            "👩‍🚀",
        )
    ),
)


@given(one=st.tuples(HOSTILE, HOSTILE), two=st.tuples(HOSTILE, HOSTILE))
def test_no_two_names_of_tenants_become_one(one, two):
    assert (qualified(*one) == qualified(*two)) is (one == two)


def test_in_the_default_tenant_names_stand_alone():
    assert qualified("default", "sre") == "sre"
    assert qualified("acme", "sre") == "acme/sre"
    assert qualified("default", "acme/sre") == "default/acme/sre"
    assert qualified("a/b", "c") == "a%2Fb/c"


@settings(max_examples=60, deadline=None)
@given(name=HOSTILE, other=HOSTILE)
def test_hostile_ids_are_only_themselves(bench, name, other):
    rules = bench.rules('permit (principal == Key::"key-1", action, resource == Model::"chat");', default="deny")
    caller = bench.caller(id=name, team=other, user=other, groups=(other,), tags=((other, name),))

    decision = bench.ask(rules, caller, resource=model(other))

    assert decision.errors == ()
    assert not decision.allowed


@given(name=HOSTILE, team=HOSTILE)
def test_what_is_told_to_cedar_is_what_was_given(name, team):
    caller = Caller(id=name, kind="key", team=team, groups=(team, name))

    principal, resource = json.loads(encoded(caller, model(team)))

    assert principal["uid"] == {"type": "Key", "id": name}
    assert {"type": "Team", "id": qualified("default", team)} in principal["parents"]
    assert resource["attrs"]["id"] == (team.removeprefix("agent/"))


def test_a_group_may_be_claimed_twice(bench):
    rules = bench.rules('permit (principal in Group::"a", action, resource);', default="deny")

    assert bench.ask(rules, bench.caller(groups=("a", "a"))).allowed


def test_nobody_known_is_in_nothing_but_a_tenant():
    caller = Caller(id="anonymous", kind="anonymous", team="a", groups=("b",), role="owner")

    (principal, _) = entities(caller, Resource(kind="tenant", id="default"))

    assert principal["parents"] == [{"type": "Tenant", "id": "default"}]


def test_a_token_without_a_user_is_known_by_its_id():
    assert principal_uid(Caller(id="jwt:7", kind="jwt", tenant="acme")) == {"type": "User", "id": "acme/jwt:7"}


def test_a_tool_is_on_a_server():
    assert tool("github", "a/b").id == "github/a/b"
    assert [server_of(name) for name in ("github/a/b", "alone")] == ["github", "provider"]
