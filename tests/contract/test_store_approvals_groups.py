"""What several groups are asked about one call, on every database: all have to agree, one denial is enough, and all of it is used together."""

import anyio
import pytest

from gateway.stores.approvals import AlreadyDecided
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import NotConsumed, Vote
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.tool_records import approval, goes_on, starting, vote, waits


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def approvals(database):
    return SqlApprovals(database)


@pytest.fixture
def calls(database):
    return SqlToolCalls(database)


async def states(calls, run="resp_1"):
    return [each.state for each in await calls.calls(run)]


async def test_a_call_may_be_made_when_all_groups_have_approved(runs, approvals, calls):
    await waits(runs, approval(1), approval(2, call="mcp_1"))

    for number, state in ((2, "awaiting_approval"), (1, "approved")):
        await approvals.vote(vote(number=number))
        assert [each.state for each in await calls.calls("resp_1")] == [state]


async def test_what_one_group_denies_the_others_are_not_asked_any_more(runs, approvals, calls, database):
    """A run does not wait for an answer that changes nothing, and its buttons vanish."""
    await waits(runs, approval(1), approval(2, call="mcp_1"), approval(3), approval(4, call="mcp_1"))
    await approvals.vote(vote(number=4))

    outcome = await approvals.vote(vote(number=2, approve=False))

    assert (outcome.approval.id, outcome.approval.state) == ("mcpr_2", "denied")
    kept = [(each.id, each.state, each.decided_at) for each in await approvals.of_run("resp_1")]
    assert kept == [
        ("mcpr_1", "denied", 60.0),
        ("mcpr_2", "denied", 60.0),
        ("mcpr_3", "pending", None),
        ("mcpr_4", "approved", 60.0),
    ]
    assert sorted(each.state for each in await calls.calls("resp_1")) == ["awaiting_approval", "denied"]
    letters = await SqlOutbox(database).take(["approval"], now=1e9, until=2e9, most=100)
    assert [letter.dedupe for letter in letters] == ["mcpr_1:denied"]
    with pytest.raises(AlreadyDecided):
        await approvals.vote(vote("ben", number=1))


async def test_groups_that_answer_at_once_do_not_wait_for_each_other_for_ever(replicas):
    stores = [SqlApprovals(database) for database in replicas]
    runs, calls = SqlRuns(replicas[0]), SqlToolCalls(replicas[0])
    for turn in range(5):
        run = f"resp_{turn}"
        asked = [approval(turn * 10 + number, run, call=f"mcp_{turn}") for number in range(4)]
        await waits(runs, *asked, run=run)

        async def answer(number: int, asked=asked) -> None:
            await stores[number % 3].vote(
                Vote(approval=asked[number].id, approver="ada", approve=True, channel="api", at=60.0)
            )

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(answer, number)

        assert [each.state for each in await calls.calls(run)] == ["approved"]


async def test_leave_of_several_groups_is_used_up_together(runs, approvals):
    """Invariant 3: nothing that was given for a call is left over when it is made."""
    await waits(runs, approval(1), approval(2, call="mcp_1"), approval(3))
    for number in (1, 2, 3):
        await approvals.vote(vote(number=number))
    await goes_on(approvals)

    for _ in range(2):  # said again by who did not hear that it was written
        await runs.write("resp_2", 1, starting(number=7))

    kept = {one.id: (one.state, one.consumed_by) for one in await approvals.of_run("resp_1")}
    assert kept == {"mcpr_1": ("consumed", "mcp_7"), "mcpr_2": ("consumed", "mcp_7"), "mcpr_3": ("approved", "")}


async def test_what_one_of_several_groups_has_not_approved_is_not_used(runs, approvals, calls):
    await waits(runs, approval(1), approval(2, call="mcp_1"))
    await approvals.vote(vote(number=1))
    await approvals.vote(vote(number=2, approve=False))
    await goes_on(approvals)

    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, starting())
    assert [one.state for one in await approvals.of_run("resp_1")] == ["approved", "denied"]
    assert await states(calls, "resp_2") == []
