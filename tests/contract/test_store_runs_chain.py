"""What a run goes on from is found on every database with one question, within its tenant, and no further than wanted."""

import pytest

from gateway.stores.runs import Lineage, Link
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import item, queued


@pytest.fixture
async def runs(database):
    found = SqlRuns(database)
    for number in range(1, 6):
        await found.add(
            queued(f"resp_{number}", previous=f"resp_{number - 1}" if number > 1 else ""),
            [item(0, "input", f"in {number}"), item(0, "output", f"out {number}")],
        )
    return found


def ids(chain):
    return [link.id for link in chain]


async def test_the_last_comes_first_and_the_chain_ends_where_it_began(runs):
    chain = await runs.chain("acme", "resp_4", most=10)

    assert ids(chain) == ["resp_4", "resp_3", "resp_2", "resp_1"]
    assert chain[0] == Link(id="resp_4", status="queued", previous="resp_3")
    assert chain[-1].previous == ""


@pytest.mark.parametrize("most", [1, 3])
async def test_no_more_are_given_than_wanted(runs, most):
    assert len(await runs.chain("acme", "resp_5", most=most)) == most


async def test_what_another_tenant_has_is_not_there(runs):
    await runs.add(queued("resp_9", tenant="globex", previous="resp_5"), [])
    await runs.add(queued("resp_8", previous="resp_9"), [])

    assert list(await runs.chain("globex", "resp_5", most=10)) == []
    assert ids(await runs.chain("globex", "resp_9", most=10)) == ["resp_9"]
    assert ids(await runs.chain("acme", "resp_8", most=10)) == ["resp_8"]
    assert list(await runs.chain("acme", "\ud800\0", most=10)) == []


async def test_runs_that_go_on_from_each_other_end_the_question_all_the_same(runs):
    await runs.add(queued("resp_a", previous="resp_b"), [])
    await runs.add(queued("resp_b", previous="resp_a"), [])

    assert ids(await runs.chain("acme", "resp_a", most=5)) == ["resp_a", "resp_b", "resp_a", "resp_b", "resp_a"]


async def test_a_link_says_what_it_was_made_from_and_which_conversation_it_is_in(runs):
    lineage = Lineage(kind="replay", run="resp_1")
    await runs.add(queued("resp_7", conversation="conv_1", lineage=lineage), [])

    assert list(await runs.chain("acme", "resp_7", most=10)) == [
        Link(id="resp_7", status="queued", conversation="conv_1", lineage=lineage)
    ]


async def test_the_items_of_several_runs_come_in_the_order_of_the_runs(runs):
    found = await runs.items_of(["resp_3", "resp_1", "resp_none"])

    assert [each.body["content"][0]["text"] for each in found] == ["in 3", "out 3", "in 1", "out 1"]
    assert list(found[:2]) == list(await runs.items("resp_3"))
    assert list(await runs.items_of([])) == []
