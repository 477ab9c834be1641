"""Which calls a limit holds for, and what has a counter of its own."""

import pytest

from gateway.config.limit_settings import LimitRuleSettings as Limit
from gateway.core.caller import Caller
from gateway.core.errors import LimitExceeded
from gateway.stores.budgets import Budget
from tests.unit.accounting.limits.limit_doubles import Bench

OTHER = Caller(id="key_2", tenant="globex", team="blue", user="bob")


@pytest.mark.parametrize(
    ("match", "held"),
    [
        ({}, True),
        ({"tenant": ("acme",)}, True),
        ({"tenant": ("globex", "ac*")}, True),
        ({"model": ("gpt*",), "team": ("red",)}, True),
        ({"model": ("gpt*",), "team": ("blue",)}, False),
        ({"model": ("gp",)}, False),
        ({"user": ("*",)}, True),
        ({"tag:project": ("apollo",)}, True),
        ({"tag:stage": ("*",)}, False),
        ({"key": ("key_1",)}, True),
        ({"team": ()}, False),
    ],
)
async def test_a_limit_holds_for_the_calls_that_it_matches(match, held):
    bench = Bench(one=Limit(limit=0, match=match))

    if not held:
        await bench.reserve()
        return
    with pytest.raises(LimitExceeded):
        await bench.reserve()


async def test_each_subject_has_a_counter_of_its_own():
    bench = Bench(one=Limit(limit=1, per=("team", "model")))
    await bench.reserve()
    await bench.reserve(model="other")
    await bench.reserve(OTHER)

    with pytest.raises(LimitExceeded):
        await bench.reserve()


async def test_two_subjects_are_never_one_whatever_they_are_called():
    bench = Bench(one=Limit(limit=1, per=("tenant", "team")))
    await bench.reserve(Caller(id="k", tenant="a\x1fb", team="c"))

    await bench.reserve(Caller(id="k", tenant="a", team="b\x1fc"))


async def test_a_budget_holds_for_its_tenant_only():
    bench = Bench()
    budget = Budget(id="b1", tenant="acme", name="all", count="requests", limit=1, match={"tenant": ("*",)})
    bench.limiter.set_budgets([budget])
    await bench.reserve()
    for _ in range(3):
        await bench.reserve(OTHER)

    with pytest.raises(LimitExceeded):
        await bench.reserve()
