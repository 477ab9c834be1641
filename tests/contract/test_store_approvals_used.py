"""What follows upon an answer, on every database: one run goes on, and leave is used once, for what was seen."""

import anyio
import pytest
import sqlalchemy

from gateway.core.errors import Conflict
from gateway.stores.approvals import NotAnswered
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import NotConsumed
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import claim, ending, events, found, held, item, queued
from tests.contract.tool_records import (
    ARGUMENTS,
    EDITED,
    approval,
    call,
    digest,
    goes_on,
    replace,
    starting,
    vote,
    waits,
)

CANCELLED = Entry(status="cancelled", response={"status": "cancelled"})


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def approvals(database):
    return SqlApprovals(database)


@pytest.fixture
def calls(database):
    return SqlToolCalls(database)


async def the(approvals, number=1):
    kept = await approvals.find("acme", f"mcpr_{number}")
    assert kept is not None
    return kept


async def states(calls, run="resp_1"):
    return [each.state for each in await calls.calls(run)]


async def test_another_run_goes_on_and_every_approval_says_which(runs, approvals):
    await waits(runs, approval(), approval(2))
    await approvals.vote(vote())
    await approvals.vote(vote(number=2, approve=False))
    answers = [item(0, "input"), item(1, "input")]
    following = queued("resp_2", continues="resp_1", previous="resp_1", background=True)

    assert await approvals.continue_by("resp_1", following, answers)

    assert await found(runs, "resp_2") == following
    assert await runs.items("resp_2") == answers
    assert [one.continuation for one in await approvals.of_run("resp_1")] == ["resp_2", "resp_2"]
    assert (await found(runs)).status == "completed"
    assert (await found(runs)).response == {"status": "waiting"}
    assert [run.id for run in await claim(runs)] == ["resp_2"]
    assert not await approvals.continue_by("resp_1", queued("resp_3"), [])
    assert await runs.find(None, "resp_3") is None


async def test_nobody_goes_on_while_something_is_not_answered(runs, approvals):
    await waits(runs, approval(), approval(2), approval(3))
    await approvals.vote(vote(number=2))

    with pytest.raises(NotAnswered, match=r"mcpr_1, mcpr_3"):
        await approvals.continue_by("resp_1", queued("resp_2"), [])
    assert await runs.find(None, "resp_2") is None
    assert (await found(runs)).status == "waiting"


async def test_nobody_goes_on_after_what_does_not_wait(runs, approvals):
    await runs.add(held(), [])
    with pytest.raises(Conflict):
        await approvals.continue_by("resp_1", queued("resp_2"), [])
    await runs.write("resp_1", 1, ending(0, "completed"))
    with pytest.raises(Conflict):
        await approvals.continue_by("resp_1", queued("resp_2"), [])
    assert await runs.find(None, "resp_2") is None


async def test_a_run_that_goes_on_has_an_id_of_its_own_or_nothing_happens(runs, approvals):
    await waits(runs)
    await approvals.vote(vote())
    with pytest.raises(Conflict):
        await approvals.continue_by("resp_1", queued("resp_1"), [item(0, "input")])
    assert (await the(approvals)).continuation == ""
    assert (await found(runs)).status == "waiting"


async def test_of_many_who_go_on_at_once_one_does(replicas):
    """Clients, and the sweepers of several replicas."""
    stores = [SqlApprovals(database) for database in replicas]
    runs = SqlRuns(replicas[0])
    await waits(runs)
    await stores[0].vote(vote())
    winners = []

    async def go_on(number: int) -> None:
        if await stores[number % 3].continue_by("resp_1", queued(f"resp_c{number}", continues="resp_1"), []):
            winners.append(f"resp_c{number}")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(go_on, number)

    assert [(await the(stores[0])).continuation] == winners
    assert [run.id for run in await claim(runs)] == winners


async def test_who_finds_that_nobody_went_on_may(runs, approvals):
    """A process that ended between the last answer and what follows from it."""
    for number in range(1, 6):
        await waits(runs, approval(number, f"resp_{number}", call="mcp_1"), run=f"resp_{number}")
    await waits(runs, approval(6, "resp_6"), approval(7, "resp_6"), run="resp_6")
    for number, at in ((1, 60.0), (2, 80.0), (3, 60.0), (4, 60.0), (6, 60.0)):
        await approvals.vote(vote(number=number, at=at))
    await goes_on(approvals, "resp_3c", "resp_3")
    await runs.request_cancel("acme", "resp_4", now=61.0, ended=CANCELLED)

    assert list(await approvals.ready(60.0)) == []
    assert list(await approvals.ready(60.1)) == ["resp_1"]
    assert list(await approvals.ready(90.0)) == ["resp_1", "resp_2"]
    assert list(await approvals.ready(90.0, most=1)) == ["resp_1"]
    await approvals.expire(1000.0)
    assert list(await approvals.ready(1001.0)) == ["resp_1", "resp_2", "resp_5", "resp_6"]


