"""Decisions are remembered under everything that the policies can see, so a remembered one is never somebody else's."""

import time
import timeit

import msgspec
import pytest

from gateway.core.caller import ANONYMOUS, Caller
from gateway.policies.authorizer import LARGEST_KEPT, Authorizer
from gateway.policies.facts import Resource, Situation, model, tool
from gateway.policies.patterns import matches

CHAT = model("chat")
CALL = Situation(operation="generate", dialect="openai_chat")
STREAM = msgspec.structs.replace(CALL, stream=True)


class Bell:
    """A wall clock that stands still until it is moved; seconds since 1970."""

    def __init__(self):
        self.now = 1_767_614_400.0  # Monday, 2026-01-05 12:00 UTC

    def wall(self):
        return self.now


@pytest.fixture
def bell():
    return Bell()


def authorizer(bench, text, bell, capacity=100, **more):
    return Authorizer(bench.rules(text, **more), wall=bell.wall, capacity=capacity)


@pytest.mark.parametrize(
    ("patterns", "name", "fits"),
    [
        ((), "anything", True),
        (("chat",), "chat", True),
        (("chat",), "chat-large", False),
        (("chat*",), "chat-large", True),
        (("a", "chat-*"), "chat", False),
        (("*",), "anything", True),
        (("",), "anything", False),
        (("c*t",), "chat", False),
    ],
)
def test_a_pattern_is_a_name_or_the_beginning_of_one(patterns, name, fits):
    assert matches(patterns, name) is fits


@pytest.mark.parametrize("text", [None, "permit (principal, action, resource);"])
def test_the_keys_own_list_holds_with_and_without_policies(bench, bell, text):
    judge = None if text is None else bench.rules(text)
    keyed = Authorizer(judge, wall=bell.wall)
    caller = bench.caller(models=("chat*", "agent/helper"), tools=("github/*",))

    for _ in range(2):
        assert keyed.decide(caller, "use_model", model("chat-large")).allowed
        assert keyed.decide(caller, "use_agent", model("agent/helper")).allowed
        assert keyed.decide(caller, "use_tool", tool("github", "a")).allowed
        assert keyed.decide(caller, "read_file", Resource(kind="file", id="f", tenant="default")).allowed
        assert keyed.decide(caller, "use_model", model("gpt")).why == "key"
        assert keyed.decide(caller, "use_agent", model("agent/other")).why == "key"
        assert keyed.decide(caller, "use_tool", tool("provider", "mcp")).why == "key"


def test_a_policy_cannot_lengthen_a_keys_list(bench, bell):
    keyed = authorizer(bench, "permit (principal, action, resource);", bell)

    assert not keyed.decide(bench.caller(models=("a",)), "use_model", CHAT).allowed


def test_without_policies_everything_is_open(bell):
    assert Authorizer(None, wall=bell.wall).decide(ANONYMOUS, "use_model", CHAT).why == "open"


def test_the_same_question_is_evaluated_once(bench, bell):
    keyed = authorizer(bench, 'forbid (principal in Team::"a", action, resource);', bell)

    answers = {keyed.decide(bench.caller(team="a"), "use_model", model("chat"), CALL).effect for _ in range(5)}

    assert (answers, keyed.evaluated) == ({"deny"}, 1)


@pytest.mark.parametrize(
    ("condition", "one", "two"),
    [
        ('principal in Tenant::"a"', {"tenant": "a"}, {"tenant": "b"}),
        ('principal in Team::"a"', {"team": "a"}, {"team": "b"}),
        ('principal in User::"a"', {"user": "a"}, {"user": "b"}),
        ('principal in Group::"a"', {"groups": ("a",)}, {"groups": ("b",)}),
        ('principal in Role::"a"', {"role": "a"}, {"role": "b"}),
        ('principal.hasTag("a")', {"tags": (("a", ""),)}, {"tags": (("b", ""),)}),
        ("principal is Key", {"kind": "key"}, {"kind": "jwt"}),
        ('principal.id == "a"', {"id": "a"}, {"id": "b"}),
    ],
)
def test_a_decision_is_never_served_to_another_caller(bench, bell, condition, one, two):
    keyed = authorizer(bench, f"permit (principal, action, resource) when {{ {condition} }};", bell, default="deny")

    for _ in range(2):
        assert keyed.decide(bench.caller(**one), "use_model", CHAT).allowed
        assert not keyed.decide(bench.caller(**two), "use_model", CHAT).allowed
    assert keyed.evaluated == 2


def test_a_decision_is_for_one_action_and_one_resource(bench, bell):
    keyed = authorizer(bench, 'permit (principal, action, resource == Model::"chat");', bell, default="deny")

    assert keyed.decide(ANONYMOUS, "use_model", CHAT).allowed
    assert not keyed.decide(ANONYMOUS, "use_model", model("other")).allowed
    assert not keyed.decide(ANONYMOUS, "use_model", Resource(kind="endpoint", id="chat")).allowed
    assert not keyed.decide(ANONYMOUS, "use_endpoint", Resource(kind="endpoint", id="chat")).allowed


def test_providers_are_part_of_a_model(bench, bell):
    keyed = authorizer(
        bench, 'forbid (principal, action, resource is Model) when { resource.providers.contains("x") };', bell
    )

    assert keyed.decide(ANONYMOUS, "use_model", model("chat", ("local",))).allowed
    assert not keyed.decide(ANONYMOUS, "use_model", model("chat", ("local", "x"))).allowed


