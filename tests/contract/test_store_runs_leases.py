"""Leases of runs on every database: who holds one, who takes it over, and who asks for its end."""

import anyio
import msgspec
import pytest
import sqlalchemy

from gateway.core.errors import Conflict
from gateway.stores.database import open_database
from gateway.stores.runs import Entry, Fenced
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import ENDED, SPENT, claim, ending, events, found, held, item, numbers, queued

replace = msgspec.structs.replace


@pytest.fixture
def runs(database):
    return SqlRuns(database)


async def test_a_run_that_has_ended_is_not_written_to_whatever_its_lease_says(runs):
    await runs.add(held(status="failed"), [])

    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, Entry(events=events(0)))
    assert await numbers(runs) == []


async def test_who_waits_for_a_person_has_no_lease_and_is_not_claimed(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, ending(0, "waiting"))

    assert (await found(runs)).lease_until is None
    assert list(await claim(runs, now=1e9)) == []
    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, Entry(events=events(1)))


async def test_a_holder_whose_lease_went_to_another_is_fenced_off(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0)))
    (taken,) = await claim(runs, now=100.0, until=115.0)
    assert (taken.epoch, taken.next_seq) == (2, 1)

    for stale in (Entry(events=events(1)), ending(1), Entry(items=[item(0)]), Entry(spent=SPENT), Entry()):
        with pytest.raises(Fenced):
            await runs.write("resp_1", 1, stale)
    assert await runs.renew({"resp_1": 1}, until=500.0) == {}
    with pytest.raises(Fenced):
        await runs.release("resp_1", 1)

    assert await found(runs) == taken
    await runs.write("resp_1", 2, Entry(events=events(1)))
    assert await numbers(runs) == [0, 1]


async def test_a_run_that_is_not_there_is_nobodys(runs):
    for epoch in (0, 1):
        with pytest.raises(Fenced):
            await runs.write("resp_1", epoch, Entry(events=events(0)))
        assert await runs.renew({"resp_1": epoch}, until=5.0) == {}


async def test_nobody_writes_to_a_run_that_is_queued(runs):
    await runs.add(queued(), [])

    with pytest.raises(Fenced):
        await runs.write("resp_1", 0, Entry(events=events(0)))
    assert await numbers(runs) == []


async def test_queued_runs_are_claimed_the_oldest_first(runs):
    for number, at in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.0)):
        await runs.add(queued(f"resp_{number}", created_at=at, request={"n": number}), [])

    first = await claim(runs, most=3)
    assert [run.id for run in first] == ["resp_2", "resp_3", "resp_4"]
    assert [run.id for run in await claim(runs)] == ["resp_1"]
    assert list(await claim(runs)) == []

    assert first[0] == queued(
        "resp_2", request={"n": 2}, status="in_progress", lease_owner="replica-2", lease_until=25.0, epoch=1, started_at=10.0
    )  # fmt: skip
    assert [await found(runs, run.id) for run in first] == list(first)


async def test_a_live_lease_is_left_alone_and_one_that_is_over_is_taken(runs):
    await runs.add(held(), [])

    assert list(await claim(runs, now=99.9)) == []
    (taken,) = await claim(runs, now=100.0, until=115.0)
    assert (taken.epoch, taken.lease_owner, taken.lease_until, taken.started_at) == (2, "replica-2", 115.0, 1.0)
    assert list(await claim(runs, now=114.9)) == []


async def test_a_lease_that_is_renewed_is_not_over(runs):
    await runs.add(held(), [])

    assert await runs.renew({"resp_1": 1}, until=200.0) == {"resp_1": False}
    assert list(await claim(runs, now=199.0)) == []
    assert await found(runs) == held(lease_until=200.0)


async def test_many_leases_are_renewed_at_once_and_each_by_itself(runs):
    for number in range(5):
        await runs.add(held(f"resp_{number}"), [])
    await runs.write("resp_1", 1, ending(0))
    await runs.request_cancel("acme", "resp_2", now=4.0, ended=ending(0, "cancelled"))

    kept = await runs.renew({f"resp_{number}": 2 if number == 3 else 1 for number in range(6)}, until=200.0)

    assert kept == {"resp_0": False, "resp_2": True, "resp_4": False}
    assert [run.id for run in await claim(runs, now=150.0)] == ["resp_3"]
    assert await runs.renew({}, until=1.0) == {}


