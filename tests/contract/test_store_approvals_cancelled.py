"""Cancelling what waits for people, on every database: it wins over an answer until what was approved is begun."""

import anyio
import pytest

from gateway.core.errors import Conflict
from gateway.stores.approvals import AlreadyDecided
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import NotConsumed
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import claim, found, queued
from tests.contract.tool_records import approval, goes_on, starting, vote, waits

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


async def told(database) -> list[str]:
    taken = await SqlOutbox(database).take(["approval"], now=1e9, until=2e9, most=100)
    return [letter.dedupe for letter in taken]


async def states(calls, run="resp_1"):
    return [each.state for each in await calls.calls(run)]


async def test_cancelling_a_run_that_waits_takes_back_what_it_asks_and_leave_that_was_given(
    runs, approvals, calls, database
):
    """Invariant 6."""
    await waits(runs, approval(), approval(2), approval(3))
    await approvals.vote(vote())
    await approvals.vote(vote(number=3, approve=False))

    run = await runs.request_cancel("acme", "resp_1", now=70.0, ended=CANCELLED)

    assert run is not None
    assert run.status == "cancelled"
    kept = [(one.state, one.decided_at) for one in await approvals.of_run("resp_1")]
    assert kept == [("cancelled", 70.0), ("cancelled", 70.0), ("denied", 60.0)]
    assert await states(calls) == ["cancelled", "cancelled", "denied"]
    assert sorted(await told(database)) == ["mcpr_1:cancelled", "mcpr_2:cancelled"]
    with pytest.raises(AlreadyDecided, match=r"mcpr_2 was cancelled at 1970-01-01T00:01:10Z\."):
        await approvals.vote(vote(number=2))
    with pytest.raises(Conflict):
        await approvals.continue_by("resp_1", queued("resp_2"), [])


async def test_a_call_whose_end_nobody_knows_stays_so_when_its_run_is_cancelled(runs, approvals, calls):
    """Invariant 8: the journal does not say that nothing was done."""
    await waits(runs, approval(kind="outcome"))
    await runs.request_cancel("acme", "resp_1", now=70.0, ended=CANCELLED)
    assert await states(calls) == ["unknown"]
    assert (await the(approvals)).state == "cancelled"


async def test_cancelling_comes_before_what_was_approved_is_begun(runs, approvals, calls):
    """Invariant 6: also when the run that goes on is there already, and its holder has not heard of it."""
    await waits(runs, approval(), approval(2))
    await approvals.vote(vote())
    await approvals.vote(vote(number=2))
    await goes_on(approvals)
    await runs.write("resp_2", 1, starting())

    run = await runs.request_cancel("acme", "resp_1", now=70.0, ended=CANCELLED)

    assert run is not None
    assert (run.status, run.cancel_requested_at) == ("completed", None)
    assert list(await runs.cancel_requested(["resp_2"])) == ["resp_2"]
    with pytest.raises(NotConsumed):
        await runs.write("resp_2", 1, starting(2, of="mcpr_2"))
    assert [one.state for one in await approvals.of_run("resp_1")] == ["consumed", "cancelled"]
    assert await states(calls) == ["approved", "cancelled"]
    assert await states(calls, "resp_2") == ["started"]


async def test_a_queued_run_that_would_go_on_learns_that_it_is_not_to(runs, approvals):
    await waits(runs)
    await approvals.vote(vote())
    assert await approvals.continue_by("resp_1", queued("resp_2", continues="resp_1"), [])
    await runs.request_cancel("acme", "resp_1", now=70.0, ended=CANCELLED)

    (taken,) = await claim(runs)
    assert (taken.id, taken.cancel_requested_at) == ("resp_2", 70.0)


