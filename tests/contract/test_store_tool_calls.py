"""The journal of calls on every database: written under the run's lease, begun before they are done, and each as it was asked for."""

import anyio
import pytest
import sqlalchemy

from gateway.core.errors import Conflict
from gateway.core.tools import Label
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry, Fenced
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import NotConsumed
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import claim, ending, events, found, held, item, numbers
from tests.contract.tool_records import approval, call, notice, replace, starting


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def calls(database):
    return SqlToolCalls(database)


async def states(calls, run="resp_1"):
    return [each.state for each in await calls.calls(run)]


async def test_calls_come_back_as_they_were_given_in_the_order_in_which_they_were_asked_for(runs, calls):
    await runs.add(held(), [])
    odd = {
        "call_id": "call \0 \ud800 \U0001f44b",
        "arguments": '{"a":"\\u0000","я":1.0}',
        "tool": "größe.get",
        "server": "",
    }
    given = [
        call(2, step=2, index=0, effect="read", state="failed", error="no such tool", decision="deny", ended_at=3.5),
        call(1, step=1, index=1, **odd),
        call(
            9,
            step=1,
            index=0,
            approval="mcpr_9",
            marks={"openai_chat": {"x": "\0я"}},
            attempts=3,
            state="started",
            started_at=2.5,
        ),
    ]
    await runs.write("resp_1", 1, Entry(calls=given))

    assert await calls.calls("resp_1") == [given[2], given[1], given[0]]
    assert list(await calls.calls("resp_2")) == []
    assert list(await calls.calls("\ud800\0")) == []


async def test_a_call_is_written_with_all_of_its_entry_or_not_at_all(runs, calls, database):
    """Invariant 1 and 9: whoever has lost the run writes nothing of its tools, and says nothing outside."""
    await runs.add(held(), [])
    await claim(runs, now=200.0)
    late = Entry(events=events(0), items=[item(0)], calls=[call()], approvals=[approval()], notices=[notice()])

    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, late)
    with pytest.raises(Conflict):
        await runs.write("resp_1", 2, replace(late, events=events(3)))

    assert list(await calls.calls("resp_1")) == []
    assert list(await SqlApprovals(database).of_run("resp_1")) == []
    assert await SqlOutbox(database).waiting() == 0
    assert await numbers(runs) == []
    assert list(await runs.items("resp_1")) == []


@pytest.mark.parametrize("end", ["completed", "cancelled", "waiting"])
async def test_a_run_that_has_ended_begins_no_call(runs, calls, end):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, ending(0, end))

    with pytest.raises(Fenced):
        await runs.write("resp_1", 1, Entry(calls=[call(state="started")]))
    assert list(await calls.calls("resp_1")) == []


async def test_only_what_happens_to_a_call_changes(runs, calls):
    await runs.add(held(), [])
    asked = call(state="planned")
    await runs.write("resp_1", 1, Entry(calls=[asked]))
    happened = {
        "state": "started",
        "attempts": 2,
        "approval": "mcpr_5",
        "error": "lost",
        "started_at": 3.0,
        "ended_at": 4.0,
    }

    other = {"arguments": "{}", "arguments_hash": "0", "definition": "def_2", "key": "other", "tool": "drop", "step": 9}
    await runs.write("resp_1", 1, Entry(calls=[replace(asked, **happened, **other)]))

    assert await calls.calls("resp_1") == [replace(asked, **happened)]


async def test_a_call_is_done_only_after_it_was_written_as_begun(runs, calls):
    """Invariant 2."""
    await runs.add(held(), [])
    done = call(state="done", ended_at=9.0)

    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, Entry(events=events(0), calls=[done]))
    await runs.write("resp_1", 1, Entry(calls=[call(state="planned")]))
    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, Entry(events=events(0), calls=[done]))
    with pytest.raises(ValueError, match="two states"):
        await runs.write("resp_1", 1, Entry(events=events(0), calls=[call(state="started"), done]))
    assert await states(calls) == ["planned"]
    assert await numbers(runs) == []

    await runs.write("resp_1", 1, Entry(calls=[call(state="started")]))
    await runs.write("resp_1", 1, Entry(events=events(0), calls=[done]))
    assert await states(calls) == ["done"]


@pytest.mark.parametrize("final", ["done", "failed", "denied", "cancelled", "approved"])
async def test_what_a_call_came_to_stays(runs, calls, final):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(calls=[call(state="started")]))
    await runs.write("resp_1", 1, Entry(calls=[call(state=final, error="first")]))

    for state in {"planned", "awaiting_approval", "started", "unknown", "done", "failed", "cancelled"} - {final}:
        with pytest.raises(Conflict):
            await runs.write("resp_1", 1, Entry(events=events(0), calls=[call(state=state)]))
    await runs.write("resp_1", 1, Entry(calls=[call(state=final, error="again")]))  # who did not hear that it was done

    assert await states(calls) == [final]
    assert await numbers(runs) == []


