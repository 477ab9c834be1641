"""A target that does not take what a call asks for comes after those that do, or is left out, as the model permits; explain says why."""

import pytest

from gateway.core.target import Target
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.parameters import parameters_lost
from gateway.routing.condition import Conditions
from gateway.routing.fitness import Abilities
from gateway.routing.opening import Known, open_pool
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import Upstream, call_of

SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def pool(strategy="fallback", *, second="b", losses=None, abilities=None, **permission):
    """Two targets: a/m speaks Messages, the other one what the client speaks."""
    targets = [Target(provider=name, model="m", **permission) for name in ("a", second)]
    losses = losses or {"a/m": lambda call: parameters_lost(ANTHROPIC_MESSAGES, call.content)}
    known = Known(losses=losses, abilities=abilities or {})
    plan = RoutingPlan(strategy=strategy, weights=(3, 1), handles={"a/m": 0.5})
    return open_pool("m", [(target, Upstream(target.name)) for target in targets], plan, Conditions(lambda: 0.0), known)


def call(**fields):
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    made = call_of(**fields)
    return type(made)(
        **{**{f: getattr(made, f) for f in made.__struct_fields__}, "content": OPENAI_CHAT.decode_call(fields)}
    )


def verdicts(one, **fields):
    return [(found.target, found.verdict, found.why) for found in one.decide(call(**fields), 0.0)[1].considered]


def test_a_call_that_asks_for_nothing_special_goes_as_the_strategy_has_it():
    assert verdicts(pool()) == [("a/m", "chosen", ""), ("b/m", "next", "")]


def test_a_target_whose_api_cannot_carry_a_parameter_is_left_out_where_another_can():
    assert verdicts(pool(), seed=1, n=2) == [("b/m", "chosen", ""), ("a/m", "unfit", "it does not take n, seed")]


def test_where_parameters_may_be_left_out_it_comes_after_those_that_leave_out_none():
    assert verdicts(pool(drop=True), seed=1) == [("b/m", "chosen", ""), ("a/m", "next", "leaves out seed")]


def test_where_they_may_be_emulated_it_comes_after_those_that_need_not():
    assert verdicts(pool(emulate=True), n=2) == [("b/m", "chosen", ""), ("a/m", "next", "emulates n")]


def test_what_cannot_be_emulated_leaves_it_out():
    assert verdicts(pool(emulate=True), n=2, seed=1) == [
        ("b/m", "chosen", ""),
        ("a/m", "unfit", "it does not take n, seed"),
    ]


def test_where_all_lack_it_they_say_so_themselves():
    def same(call):
        return parameters_lost(ANTHROPIC_MESSAGES, call.content)

    one = pool(losses={"a/m": same, "b/m": same})

    assert verdicts(one, seed=1) == [("a/m", "chosen", ""), ("b/m", "next", "")]


@pytest.mark.parametrize("strategy", ["weighted", "latency", "cheapest", "complexity"])
def test_every_strategy_puts_it_last(strategy):
    one = pool(strategy, drop=True)

    assert [verdicts(one, seed=1)[0][0] for _ in range(8)] == ["b/m"] * 8


def test_while_the_others_are_spared_it_is_asked():
    one = pool(drop=True)
    one.seats[1].condition.cool(9.0)

    assert verdicts(one, seed=1)[0] == ("a/m", "chosen", "leaves out seed")


NO_SCHEMA = {"a/m": Abilities(lacks=frozenset({"json_schema"}))}


def test_a_target_without_schemas_is_fit_where_they_may_be_emulated_and_comes_after_those_that_have_them():
    nothing = {"a/m": lambda call: ()}
    assert verdicts(pool(abilities=NO_SCHEMA, losses=nothing), response_format=SCHEMA)[1] == (
        "a/m",
        "unfit",
        "it has no json_schema",
    )

    assert verdicts(pool(abilities=NO_SCHEMA, losses=nothing, emulate=True), response_format=SCHEMA) == [
        ("b/m", "chosen", ""), ("a/m", "next", "emulates json_schema"),
    ]  # fmt: skip
