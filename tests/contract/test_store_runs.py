"""The run journal on every database: gapless, written by one holder at a time, and kept within a tenant."""

import anyio
import msgspec
import pytest
import sqlalchemy

from gateway.core.errors import Conflict
from gateway.core.tools import Label
from gateway.stores.runs import Entry, Fenced, Limits, Lineage, RunEvent, RunItem, Spent
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import ENDED, SPENT, claim, ending, events, found, held, item, numbers, queued

replace = msgspec.structs.replace


@pytest.fixture
def runs(database):
    return SqlRuns(database)


async def test_a_run_comes_back_as_it_was_given(runs):
    run = held(
        request={"instructions": "Привет 👋 \0", "tools": [{"type": "function", "b": 1, "a": 0.5}], "seed": 2**53},
        background=True,
        streams=True,
        previous="resp_0",
        conversation="conv_1",
        continues="resp_00",
        agent="clerk",
        version="7",
        expires_at=1000.0,
        limits=Limits(steps=5, nano=10**15, seconds=0.5),
        spent=SPENT,
        lineage=Lineage(
            kind="replay", run="resp_9", changed=("policies",), policies={"a.cedar": "Привет \0"}, loose=True
        ),
        session="s \0",
        trace="00-1-2-01",
    )
    assert await runs.add(run, [item(0, "input"), item(1, "input")])

    assert await runs.find("acme", "resp_1") == run
    assert await runs.find(None, "resp_1") == run
    assert list((await found(runs)).request["tools"][0]) == ["type", "b", "a"]
    assert list(await runs.items("resp_1")) == [item(0, "input"), item(1, "input")]


async def test_an_id_is_taken_once(runs):
    await runs.add(queued(), [])

    with pytest.raises(Conflict):
        await runs.add(queued(tenant="globex"), [item(0, "input")])
    assert (await found(runs)).tenant == "acme"
    assert list(await runs.items("resp_1")) == []


async def test_a_tenant_has_so_many_live_runs_however_many_begin_at_once(runs):
    kept = []

    async def begin(number: int) -> None:
        if await runs.add(queued(f"resp_{number}"), [], most_live=3):
            kept.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(begin, number)

    assert len(kept) == 3
    assert await runs.add(queued("resp_other", tenant="globex"), [], most_live=1)
    await runs.request_cancel("acme", f"resp_{kept[0]}", now=2.0, ended=ENDED)
    assert await runs.add(queued("resp_more"), [], most_live=3)


async def test_what_is_written_at_once_is_there_at_once(runs):
    await runs.add(held(), [item(0, "input")])
    await runs.write("resp_1", 1, Entry(events=events(0, 3)))
    await runs.write("resp_1", 1, Entry(events=events(3, 2), items=[item(0), item(1)], spent=SPENT))

    assert list(await runs.events("resp_1")) == events(0, 5)
    assert list(await runs.items("resp_1", "output")) == [item(0), item(1)]
    assert [each.place for each in await runs.items("resp_1")] == ["input", "output", "output"]
    assert await found(runs) == held(next_seq=5, spent=SPENT)


async def test_an_entry_without_events_leaves_the_numbers_as_they_are(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0, 2)))
    await runs.write("resp_1", 1, Entry(spent=SPENT))
    await runs.write("resp_1", 1, Entry())

    assert await found(runs) == held(next_seq=2, spent=SPENT)


@pytest.mark.parametrize(
    "wrong",
    [events(3), events(1), events(0, 3), [*events(2), *events(4)], [*events(2), *events(2)], [*events(2), *events(1)]],
    ids=["gap", "repeated", "overlap", "gap-within", "twice-within", "backwards"],
)
async def test_events_that_do_not_follow_are_refused_and_leave_nothing(runs, wrong):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0, 2)))

    with pytest.raises(Conflict) as refused:
        await runs.write(
            "resp_1", 1, Entry(events=wrong, items=[item(0)], spent=SPENT, status="failed", response={"a": 1})
        )
    assert not isinstance(refused.value, Fenced)

    assert list(await runs.events("resp_1")) == events(0, 2)
    assert list(await runs.items("resp_1")) == []
    assert await found(runs) == held(next_seq=2)


async def test_an_item_whose_place_is_taken_leaves_nothing_of_its_entry(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(items=[item(0)]))

    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, Entry(events=events(0), items=[item(1), item(0, text="another")], spent=SPENT))
    assert list(await runs.items("resp_1")) == [item(0)]
    assert await numbers(runs) == []
    assert await found(runs) == held()


async def test_events_are_given_from_any_number_on(runs):
    await runs.add(held(), [])
    for first, count in ((0, 1), (1, 64), (65, 3), (68, 1)):
        await runs.write("resp_1", 1, Entry(events=events(first, count)))

    for after in (-1, 0, 1, 40, 63, 64, 65, 67, 68, 500):
        assert await numbers(runs, after=after) == list(range(after + 1, 69))
    assert await numbers(runs, after=30, limit=40) == list(range(31, 71))[:38]
    assert await numbers(runs, after=30, limit=3) == [31, 32, 33]
    assert await numbers(runs, "resp_2") == []