async def test_leave_is_used_once_by_the_call_that_it_was_given_for(runs, approvals, calls):
    """Invariant 3."""
    await waits(runs)
    await approvals.vote(vote())
    await goes_on(approvals)

    begun = starting(number=7)
    await runs.write("resp_2", 1, begun)

    kept = await the(approvals)
    assert (kept.state, kept.consumed_by, kept.continuation) == ("consumed", "mcp_7", "resp_2")
    assert [each.state for each in await calls.calls("resp_2")] == ["started"]
    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, replace(starting(number=8), events=events(0)))
    assert [each.id for each in await calls.calls("resp_2")] == ["mcp_7"]
    assert (await found(runs, "resp_2")).next_seq == 0


async def test_who_did_not_hear_that_it_was_written_may_say_it_again(runs, approvals):
    await waits(runs)
    await approvals.vote(vote())
    await goes_on(approvals)

    for _ in range(2):
        await runs.write("resp_2", 1, starting())
    assert (await the(approvals)).consumed_by == "mcp_1"


@pytest.mark.parametrize(
    "other", [{"arguments": '{"replicas":6}'}, {"definition": "def_2"}], ids=["other arguments", "another definition"]
)
async def test_leave_is_for_exactly_what_was_seen(runs, approvals, calls, other):
    """Invariant 3."""
    await waits(runs)
    await approvals.vote(vote())
    await goes_on(approvals)

    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, replace(starting(**other), events=events(0)))
    assert (await the(approvals)).state == "approved"
    assert await states(calls, "resp_2") == []


async def test_of_edited_arguments_those_that_were_approved_are_used(runs, approvals):
    await waits(runs)
    await approvals.vote(vote(), version=1, edited=(EDITED, digest(EDITED)))
    await goes_on(approvals)

    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, starting(arguments=ARGUMENTS))
    await runs.write("resp_2", 1, starting(arguments=EDITED))
    assert (await the(approvals)).state == "consumed"


async def test_what_is_not_approved_is_not_used(runs, approvals, calls):
    await waits(runs, *(approval(number) for number in range(1, 4)))
    await approvals.vote(vote(number=1, approve=False))
    await approvals.expire(5000.0)
    await goes_on(approvals)
    await waits(runs, approval(4, "resp_4", call="mcp_1"), run="resp_4")

    for number in range(1, 6):  # denied, expired twice, pending, and one that there is not
        with pytest.raises(NotConsumed):
            await runs.write("resp_2", 1, starting(number, of=f"mcpr_{number}"))
    assert await states(calls, "resp_2") == []


async def test_leave_is_for_the_run_that_goes_on_alone(runs, approvals):
    """No other run, of this tenant or another, does anything with what people approved."""
    await waits(runs)
    await approvals.vote(vote())
    await goes_on(approvals)
    await runs.add(held("resp_3"), [])
    await runs.add(held("resp_4", tenant="globex", continues="resp_1"), [])

    for run in ("resp_3", "resp_4"):
        with pytest.raises(NotConsumed):
            await runs.write(run, 1, starting(run=run))
    await runs.write("resp_2", 1, starting())


async def test_of_calls_that_use_one_leave_at_once_one_begins(replicas):
    runs = [SqlRuns(database) for database in replicas]
    approvals = SqlApprovals(replicas[0])
    await waits(runs[0])
    await approvals.vote(vote())
    await goes_on(approvals)
    await runs[0].add(held("resp_3"), [])
    outcomes = []

    async def begin(number: int) -> None:
        run = "resp_3" if number % 4 == 0 else "resp_2"
        try:
            await runs[number % 3].write(run, 1, starting(number, run=run))
            outcomes.append(f"mcp_{number}")
        except NotConsumed:
            outcomes.append("refused")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 13):
                tasks.start_soon(begin, number)

    winner = (await the(approvals)).consumed_by
    assert sorted(outcomes) == [winner, *["refused"] * 11]
    assert [each.id for each in await SqlToolCalls(replicas[1]).calls("resp_2")] == [winner]


async def test_an_answered_question_about_an_outcome_lets_the_call_go_on_or_not(runs, approvals, calls):
    """Invariant 8: a person decided."""
    await waits(runs, approval(kind="outcome"), approval(2, kind="outcome"))
    await approvals.vote(vote())
    await approvals.vote(vote(number=2, approve=False, reason="it was done"))
    assert await states(calls) == ["approved", "denied"]
    await goes_on(approvals)
    await runs.write("resp_2", 1, starting())
    assert (await the(approvals)).state == "consumed"


async def test_what_is_asked_and_used_is_counted_with_what_was_spent(runs, approvals, database):
    """Invariant 5: one transaction; what was refused has cost nothing."""
    await waits(runs)
    await approvals.vote(vote())
    await goes_on(approvals)
    spent = replace((await found(runs, "resp_2")).spent, tool_calls=1)

    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, replace(starting(of="mcpr_none"), spent=spent))
    assert (await found(runs, "resp_2")).spent.tool_calls == 0
    await runs.write("resp_2", 1, replace(starting(), spent=spent))
    assert (await found(runs, "resp_2")).spent.tool_calls == 1
    async with database.connect() as connection:
        kept = await connection.scalar(sqlalchemy.text("SELECT count(*) FROM tool_calls WHERE state = 'started'"))
    assert kept == 1


async def test_calls_of_the_run_that_asked_are_not_begun_again_by_itself(runs, approvals):
    await waits(runs)
    await approvals.vote(vote())
    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, Entry(calls=[call(state="started", approval="mcpr_1")]))
