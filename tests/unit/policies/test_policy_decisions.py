"""What the policies decide: forbid over permit, the default where none speaks, an error always a denial."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.caller import ANONYMOUS
from gateway.policies.decision import Approval, strictest
from gateway.policies.facts import Resource, model, tool

PERMIT = "permit (principal, action, resource)"
FORBID = "forbid (principal, action, resource)"
OVERFLOW = "when { context.hour + 9223372036854775807 > 0 || context.hour + 9223372036854775807 < 1 }"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
"""A Monday."""


@pytest.mark.parametrize(
    ("text", "default", "effect", "why", "ids"),
    [
        ("", "allow", "allow", "default", ()),
        ("", "deny", "deny", "default", ()),
        (f'@id("p") {PERMIT};', "deny", "allow", "policy", ("p",)),
        (f'@id("p") {PERMIT}; @id("f") {FORBID};', "allow", "deny", "policy", ("f",)),
        (f'@id("p") {PERMIT} when {{ resource is Tool }};', "deny", "deny", "default", ()),
        (f'@id("f") @effect("default") {FORBID};', "allow", "deny", "policy", ("f",)),
        (f'@id("f") @effect("default") {FORBID}; @id("p") {PERMIT};', "allow", "allow", "policy", ("p",)),
        (f'@id("p") @effect("default") {PERMIT};', "deny", "allow", "policy", ("p",)),
    ],
)
def test_what_holds(bench, text, default, effect, why, ids):
    decision = bench.ask(bench.rules(text, default=default))

    assert (decision.effect, decision.why, decision.ids) == (effect, why, ids)


@pytest.mark.parametrize(
    ("head", "facts", "holds"),
    [
        ('principal == Key::"key-1"', {}, True),
        ('principal == Key::"key-2"', {}, False),
        ("principal is Key", {}, True),
        ("principal is User", {"kind": "jwt", "user": "alice"}, True),
        ('principal == User::"alice"', {"kind": "jwt", "id": "jwt:1", "user": "alice"}, True),
        ('principal in User::"alice"', {"user": "alice"}, True),
        ('principal == ServiceAccount::"ci"', {"kind": "service", "user": "ci"}, True),
        ('principal in Team::"a"', {"team": "a"}, True),
        ('principal in Team::"a"', {"team": "b"}, False),
        ('principal in Tenant::"default"', {}, True),
        ('principal in Tenant::"acme"', {"tenant": "acme"}, True),
        ('principal in Group::"sre"', {"groups": ("ops", "sre")}, True),
        ('principal in Role::"owner"', {"role": "owner"}, True),
    ],
)
def test_principals_are_what_they_are_in(bench, head, facts, holds):
    rules = bench.rules(f"permit ({head}, action, resource);", default="deny")

    assert bench.ask(rules, bench.caller(**facts)).allowed is holds


@pytest.mark.parametrize(
    ("action", "resource", "condition"),
    [
        ("use_model", model("chat", ("a", "b")), 'resource.id == "chat" && resource.providers.contains("b")'),
        ("use_agent", model("agent/helper"), 'resource == Agent::"helper"'),
        ("use_tool", tool("github", "issues/create"), 'resource in Server::"github" && resource.id like "*/create"'),
        ("use_endpoint", Resource(kind="endpoint", id="rerank"), 'resource == Endpoint::"rerank"'),
        ("read_store", Resource(kind="store", id="vs_1", tenant="default"), "resource.tenant == principal.tenant"),
        ("write_file", Resource(kind="file", id="f_1", tenant="default"), "resource in principal.tenant"),
        ("admin_write", Resource(kind="tenant", id="default"), "resource == principal.tenant"),
    ],
)
def test_resources_are_what_policies_see(bench, action, resource, condition):
    rules = bench.rules(
        f'permit (principal, action == Action::"{action}", resource) when {{ {condition} }};', default="deny"
    )

    assert bench.ask(rules, action=action, resource=resource).allowed
    assert not bench.ask(rules, bench.caller(tenant="other"), action, Resource(kind=resource.kind, id="x")).allowed


def test_a_store_of_another_tenant_is_another_tenants(bench):
    rules = bench.rules(
        "permit (principal, action, resource is VectorStore) when { resource.tenant == principal.tenant };",
        default="deny",
    )

    assert not bench.ask(rules, action="read_store", resource=Resource(kind="store", id="vs_1", tenant="acme")).allowed


@pytest.mark.parametrize(
    ("condition", "situation", "holds"),
    [
        ("context.stream", {"stream": True}, True),
        ("context.stream", {"stream": False}, False),
        ('context.operation == "embed"', {"operation": "embed"}, True),
        ('context.dialect == "openai_chat"', {"dialect": "anthropic_messages"}, False),
        ("context.hour == 12 && context.weekday == 1", {"at": NOON}, True),
        ('context.time == datetime("2026-01-05T12:00:00Z")', {"at": NOON + 59}, True),
        ('context.time.toTime() < duration("12h")', {"at": NOON - 60}, True),
    ],
)
def test_circumstances_are_what_policies_see(bench, condition, situation, holds):
    rules = bench.rules(
        f'permit (principal, action in Action::"use", resource) when {{ {condition} }};', default="deny"
    )

    assert bench.ask(rules, **situation).allowed is holds


def test_hours_are_those_of_the_time_zone(bench):
    rules = bench.rules(f"{PERMIT} when {{ context.hour == 13 }};", default="deny", zone=ZoneInfo("Europe/Berlin"))

    assert bench.ask(rules, at=NOON).allowed


def test_tags_are_told_by_name(bench):
    rules = bench.rules(
        f'{PERMIT} when {{ principal.hasTag("env") && principal.getTag("env") == "prod" }};', default="deny"
    )

    assert bench.ask(rules, bench.caller(tags=(("env", "prod"), ("a", "b")))).allowed
    assert not bench.ask(rules, bench.caller(tags=(("env=prod", ""), ("x", "env")))).allowed
    assert not bench.ask(rules).allowed


def test_nobody_known_is_a_principal_too(bench):
    rules = bench.rules("permit (principal is Anonymous, action, resource);", default="deny")

    assert bench.ask(rules, ANONYMOUS).allowed
    assert not bench.ask(rules).allowed


def test_a_forbid_that_errs_denies(bench):
    # Cedar itself would skip it, and the permit would win.
    decision = bench.ask(bench.rules(f'@id("p") {PERMIT}; @id("f") {FORBID} {OVERFLOW};'), at=NOON)

    assert (decision.effect, decision.why) == ("deny", "error")
    assert "overflow" in decision.errors[0]


def test_a_permit_that_errs_denies(bench):
    decision = bench.ask(bench.rules(f"{PERMIT}; {PERMIT} {OVERFLOW};"), at=NOON)

    assert (decision.effect, decision.why) == ("deny", "error")


def test_a_default_that_errs_denies(bench):
    decision = bench.ask(bench.rules(f'@effect("default") {PERMIT}; @effect("default") {FORBID} {OVERFLOW};'), at=NOON)

    assert (decision.effect, decision.why) == ("deny", "error")


def test_a_question_that_makes_no_sense_is_denied(bench):
    rules = bench.rules(f"{PERMIT};")

    assert bench.ask(rules, action="use_tool").why == "error"
    assert bench.ask(rules, bench.caller(id="\ud800")).why == "error"
    assert not bench.ask(rules, at=1e18).allowed


ASK = '@effect("require_approval") @approvers("sre, ops") @quorum("2")'


def test_a_forbid_may_ask_for_an_approval(bench):
    decision = bench.ask(bench.rules(f'{PERMIT}; @id("a") {ASK} {FORBID};'))

    assert (decision.effect, decision.allowed, decision.ids) == ("ask", False, ("a",))
    assert decision.approvals == (Approval(approvers=("ops", "sre"), quorum=2, ttl=3600),)


def test_of_several_approvals_the_strictest_counts(bench):
    longer = '@effect("require_approval") @approvers("ops,sre") @quorum("1") @ttl("60")'
    other = '@effect("require_approval") @approvers("finance")'

    decision = bench.ask(bench.rules(f"{ASK} {FORBID}; {longer} {FORBID}; {other} {FORBID};"))

    assert decision.approvals == (
        Approval(approvers=("finance",), quorum=1, ttl=60),
        Approval(approvers=("ops", "sre"), quorum=2, ttl=60),
    )
    assert strictest(()) == ()


def test_a_plain_forbid_beside_one_that_asks_denies(bench):
    decision = bench.ask(bench.rules(f'{ASK} {FORBID}; @id("no") {FORBID};'))

    assert (decision.effect, decision.ids, decision.approvals) == ("deny", ("no",), ())


POOL = (
    PERMIT,
    f"{FORBID} {OVERFLOW}",
    'permit (principal in Team::"a", action, resource)',
    "forbid (principal, action, resource) when { context.hour > 11 }",
    '@effect("default") forbid (principal, action, resource)',
    f"{ASK} {FORBID}",
    'forbid (principal, action == Action::"use_tool", resource)',
)
CHOICES = st.lists(st.integers(0, len(POOL) - 1), max_size=5, unique=True)


@settings(max_examples=40, deadline=None)
@given(chosen=CHOICES, seed=st.randoms(use_true_random=False), team=st.sampled_from(("a", "b")))
def test_the_order_of_policies_changes_nothing(bench, chosen, seed, team):
    texts = [f'@id("{number}") {POOL[number]};' for number in chosen]
    shuffled = seed.sample(texts, len(texts))
    caller = bench.caller(team=team)

    first = bench.ask(bench.rules("\n".join(texts)), caller, at=NOON)
    second = bench.ask(bench.rules(*shuffled), caller, at=NOON)

    assert (first.effect, first.why, first.ids, first.errors) == (second.effect, second.why, second.ids, second.errors)


@settings(max_examples=40, deadline=None)
@given(chosen=CHOICES)
def test_no_company_makes_an_erring_forbid_an_allow(bench, chosen):
    texts = [f'@id("{number}") {POOL[number]};' for number in chosen]

    decision = bench.ask(bench.rules(*texts, f"{FORBID} {OVERFLOW};"), at=NOON)

    assert (decision.effect, decision.why) == ("deny", "error")