async def test_an_end_is_written_once_and_is_the_last(runs):
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(events=events(0)))
    await runs.write("resp_1", 1, ending(1))

    for more in (ending(2), Entry(events=events(2)), Entry(spent=SPENT), Entry()):
        with pytest.raises(Fenced):
            await runs.write("resp_1", 1, more)
    assert await runs.renew({"resp_1": 1}, until=200.0) == {}
    with pytest.raises(Fenced):
        await runs.release("resp_1", 1)

    kept = await found(runs)
    assert (kept.status, kept.ended_at, kept.response) == ("completed", 50.0, {"status": "completed"})
    assert (kept.lease_owner, kept.lease_until, kept.next_seq) == ("", None, 2)
    assert list(await claim(runs, now=1e9)) == []


@pytest.mark.parametrize("status", ["queued", "in_progress"])
async def test_no_entry_makes_a_run_live(runs, status):
    await runs.add(held(), [])

    with pytest.raises(ValueError, match=status):
        await runs.write("resp_1", 1, Entry(status=status))
    assert await found(runs) == held()


async def test_of_two_who_write_the_same_numbers_one_does(runs):
    """A holder that was cut off from the database and tries again, while its first try is still on its way."""
    await runs.add(held(), [])
    done, refused = [], []

    async def write(number: int) -> None:
        try:
            await runs.write("resp_1", 1, Entry(events=events(0, 2), items=[item(0, text=str(number))]))
        except Conflict as error:
            refused.append(type(error))
        else:
            done.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(write, number)

    assert (len(done), refused) == (1, [Conflict] * 5)
    assert list(await runs.events("resp_1")) == events(0, 2)
    assert list(await runs.items("resp_1")) == [item(0, text=str(done[0]))]


async def test_of_many_who_write_at_once_each_is_refused_for_itself_alone(runs):
    for number in range(40):
        await runs.add(held(f"resp_{number}"), [])
    await runs.write("resp_7", 1, Entry(items=[item(0)]))
    outcomes: dict[str, str] = {}

    async def write(run: str, epoch: int, first: int) -> None:
        try:
            await runs.write(run, epoch, Entry(events=events(first, 3), items=[item(0)], spent=SPENT))
        except Conflict as error:
            outcomes[run] = error.code
        else:
            outcomes[run] = "written"

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(write, f"resp_{number}", 2 if number == 3 else 1, 5 if number == 11 else 0)
        tasks.start_soon(write, "resp_none", 1, 0)

    refused = {"resp_3": "run_fenced", "resp_7": "conflict", "resp_11": "conflict", "resp_none": "run_fenced"}
    assert {run: said for run, said in outcomes.items() if said != "written"} == refused
    for number in range(40):
        run = f"resp_{number}"
        assert await numbers(runs, run) == ([] if run in refused else [0, 1, 2])
        assert (await found(runs, run)).spent == (Spent() if run in refused else SPENT)


async def test_a_tenant_reaches_nothing_of_anothers(runs):
    await runs.add(queued(), [])

    assert await runs.find("globex", "resp_1") is None
    assert list(await runs.list("globex")) == []
    assert list(await runs.list("globex", after="resp_1")) == []
    assert await runs.request_cancel("globex", "resp_1", now=4.0, ended=ENDED) is None
    await runs.request_cancel("acme", "resp_1", now=4.0, ended=ENDED)
    assert not await runs.remove("globex", "resp_1")
    assert (await found(runs)).status == "cancelled"


@pytest.mark.parametrize("unknown", ["", "resp_2", "resp_1\0", "resp_1 ", "resp_1' OR '1'='1", "\ud800", "я" * 10_000])
async def test_an_id_that_nothing_has_is_not_there(runs, unknown):
    await runs.add(queued(), [])

    assert await runs.find("acme", unknown) is None
    assert await runs.find(None, unknown) is None
    assert await runs.request_cancel("acme", unknown, now=4.0, ended=ENDED) is None
    assert not await runs.remove("acme", unknown)
    assert list(await runs.events(unknown)) == []
    assert list(await runs.items(unknown)) == []
    assert not unknown or list(await runs.list("acme", after=unknown)) == []


async def test_a_run_that_is_removed_leaves_nothing(runs, database):
    await runs.add(held(), [item(0, "input")])
    await runs.add(held("resp_2"), [item(0, "input")])
    for run in ("resp_1", "resp_2"):
        await runs.write(run, 1, replace(ending(0), items=[item(0)]))

    assert await runs.remove("acme", "resp_1")
    assert not await runs.remove("acme", "resp_1")

    assert await rows_of(database) == [1, 1, 1, 2]
    assert (await found(runs, "resp_2")).status == "completed"
    assert len(await runs.items("resp_2")) == 2


async def rows_of(database) -> list[int]:
    async with database.connect() as connection:
        return [
            await connection.scalar(sqlalchemy.text(f"SELECT count(*) FROM {table}"))
            for table in ("runs", "run_bodies", "run_events", "run_items")
        ]


