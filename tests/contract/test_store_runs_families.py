"""Runs that runs have begun, on every database: found by who began them, taken by one, and ended when nobody waits for them."""

import anyio
import pytest

from gateway.core.errors import Conflict
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import ENDED, ending, found, held, queued
from tests.contract.tool_records import call


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def approvals(database):
    return SqlApprovals(database)


def child(number=2, **changes):
    """A run that the first one has begun."""
    about = {"parent": "resp_1", "parent_call": f"mcp_{number}", "depth": 1, "created_at": float(number)}
    return held(f"resp_{number}", **about | changes)


async def test_children_are_found_by_who_began_them(runs):
    await runs.add(held(), [])
    await runs.add(child(3), [])
    await runs.add(child(2), [])
    await runs.add(held("resp_4"), [])

    assert list(await runs.children("resp_1")) == [child(2), child(3)]
    assert list(await runs.children("resp_4")) == []
    assert list(await runs.children("")) == []


async def test_one_run_is_taken_by_one_and_only_where_nobody_holds_it(runs):
    await runs.add(held(), [])
    await runs.add(queued("resp_2"), [])

    assert await runs.take("resp_1", "replica-2", now=99.0, until=120.0) is None
    assert await runs.take("resp_9", "replica-2", now=99.0, until=120.0) is None
    taken = await runs.take("resp_1", "replica-2", now=100.0, until=120.0)
    assert (taken.epoch, taken.lease_owner, taken.lease_until) == (2, "replica-2", 120.0)
    assert await found(runs) == taken
    assert (await found(runs, "resp_2")).status == "queued"

    got = []

    async def take(owner):
        got.append(await runs.take("resp_2", owner, now=1.0, until=9.0))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(take, f"replica-{number}")
    assert len([each for each in got if each is not None]) == 1


@pytest.mark.parametrize(
    ("status", "alone"),
    [
        ("in_progress", False),
        ("waiting", False),
        ("completed", True),
        ("incomplete", True),
        ("failed", True),
        ("cancelled", True),
        (None, True),
    ],
)
async def test_a_child_is_left_alone_when_its_parent_has_ended(runs, status, alone):
    if status is not None:
        await runs.add(held(status=status), [])
    await runs.add(child(), [])

    assert list(await runs.left_alone(["resp_1", "resp_2"])) == (["resp_2"] if alone else [])
    assert list(await runs.left_alone([])) == []


async def test_a_child_is_left_alone_when_the_end_of_its_parent_is_wanted(runs):
    await runs.add(held(), [])
    await runs.add(child(), [])
    await runs.request_cancel("acme", "resp_1", now=5.0, ended=ENDED)

    assert list(await runs.left_alone(["resp_2"])) == ["resp_2"]


@pytest.mark.parametrize(
    ("parent", "later", "orphan"),
    [
        ("in_progress", None, False),
        ("waiting", None, False),
        ("failed", None, True),
        ("completed", "in_progress", False),
        ("completed", "waiting", False),
        ("completed", "failed", True),
        ("completed", None, True),
        (None, None, True),
    ],
)
async def test_who_waits_and_is_not_waited_for_is_an_orphan(runs, parent, later, orphan):
    if parent is not None:
        await runs.add(held(status=parent), [])
    if later is not None:
        await runs.add(held("resp_8", continues="resp_1", status=later), [])
    await runs.add(child(status="waiting"), [])
    await runs.add(child(3), [])
    await runs.add(held("resp_9", status="waiting"), [])

    assert [run.id for run in await runs.orphans()] == (["resp_2"] if orphan else [])


async def test_a_run_that_waits_for_those_below_it_alone_is_gone_on_with_once(runs, approvals, database):
    waits = call(state="awaiting_approval", approval="mcpr_9", started_at=2.0)
    asks = call(2, state="awaiting_approval", approval="mcpr_2")
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(calls=[waits, asks]))
    await runs.write("resp_1", 1, ending(0, "waiting"))
    assert await runs.continued_by("resp_1") == ""

    made = []
    async with anyio.create_task_group() as tasks:

        async def go_on(number):
            if await approvals.continue_by("resp_1", queued(f"resp_1{number}", continues="resp_1"), []):
                made.append(f"resp_1{number}")

        for number in range(5):
            tasks.start_soon(go_on, number)

    assert [await runs.continued_by("resp_1")] == made
    assert (await found(runs)).status == "completed"
    assert [each.state for each in await SqlToolCalls(database).calls("resp_1")] == ["approved", "awaiting_approval"]


async def test_a_run_that_does_not_wait_is_not_gone_on_with(runs, approvals):
    await runs.add(held(status="cancelled"), [])

    with pytest.raises(Conflict):
        await approvals.continue_by("resp_1", queued("resp_2", continues="resp_1"), [])
    assert await runs.continued_by("resp_1") == ""