async def test_nobody_takes_a_run_from_itself(runs):
    """Who executes it, and is late with its lease on a busy machine, goes on: it has not gone to anybody."""
    await runs.add(held("resp_1", lease_until=1.0), [])
    await runs.add(held("resp_2", lease_until=1.0), [])

    assert [run.id for run in await claim(runs, now=5.0, but={"resp_1": ...})] == ["resp_2"]
    assert await runs.renew({"resp_1": 1}, until=20.0) == {"resp_1": False}


async def test_who_is_late_but_not_replaced_goes_on(runs):
    """Only another's claim fences: no clock of a database or of another machine has a say."""
    await runs.add(held(lease_until=1.0), [])

    await runs.write("resp_1", 1, Entry(events=events(0)))
    assert await runs.renew({"resp_1": 1}, until=500.0) == {"resp_1": False}
    assert list(await claim(runs, now=400.0)) == []


async def test_a_lease_that_is_given_back_is_there_for_the_next_at_once(runs):
    await runs.add(held(), [])
    await runs.release("resp_1", 1)

    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, Entry(events=events(0)))
    assert await runs.renew({"resp_1": 1}, until=500.0) == {}
    assert ((await found(runs)).status, (await found(runs)).lease_owner) == ("in_progress", "")
    (taken,) = await claim(runs, now=2.0)
    assert taken.epoch == 2


async def test_many_who_claim_at_once_never_get_the_same_run(database_settings):
    """Tasks of several processes, as far as the database can tell: each with its own connections."""
    databases = [await open_database(database_settings) for _ in range(4)]
    runs = [SqlRuns(database) for database in databases]
    for number in range(200):
        await runs[0].add(queued(f"resp_{number:03}", created_at=float(number)), [])
    taken: dict[str, list[str]] = {f"replica-{number}": [] for number in range(8)}

    async def claimer(number: int) -> None:
        owner = f"replica-{number}"
        while mine := await runs[number % 4].claim(owner, now=10.0, until=25.0, most=7):
            taken[owner] += [run.id for run in mine]

    with anyio.fail_after(60):
        while sum(map(len, taken.values())) < 200:  # who was passed over may have been left by all at once
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(claimer, number)

    everything = [run for mine in taken.values() for run in mine]
    assert sorted(everything) == [f"resp_{number:03}" for number in range(200)]
    for owner, mine in taken.items():
        for run in mine:
            kept = await runs[0].find("acme", run)
            assert kept is not None
            assert (kept.lease_owner, kept.epoch) == (owner, 1)
    for database in databases:
        await database.aclose()


async def test_of_an_end_and_a_claim_at_once_only_one_comes_first(runs):
    for number in range(20):
        run = f"resp_{number}"
        await runs.add(held(run), [])
        outcomes = []

        async def end(run=run, outcomes=outcomes) -> None:
            try:
                await runs.write(run, 1, ending(0))
                outcomes.append("ended")
            except Fenced:
                outcomes.append("fenced")

        async def take(outcomes=outcomes) -> None:
            outcomes.append("taken" if await claim(runs, now=200.0, until=1e9) else "nothing")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end)
            tasks.start_soon(take)

        assert sorted(outcomes) in (["ended", "nothing"], ["fenced", "taken"])
        assert (await found(runs, run)).status == ("completed" if "ended" in outcomes else "in_progress")


async def test_who_leaves_while_others_wait_takes_nobodys_entry_along(runs, database):
    """Whoever writes first writes for those who wait; who leaves before that has written nothing."""
    for number in range(4):
        await runs.add(held(f"resp_{number}"), [])
    scopes = [anyio.CancelScope() for _ in range(4)]
    written = []

    async def write(number: int) -> None:
        with scopes[number]:
            await runs.write(f"resp_{number}", 1, Entry(events=events(0)))
            written.append(number)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, database.begin() as connection:
            # On PostgreSQL the rows are held by this, on SQLite everything.
            await connection.execute(sqlalchemy.text("UPDATE runs SET agent = ''"))
            for number in range(4):
                tasks.start_soon(write, number)
                await anyio.wait_all_tasks_blocked()
            scopes[0].cancel()
            scopes[2].cancel()
            await anyio.wait_all_tasks_blocked()

    assert {1, 3} <= set(written)
    assert 2 not in written
    assert [await numbers(runs, f"resp_{number}") for number in range(4)] == [[0], [0], [], [0]]


