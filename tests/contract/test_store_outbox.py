"""The outbox on every database: said because it happened, to one sender at a time, until it is taken, and once."""

import anyio
import pytest

from gateway.core.errors import Conflict
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import events, held
from tests.contract.tool_records import notice, replace

LATE = 1e9


@pytest.fixture
def outbox(database):
    return SqlOutbox(database)


@pytest.fixture
async def say(database):
    runs = SqlRuns(database)
    await runs.add(held(), [])

    async def written(*notices):
        await runs.write("resp_1", 1, Entry(notices=notices))

    return written


async def take(outbox, kinds=("slack",), *, now=10.0, until=20.0, most=10):
    return await outbox.take(kinds, now=now, until=until, most=most)


async def test_what_is_said_with_an_entry_is_to_be_sent_at_once_the_oldest_first(outbox, say):
    await say(notice("b", text="Привет \0 \U0001f44b", n=[1, {"a": None}]), notice("a"))

    first, second = await take(outbox, now=0.0)
    assert first.id < second.id
    assert [(each.kind, each.dedupe, each.attempts) for each in (first, second)] == [
        ("slack", "b", 1),
        ("slack", "a", 1),
    ]
    assert first.body == {"text": "Привет \0 \U0001f44b", "n": [1, {"a": None}]}


async def test_what_did_not_happen_is_not_said(outbox, database):
    """Invariant 9."""
    runs = SqlRuns(database)
    await runs.add(held(), [])
    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, Entry(events=events(7), notices=[notice()]))
    assert await outbox.waiting() == 0


async def test_the_same_is_said_once_also_after_it_was_sent(outbox, say):
    await say(notice("a"), notice("a", n=2), notice("a", kind="webhook"))
    assert await outbox.waiting() == 2
    (letter,) = await take(outbox)
    assert letter.body == {"approval": "mcpr_1"}
    await outbox.sent(letter.id)
    await say(notice("a"))

    assert await outbox.waiting() == 1
    assert list(await take(outbox, now=LATE)) == []


async def test_who_has_taken_a_letter_has_it_until_then(outbox, say):
    await say(notice("a"), notice("b"))
    assert [each.dedupe for each in await take(outbox, until=20.0, most=1)] == ["a"]
    assert [each.dedupe for each in await take(outbox, until=30.0)] == ["b"]
    assert list(await take(outbox, now=19.9)) == []
    (again,) = await take(outbox, now=20.0, until=30.0)
    assert (again.dedupe, again.attempts) == ("a", 2)


async def test_only_the_kinds_that_are_asked_for_are_given(outbox, say):
    await say(notice("a"), notice("a", kind="webhook"), notice("a", kind="approval"))
    assert [each.kind for each in await take(outbox, ("webhook", "approval"))] == ["webhook", "approval"]
    assert list(await take(outbox, ())) == []


async def test_what_was_not_taken_is_sent_again_when_it_is_time(outbox, say):
    await say(notice("a"))
    (letter,) = await take(outbox, until=20.0)
    await outbox.again(letter.id, at=15.0, error="429 \0" + "x" * 10_000)

    assert list(await take(outbox, now=14.9)) == []
    assert [each.attempts for each in await take(outbox, now=15.0)] == [2]
    assert await outbox.waiting() == 1


async def test_what_was_given_up_is_never_sent_again(outbox, say):
    await say(notice("a"))
    (letter,) = await take(outbox)
    await outbox.give_up(letter.id, error="404")
    await outbox.again(letter.id, at=0.0, error="late")

    assert list(await take(outbox, now=LATE)) == []
    assert await outbox.waiting() == 0


async def test_what_was_sent_stays_sent_whatever_one_says_who_was_late_with_it(outbox, say):
    await say(notice("a"))
    (slow,) = await take(outbox, until=20.0)
    (fast,) = await take(outbox, now=20.0, until=40.0)
    await outbox.sent(fast.id)
    await outbox.again(slow.id, at=0.0, error="timeout")
    assert list(await take(outbox, now=LATE)) == []
    assert await outbox.remove_done(40.0) == 0


async def test_what_is_done_is_forgotten_after_a_time_and_can_be_said_again(outbox, say):
    await say(notice("sent"), notice("given up"), notice("waits"))
    for letter in await take(outbox, until=20.0, most=2):
        if letter.dedupe == "sent":
            await outbox.sent(letter.id)
        else:
            await outbox.give_up(letter.id, error="410")

    assert await outbox.remove_done(20.0) == 0
    assert await outbox.remove_done(20.1, most=1) == 1
    assert await outbox.remove_done(20.1) == 1
    assert await outbox.waiting() == 1
    await say(notice("sent"))
    assert [each.dedupe for each in await take(outbox)] == ["waits", "sent"]


async def test_a_number_is_never_given_twice(outbox, say):
    """Who is late with one would mean another letter."""
    await say(notice("a"))
    (letter,) = await take(outbox)
    await outbox.sent(letter.id)
    await outbox.remove_done(LATE)
    await say(notice("b"))
    await outbox.sent(letter.id)
    (other,) = await take(outbox)
    assert other.id != letter.id


async def test_many_senders_at_once_never_get_the_same_letter(replicas):
    """Tasks of several processes, as far as the database can tell: each with its own connections."""
    outboxes = [SqlOutbox(database) for database in replicas]
    runs = SqlRuns(replicas[0])
    await runs.add(held(), [])
    await runs.write("resp_1", 1, Entry(notices=[notice(f"{number}") for number in range(120)]))
    taken: list[str] = []

    async def send(number: int) -> None:
        while some := await take(outboxes[number % 3], most=7):
            taken.extend(letter.dedupe for letter in some)
            for letter in some:
                await outboxes[number % 3].sent(letter.id)

    with anyio.fail_after(60):
        while len(taken) < 120:  # who was passed over may have been left by all at once
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(send, number)

    assert sorted(map(int, taken)) == list(range(120))
    assert await outboxes[1].waiting() == 0


async def test_the_same_said_by_many_at_once_is_said_once(outbox, database):
    runs = SqlRuns(database)
    for number in range(8):
        await runs.add(held(f"resp_{number}"), [])
    entry = replace(Entry(), notices=[notice("a")])

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(SqlRuns(database).write, f"resp_{number}", 1, entry)
    assert await outbox.waiting() == 1