async def test_of_cancelling_and_beginning_at_once_one_comes_first(replicas):
    """Whatever comes first, a call that is cancelled was not begun; nobody waits for another for ever."""
    runs, approvals = [SqlRuns(database) for database in replicas], SqlApprovals(replicas[0])
    calls = SqlToolCalls(replicas[0])
    began = []
    for number in range(20):
        first, second = f"resp_{number}", f"resp_{number}c"
        await waits(runs[0], approval(number, first, call="mcp_1"), run=first)
        await approvals.vote(vote(number=number))
        await goes_on(approvals, second, first)

    async def begin(number: int) -> None:
        try:
            await runs[0].write(f"resp_{number}c", 1, starting(run=f"resp_{number}c", of=f"mcpr_{number}"))
            began.append(number)
        except NotConsumed:
            pass

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(begin, number)
                tasks.start_soon(
                    lambda run=f"resp_{number}": runs[1].request_cancel("acme", run, now=70.0, ended=CANCELLED)
                )

    for number in range(20):
        state = (await the(approvals, number)).state
        assert state == ("consumed" if number in began else "cancelled")
        assert await states(calls, f"resp_{number}c") == (["started"] if number in began else [])
        assert await states(calls, f"resp_{number}") == (["approved"] if number in began else ["cancelled"])


async def test_of_cancelling_answering_and_going_on_at_once_cancelling_wins(runs, approvals, calls):
    for number in range(20):
        run = f"resp_{number}"
        await waits(runs, approval(number, run, call="mcp_1"), run=run)

    async def answer(number: int) -> None:
        try:
            await approvals.vote(vote(number=number))
            await approvals.continue_by(f"resp_{number}", queued(f"resp_{number}c", continues=f"resp_{number}"), [])
        except Conflict:
            pass

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(answer, number)
                tasks.start_soon(
                    lambda run=f"resp_{number}": runs.request_cancel("acme", run, now=70.0, ended=CANCELLED)
                )

    for number in range(20):
        assert (await the(approvals, number)).state == "cancelled"
        assert await states(calls, f"resp_{number}") == ["cancelled"]
        goes = await runs.find(None, f"resp_{number}c")
        assert goes is None or goes.cancel_requested_at == 70.0


async def test_of_cancelling_and_going_on_at_once_nothing_goes_on_unmarked(replicas):
    runs, approvals = [SqlRuns(database) for database in replicas], SqlApprovals(replicas[0])
    for number in range(20):
        run = f"resp_{number}"
        await waits(runs[0], approval(number, run, call="mcp_1"), run=run)
        await approvals.vote(vote(number=number))
    refused = []

    async def go_on(number: int) -> None:
        try:
            await approvals.continue_by(f"resp_{number}", queued(f"resp_{number}c", continues=f"resp_{number}"), [])
        except Conflict:
            refused.append(number)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(
                    lambda run=f"resp_{number}": runs[1].request_cancel("acme", run, now=70.0, ended=CANCELLED)
                )
                tasks.start_soon(go_on, number)

    for number in range(20):
        first, second = await runs[0].find(None, f"resp_{number}"), await runs[0].find(None, f"resp_{number}c")
        assert (await the(approvals, number)).state == "cancelled"
        assert first is not None
        if number in refused:
            assert (first.status, second) == ("cancelled", None)
        else:
            assert second is not None
            assert (first.status, second.cancel_requested_at) == ("completed", 70.0)


async def test_what_was_cancelled_is_cancelled_once(runs, approvals, database):
    await waits(runs)
    first = await runs.request_cancel("acme", "resp_1", now=70.0, ended=CANCELLED)
    assert await runs.request_cancel("acme", "resp_1", now=80.0, ended=CANCELLED) == first

    assert (await the(approvals)).decided_at == 70.0
    assert await told(database) == ["mcpr_1:cancelled"]


async def test_a_run_that_asked_nothing_is_cancelled_as_ever(runs, approvals):
    """What another run waits for is none of its business."""
    await waits(runs)
    await waits(runs, approval(2, "resp_2", call="mcp_1"), run="resp_2")
    await runs.request_cancel("acme", "resp_2", now=70.0, ended=CANCELLED)
    assert await the(approvals) == approval()
    assert (await found(runs)).status == "waiting"