async def test_a_queued_run_that_is_cancelled_ends_with_what_is_given(runs):
    await runs.add(queued(), [item(0, "input")])
    ended = replace(ending(0, "cancelled", at=3.0), events=events(0, 2))

    run = await runs.request_cancel("acme", "resp_1", now=4.0, ended=ended)

    assert run == queued(
        status="cancelled", ended_at=3.0, cancel_requested_at=4.0, next_seq=2, response={"status": "cancelled"}
    )
    assert await found(runs) == run
    assert await numbers(runs) == [0, 1]
    assert list(await claim(runs, now=1e9)) == []


async def test_a_cancelled_run_has_ended_when_it_was_cancelled_unless_it_is_said(runs):
    await runs.add(queued(), [])

    run = await runs.request_cancel("acme", "resp_1", now=4.0, ended=Entry())
    assert run is not None
    assert (run.status, run.ended_at) == ("cancelled", 4.0)


async def test_a_cancellation_whose_events_do_not_begin_at_the_beginning_changes_nothing(runs):
    await runs.add(queued(), [])

    with pytest.raises(Conflict):
        await runs.request_cancel("acme", "resp_1", now=4.0, ended=ending(1, "cancelled"))
    assert await found(runs) == queued()


async def test_the_holder_of_a_run_learns_that_it_is_to_end_and_ends_it(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0)))

    run = await runs.request_cancel("acme", "resp_1", now=4.0, ended=ending(0, "cancelled"))

    assert run == held(cancel_requested_at=4.0, next_seq=1)
    assert await runs.renew({"resp_1": 1}, until=100.0) == {"resp_1": True}
    assert list(await runs.cancel_requested(["resp_1", "resp_2"])) == ["resp_1"]
    again = await runs.request_cancel("acme", "resp_1", now=9.0, ended=ENDED)
    assert again == run
    await runs.write("resp_1", 1, ending(1, "cancelled"))
    assert (await found(runs)).status == "cancelled"
    assert list(await runs.cancel_requested(["resp_1"])) == []


async def test_one_look_tells_which_of_many_are_to_end(runs):
    for number in range(6):
        await runs.add(held(f"resp_{number}"), [])
    for number in (1, 4):
        await runs.request_cancel("acme", f"resp_{number}", now=4.0, ended=ENDED)

    assert sorted(await runs.cancel_requested([f"resp_{number}" for number in range(5)])) == ["resp_1", "resp_4"]
    assert list(await runs.cancel_requested(["resp_0"])) == []
    assert list(await runs.cancel_requested([])) == []


async def test_a_holder_that_finishes_before_it_hears_of_the_cancellation_has_finished(runs):
    await runs.add(held(), [])
    await runs.request_cancel("acme", "resp_1", now=4.0, ended=ENDED)
    await runs.write("resp_1", 1, ending(0, "completed"))

    kept = await found(runs)
    assert (kept.status, kept.cancel_requested_at) == ("completed", 4.0)


async def test_who_takes_over_learns_of_a_cancellation_from_before(runs):
    await runs.add(held(), [])
    await runs.request_cancel("acme", "resp_1", now=4.0, ended=ENDED)

    (taken,) = await claim(runs, now=100.0)
    assert taken.cancel_requested_at == 4.0


async def test_of_a_run_that_waits_a_cancellation_changes_the_status_alone(runs):
    """Its stream is over, and its document has been given out."""
    await runs.add(held(), [])
    await runs.write("resp_1", 1, ending(0, "waiting"))

    run = await runs.request_cancel("acme", "resp_1", now=60.0, ended=ending(0, "cancelled", at=60.0))

    assert run is not None
    assert (run.status, run.ended_at, run.response) == ("cancelled", 60.0, {"status": "waiting"})
    assert list(await runs.events("resp_1")) == events(0, name="response.waiting")


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
async def test_a_run_that_has_ended_is_not_cancelled(runs, status):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, ending(0, status))
    before = await found(runs)

    assert await runs.request_cancel("acme", "resp_1", now=60.0, ended=ENDED) == before
    assert await found(runs) == before


async def test_of_a_cancellation_and_a_claim_at_once_neither_is_lost(runs):
    for number in range(20):
        run = f"resp_{number}"
        await runs.add(queued(run), [])
        taken = []

        async def take(taken=taken) -> None:
            taken.extend(await claim(runs))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            tasks.start_soon(lambda run=run: runs.request_cancel("acme", run, now=4.0, ended=ENDED))

        kept = await found(runs, run)
        assert kept.cancel_requested_at == 4.0
        assert kept.status == ("in_progress" if taken else "cancelled")