async def test_a_live_run_is_not_removed(runs):
    await runs.add(queued(), [])
    await runs.add(held("resp_2", lease_until=0.0), [])

    for run in ("resp_1", "resp_2"):
        with pytest.raises(Conflict):
            await runs.remove("acme", run)
        assert await runs.find("acme", run) is not None


async def test_what_is_kept_no_longer_is_forgotten_when_it_has_ended(runs, database):
    for number, expires in ((1, 50.0), (2, 51.0), (3, None), (4, 50.0), (5, 50.0)):
        await runs.add(held(f"resp_{number}", expires_at=expires), [item(0, "input")])
    for number in (1, 2, 3):
        await runs.write(f"resp_{number}", 1, ending(0))
    await runs.write("resp_4", 1, ending(0, "waiting"))

    assert await runs.remove_expired(49.9) == 0
    assert await runs.remove_expired(50.0) == 2
    assert await runs.remove_expired(50.0) == 0
    assert sorted(run.id for run in await runs.list("acme")) == ["resp_2", "resp_3", "resp_5"]
    assert await rows_of(database) == [3, 3, 2, 3]


async def test_so_many_are_forgotten_at_once(runs, database):
    for number in range(60):
        await runs.add(held(f"resp_{number}", expires_at=1.0, status="completed", ended_at=1.0), [])

    assert await runs.remove_expired(5.0, most=40) == 40
    assert await runs.remove_expired(5.0) == 20
    assert await rows_of(database) == [0, 0, 0, 0]


async def test_runs_are_listed_newest_first_page_by_page(runs):
    for number in range(5):
        await runs.add(queued(f"resp_{number}", created_at=float(number // 2)), [])
    await runs.add(queued("resp_other", tenant="globex", created_at=1.0), [])

    async def walk(tenant, **query):
        ids, after = [], ""
        while page := await runs.list(tenant, after=after, limit=2, **query):
            ids += [run.id for run in page]
            after = page[-1].id
        return ids

    assert await walk("acme") == [f"resp_{number}" for number in (4, 3, 2, 1, 0)]
    assert await walk(None) == ["resp_4", "resp_other", "resp_3", "resp_2", "resp_1", "resp_0"]
    assert list(await runs.list("acme", after="resp_other")) == []


async def test_runs_are_listed_by_status_and_by_agent(runs):
    await runs.add(queued("resp_1", agent="clerk"), [])
    await runs.add(held("resp_2", agent="clerk"), [])
    await runs.add(held("resp_3"), [])

    assert [run.id for run in await runs.list("acme", status="in_progress")] == ["resp_3", "resp_2"]
    assert [run.id for run in await runs.list("acme", agent="clerk")] == ["resp_2", "resp_1"]
    assert [run.id for run in await runs.list("acme", agent="clerk", status="queued")] == ["resp_1"]
    assert list(await runs.list("acme", agent="\0")) == []


async def test_any_text_and_a_megabyte_of_it_come_back_as_they_were(runs):
    odd = "\0 \u2028 \U0001f469\u200d\U0001f469 \\u0000 \"' \r\n\t\x7f العربية"
    long = odd * 30_000
    data = msgspec.json.encode({"type": "x", "delta": long, "sequence_number": 0})
    body = {"z": long, "a": [None, True, 1, 1.5, -0.0, 2**53, {"": {}}], odd: odd}
    await runs.add(held(request=body), [RunItem(id="msg_1", place="input", index=0, body=body)])

    output = RunItem(id="msg_2", place="output", index=0, body=body)
    written = RunEvent(seq=0, name="response.completed", data=data)
    end = Entry(events=[written], items=[output], status="completed", ended_at=2.0, response=body)
    await runs.write("resp_1", 1, end)

    kept = await found(runs)
    assert (kept.request, kept.response) == (body, body)
    assert list(kept.request) == list(body)
    assert list(await runs.events("resp_1")) == [written]
    assert [each.body for each in await runs.items("resp_1")] == [body, body]


async def test_items_are_found_by_their_ids_within_a_tenant(runs):
    label = Label(source="wiki/read", integrity="untrusted")
    await runs.add(held(), [replace(item(0, "input", text="first"), label=label)])
    await runs.write("resp_1", 1, Entry(items=[item(0, text="said")]))
    await runs.add(queued("resp_2", created_at=99.0), [item(0, "input", text="again")])
    await runs.add(queued("resp_3", tenant="globex"), [item(0, "input", text="theirs")])

    found = await runs.find_items("acme", ["msg_input_0", "msg_output_0", "msg_9", "msg_\0"])
    texts = {each.id: each.body["content"][0]["text"] for each in found}

    assert texts == {"msg_input_0": "again", "msg_output_0": "said"}, "of several with one id the latest"
    assert [each.label for each in found] == [None, None]
    assert await runs.find_items("acme", []) == []
    await runs.request_cancel("acme", "resp_2", now=100.0, ended=ending(0, "cancelled"))
    await runs.remove("acme", "resp_2")
    [kept] = await runs.find_items("acme", ["msg_input_0"])
    assert (kept.label, kept.place) == (label, "input")
    assert [each.body["content"][0]["text"] for each in await runs.find_items("globex", ["msg_input_0"])] == ["theirs"]
