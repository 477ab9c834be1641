"""One call by its id: its row, where it went and why, what it used beside its answer, and to whom it is shown."""

import msgspec
import pytest

from gateway.core.decision import Considered, Decision
from tests.security.admin_world import HOME, OTHER, admin_world, build_template, row

OWNER = ("owner", HOME)
DECISION = Decision(
    "latency",
    (
        Considered("a/m", "chosen", 0.5),
        Considered("b/m", "next", float("inf")),
        Considered("c/m", "spared", None, "its breaker is open for another 3.0 s"),
    ),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template) as world:
        yield world


def beside(number, of, **fields):
    kept = {"kind": "hedge", "parent": f"call_{of}", "provider": "b", "served": "m", "cost_nano": 500_000_000}
    return msgspec.structs.replace(row(of), id=f"call_{of}.{number}", **(kept | fields))


async def test_a_call_is_shown_with_its_decision_and_what_it_used_beside(world):
    rows = [row(1, decision=DECISION, route=("a/m",)), beside(1, 1), beside(2, 1, kind="judge", input=7), row(11)]
    await world.services.ledger.insert(rows)
    answer = (await world.ask(OWNER, "GET", "/admin/calls/call_1")).json()

    assert (answer["id"], answer["state"], answer["route"], answer["input"]) == ("call_1", "finished", ["a/m"], 10)
    assert answer["decision"]["strategy"] == "latency"
    assert answer["decision"]["chosen"] == "a/m"
    assert [(one["target"], one["verdict"], one["score"]) for one in answer["decision"]["considered"]] == [
        ("a/m", "chosen", 0.5), ("b/m", "next", None), ("c/m", "spared", None),
    ]  # fmt: skip
    assert answer["decision"]["considered"][2]["why"] == "its breaker is open for another 3.0 s"
    assert [(one["id"], one["target"], one["why"], one["input"]) for one in answer["beside"]] == [
        ("call_1.1", "b/m", "hedge", 10), ("call_1.2", "b/m", "judge", 7),
    ]  # fmt: skip
    assert (answer["cost"], answer["total_cost"]) == ("0.0015", "1.0015")


async def test_where_nothing_was_decided_there_is_no_decision(world):
    await world.services.ledger.insert([row(1)])
    answer = (await world.ask(OWNER, "GET", "/admin/calls/call_1")).json()

    assert (answer["decision"], answer["beside"], answer["total_cost"]) == (None, [], "0.0015")


@pytest.mark.parametrize("unpriced", ["call", "beside"])
async def test_a_sum_with_an_unknown_part_is_unknown(world, unpriced):
    costs = {"call": {"cost_nano": None} if unpriced == "call" else {}, "beside": {"cost_nano": None}}
    await world.services.ledger.insert([row(1, **costs["call"]), beside(1, 1, **costs["beside"])])

    assert (await world.ask(OWNER, "GET", "/admin/calls/call_1")).json()["total_cost"] is None


async def test_a_call_of_another_tenant_or_of_nobody_is_one_that_is_not_there(world):
    await world.services.ledger.insert([row(1, tenant=OTHER)])
    foreign, absent = [await world.ask(("owner", "tenant_c"), "GET", f"/admin/calls/{one}") for one in ("call_1", "x")]

    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content
    assert (await world.ask(OWNER, "GET", "/admin/calls/call_1")).status_code == 200


async def test_who_may_not_read_usage_sees_its_own_calls_alone(world):
    await world.services.ledger.insert([row(1, tenant=OTHER, user=f"user_{OTHER}"), row(2, tenant=OTHER, user="else")])

    statuses = [(await world.ask(("member", OTHER), "GET", f"/admin/calls/call_{one}")).status_code for one in (1, 2)]
    assert statuses == [200, 404]