async def test_a_call_whose_end_nobody_knows_may_turn_out_to_be_done(runs, calls):
    await runs.add(held(), [])
    for state in ("started", "unknown", "done"):
        await runs.write("resp_1", 1, Entry(calls=[call(state=state)]))
    assert await states(calls) == ["done"]


async def test_an_entry_writes_of_its_own_run_alone(runs, calls):
    await runs.add(held(), [])
    await runs.add(held("resp_2"), [])

    for entry in (Entry(calls=[call(run="resp_2")]), Entry(approvals=[approval(run="resp_2")])):
        with pytest.raises(ValueError, match="another run"):
            await runs.write("resp_1", 1, entry)
    assert list(await calls.calls("resp_2")) == []


async def test_the_same_id_is_another_call_in_another_run(runs, calls):
    for run in ("resp_1", "resp_2"):
        await runs.add(held(run), [])
        await runs.write(run, 1, Entry(calls=[call(run=run, state="started" if run == "resp_1" else "planned")]))
    assert (await states(calls), await states(calls, "resp_2")) == (["started"], ["planned"])


async def test_of_many_who_write_at_once_one_without_leave_is_refused_alone(runs, calls):
    """What is written together is refused one by one: leave that is missing, a call that is over, a run that is another's."""
    for number in range(30):
        await runs.add(held(f"resp_{number}"), [])
    await runs.write("resp_5", 1, Entry(calls=[call(run="resp_5", state="cancelled")]))
    refusals: dict[int, str] = {}

    async def write(number: int) -> None:
        run = f"resp_{number}"
        entry = starting(run=run, of="mcpr_none") if number == 11 else Entry(calls=[call(run=run, state="started")])
        try:
            await runs.write(run, 2 if number == 17 else 1, replace(entry, events=events(0, 2), items=[item(0)]))
        except Conflict as error:
            refusals[number] = error.code

    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(write, number)

    assert refusals == {5: "conflict", 11: "approval_not_usable", 17: "run_fenced"}
    for number in range(30):
        run, refused = f"resp_{number}", number in refusals
        assert await numbers(runs, run) == ([] if refused else [0, 1])
        assert len(await runs.items(run)) == (0 if refused else 1)
        assert await states(calls, run) == (["cancelled"] if number == 5 else [] if refused else ["started"])


async def test_where_an_item_came_from_is_kept(runs):
    label = Label(source="wiki/read", integrity="untrusted", confidentiality="sensitive")
    given = [replace(item(0, "input"), label=label), item(1, "input")]
    await runs.add(held(), given)
    said = replace(item(0), label=Label(source="model"))
    await runs.write("resp_1", 1, Entry(items=[said]))

    assert await runs.items("resp_1") == [*given, said]


async def test_an_entry_with_calls_is_on_the_disk_whatever_the_database_is_set_to(runs, database, database_kind):
    """The side effect that follows cannot be taken back. SQLite waits for the disk with every commit."""
    if database_kind == "sqlite":
        async with database.begin() as connection:
            assert (await connection.execute(sqlalchemy.text("PRAGMA synchronous"))).scalar_one() == 2
            assert (await connection.execute(sqlalchemy.text("PRAGMA journal_mode"))).scalar_one() == "wal"
        return
    async with database.begin() as connection:
        for statement in WATCH_COMMITS:
            await connection.execute(sqlalchemy.text(statement))
    async with database.begin() as connection:
        await connection.execute(sqlalchemy.text("SELECT set_config('synchronous_commit', 'off', false)"))
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0)))
    await runs.write("resp_1", 1, Entry(calls=[call(state="started")]))

    async with database.connect() as connection:
        watched = (await connection.execute(sqlalchemy.text('SELECT what, how FROM "watched"'))).all()
    assert [tuple(row) for row in watched] == [("run_events", "off"), ("tool_calls", "on")]


WATCH_COMMITS = (
    "CREATE TABLE watched (what text, how text)",
    """CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO watched VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NEW; END $$""",
    "CREATE TRIGGER watch BEFORE INSERT ON tool_calls FOR EACH ROW EXECUTE FUNCTION watch()",
    "CREATE TRIGGER watch BEFORE INSERT ON run_events FOR EACH ROW EXECUTE FUNCTION watch()",
)


async def test_what_uses_leave_says_for_which_call(runs):
    await runs.add(held(), [])
    begun = starting(run="resp_1")
    for wrong in (
        replace(begun, calls=[]),
        replace(begun, calls=[replace(begun.calls[0], state="planned")]),
        replace(begun, calls=[replace(begun.calls[0], arguments_hash="other")]),
        replace(begun, calls=[replace(begun.calls[0], definition="other")]),
        replace(begun, calls=[begun.calls[0], replace(begun.calls[0], id="mcp_7")]),
    ):
        with pytest.raises(ValueError, match="mcpr_1"):
            await runs.write("resp_1", 1, wrong)
    with pytest.raises(NotConsumed):
        await runs.write("resp_1", 1, begun)
    assert (await found(runs)).next_seq == 0