def test_the_circumstances_count_where_a_policy_reads_them(bench, bell):
    keyed = authorizer(
        bench, 'forbid (principal, action == Action::"use_model", resource) when { context.stream };', bell
    )

    for _ in range(2):
        assert keyed.decide(ANONYMOUS, "use_model", CHAT, CALL).allowed
        assert not keyed.decide(ANONYMOUS, "use_model", CHAT, STREAM).allowed
    assert keyed.evaluated == 2


@pytest.mark.parametrize("whole", ["context == context", "[context].contains(context)"])
def test_a_policy_that_looks_at_the_whole_context_sees_all_of_it(bench, whole):
    sight = bench.rules(f"permit (principal, action, resource) when {{ {whole} }};").sight("use_model")

    assert (sight.call, sight.time) == (True, True)


@pytest.mark.parametrize(
    ("condition", "sees"),
    [
        ("true", (False, False)),
        ("context.stream", (True, False)),
        ("context has hour && context.weekday == 1", (False, True)),
        ("{a: context.hour} == {a: 3}", (False, True)),
        ('if [context.dialect].contains("x") then true else principal.id == "a"', (True, False)),
        ('context.time.toTime() < duration("1h")', (False, True)),
    ],
)
def test_what_a_policy_reads_is_found_wherever_it_stands(bench, condition, sees):
    text = f'permit (principal, action == Action::"use_model", resource) unless {{ {condition} }};'
    sight = bench.rules(text).sight("use_model")

    assert (sight.call, sight.time) == sees


def test_where_no_policy_reads_them_all_circumstances_share_a_decision(bench, bell):
    keyed = authorizer(bench, "permit (principal, action, resource);", bell)

    keyed.decide(ANONYMOUS, "use_model", CHAT, CALL)
    bell.now += 3600
    keyed.decide(ANONYMOUS, "use_model", CHAT, STREAM)

    assert keyed.evaluated == 1


def test_a_decision_by_the_hour_ends_with_the_hour(bench, bell):
    text = 'forbid (principal, action == Action::"use_model", resource) when { context.hour >= 13 };'
    keyed = authorizer(bench, text, bell)

    bell.now += 3599
    assert keyed.decide(ANONYMOUS, "use_model", CHAT).allowed
    bell.now += 1
    assert not keyed.decide(ANONYMOUS, "use_model", CHAT).allowed
    bell.now -= 1
    assert keyed.decide(ANONYMOUS, "use_model", CHAT).allowed


def test_time_costs_only_the_actions_that_read_it(bench, bell):
    keyed = authorizer(
        bench, 'forbid (principal, action == Action::"use_tool", resource) when { context.hour > 12 };', bell
    )

    for minutes in range(3):
        bell.now += 60 * minutes
        keyed.decide(ANONYMOUS, "use_model", CHAT)

    assert keyed.evaluated == 1


def test_the_cache_is_bounded_and_forgets_what_was_not_asked_for(bench, bell):
    keyed = authorizer(bench, "permit (principal, action, resource);", bell, capacity=3)

    for name in ("a", "b", "c", "a", "d"):
        keyed.decide(ANONYMOUS, "use_model", model(name))
    assert (keyed.remembered, keyed.evaluated) == (3, 4)
    keyed.decide(ANONYMOUS, "use_model", model("a"))
    assert keyed.evaluated == 4
    keyed.decide(ANONYMOUS, "use_model", model("b"))
    assert keyed.evaluated == 5


def test_a_huge_question_is_answered_and_not_kept(bench, bell):
    keyed = authorizer(bench, "permit (principal, action, resource);", bell)

    assert keyed.decide(Caller(id="a", groups=("g" * LARGEST_KEPT,)), "use_model", CHAT).allowed
    assert keyed.remembered == 0


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("permit (principal, action, resource);", False),
        ('forbid (principal, action == Action::"use_endpoint", resource);', True),
        ('forbid (principal, action, resource == Endpoint::"rerank");', True),
        ("forbid (principal, action, resource) when { resource is Endpoint };", True),
        ('forbid (principal, action, resource is Endpoint) when { resource.id like "a*" };', True),
    ],
)
def test_endpoints_are_asked_about_when_a_policy_speaks_of_them(bench, bell, text, asked):
    assert authorizer(bench, text, bell).asks_about_endpoints is asked


def many_policies(count):
    return "\n".join(
        f'permit (principal in Team::"team-{number}", action == Action::"use_model", resource) '
        f'when {{ resource.id like "m{number}-*" && principal.hasTag("env") && principal.getTag("env") == "e{number}" }};'
        for number in range(count)
    )


def test_two_hundred_policies_decide_in_time(bench, bell):
    # Measured here: 1.1 µs for a remembered decision, 0.4 ms for a new one. The bounds leave room for a busy machine.
    keyed = authorizer(bench, many_policies(200), bell, default="deny")
    caller = bench.caller(team="team-7", user="u", groups=("a", "b"), tags=(("env", "e7"),), models=("m*",))
    target = model("m7-large", ("a", "b"))

    assert keyed.decide(caller, "use_model", target, CALL).ids == ("0.cedar:8",)
    remembered = (
        min(timeit.repeat(lambda: keyed.decide(caller, "use_model", target, CALL), number=2_000, repeat=9)) / 2_000
    )
    began = time.perf_counter()
    for number in range(20):
        keyed.decide(caller, "use_model", model(f"m{number}"), CALL)
    fresh = (time.perf_counter() - began) / 20

    assert keyed.evaluated == 21
    assert remembered < 9e-6
    assert fresh < 20e-3
