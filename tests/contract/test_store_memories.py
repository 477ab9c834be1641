"""Memories on every database: one write a call, versions without gaps, bounds that hold whoever writes at once, and nobody else's entries."""

import anyio
import msgspec
import pytest
from sqlalchemy import select

from gateway.core.ids import new_id
from gateway.stores.memories import MemoryBounds, MemoryChanged, MemoryEntry, MemoryFull, MemoryGuarded, MemoryPlace
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.memories_tables import MEMORIES, MEMORY_RECEIPTS
from gateway.stores.runs_sql import SqlRuns
from tests.contract.run_records import held

ADA = MemoryPlace(tenant="acme", name="notes", scope="user", owner="user:ada")
ROOMY = MemoryBounds(entries=100, bytes=10_000)


@pytest.fixture
def memories(database):
    return SqlMemories(database, new_id)


def entry(key="tea", text="green", at=1.0, **more):
    return MemoryEntry(
        key=key, text=text, **{"run": "resp_1", "author": "user:ada", "created_at": at, "updated_at": at, **more}
    )


async def write(memories, *, call, place=ADA, bounds=ROOMY, expected=None, guarded=False, **fields):
    return await memories.write(place, entry(**fields), call=call, bounds=bounds, expected=expected, guarded=guarded)


async def test_what_was_written_is_read_with_where_it_came_from(memories):
    more = {"integrity": "untrusted", "confidentiality": "sensitive", "sources": ("mail/read",), "agent": "clerk"}
    kept = await write(memories, call="c1", text="gr\u00fcn \U0001f375", expires_at=9.0, **more)

    assert kept == entry(text="gr\u00fcn \U0001f375", expires_at=9.0, version=1, **more)
    assert await memories.find(ADA, "tea", now=2.0) == kept
    assert await memories.entries(ADA, now=2.0) == [kept]
    assert await memories.find(ADA, "coffee", now=2.0) is None


@pytest.mark.parametrize("field", ["tenant", "name", "scope", "owner"])
async def test_nothing_is_found_in_another_memory(memories, field):
    other = msgspec.structs.replace(ADA, **{field: "agent" if field == "scope" else "other"})
    await write(memories, call="c1")

    assert await memories.find(other, "tea", now=2.0) is None
    assert await memories.entries(other, now=2.0) == []
    assert await memories.remove(other, "tea", call="c2", run="r", now=2.0) is False
    assert (await write(memories, call="c3", place=other)).version == 1
    assert (await memories.find(ADA, "tea", now=2.0)).version == 1


async def test_a_call_writes_once_however_often_it_is_made(memories):
    first = await write(memories, call="c1", text="one")
    await write(memories, call="c2", text="two", at=2.0)
    again = await write(memories, call="c1", text="one", at=3.0)

    assert (first.version, again.version) == (1, 1)
    assert (await memories.find(ADA, "tea", now=4.0)).text == "two"
    assert (await memories.find(ADA, "tea", now=4.0)).version == 2


async def test_a_call_removes_once_however_often_it_is_made(memories):
    await write(memories, call="c1")
    assert await memories.remove(ADA, "tea", call="c2", run="r", now=2.0) is True
    await write(memories, call="c3", text="anew", at=3.0)

    assert await memories.remove(ADA, "tea", call="c2", run="r", now=4.0) is True
    assert (await memories.find(ADA, "tea", now=5.0)).text == "anew"
    assert await memories.remove(ADA, "coffee", call="c4", run="r", now=5.0) is False


async def test_who_meant_another_version_changes_nothing(memories):
    await write(memories, call="c1", expected=0)
    with pytest.raises(MemoryChanged) as stale:
        await write(memories, call="c2", text="black", expected=0)
    with pytest.raises(MemoryChanged):
        await memories.remove(ADA, "tea", call="c3", run="r", now=2.0, expected=7)
    with pytest.raises(MemoryChanged):
        await memories.remove(ADA, "coffee", call="c4", run="r", now=2.0, expected=7)

    assert stale.value.version == 1
    assert (await memories.find(ADA, "tea", now=2.0)).text == "green"
    assert (await write(memories, call="c2", text="black", expected=1)).version == 2


async def test_no_version_comes_twice_under_a_key(memories):
    for number in range(3):
        await write(memories, call=f"c{number}")
    await memories.remove(ADA, "tea", call="gone", run="r", now=2.0)

    assert (await write(memories, call="anew")).version == 4


async def test_of_many_writes_at_once_each_gets_a_version_of_its_own(replicas):
    stores = [SqlMemories(database, new_id) for database in replicas]
    versions, lost = [], []

    async def one(store, number):
        versions.append((await write(store, call=f"c{number}", text=str(number))).version)

    async def first(store, number):
        try:
            await write(store, call=f"f{number}", key="first", expected=0)
        except MemoryChanged:
            lost.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(one, stores[number % 3], number)
            tasks.start_soon(first, stores[number % 3], number)

    assert sorted(versions) == list(range(1, 13))
    assert len(lost) == 11
    assert (await stores[0].info(None, (await stores[0].list("acme"))[0].id)).entries == 2


async def test_one_call_that_two_processes_make_writes_once(replicas):
    stores = [SqlMemories(database, new_id) for database in replicas]
    versions = []

    async def one(store):
        versions.append((await write(store, call="c1")).version)

    async with anyio.create_task_group() as tasks:
        for store in stores:
            tasks.start_soon(one, store)

    assert versions == [1, 1, 1]
    assert (await stores[0].find(ADA, "tea", now=2.0)).version == 1


async def test_bounds_hold_whoever_writes_at_once(replicas):
    stores = [SqlMemories(database, new_id) for database in replicas]
    bounds = MemoryBounds(entries=3, bytes=10_000)
    refused = []

    async def one(store, number):
        try:
            await write(store, call=f"c{number}", key=f"k{number}", bounds=bounds)
        except MemoryFull as error:
            refused.append(error.message)

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(one, stores[number % 3], number)

    assert len(await stores[0].entries(ADA, now=2.0)) == 3
    assert len(refused) == 6
    assert "3 of 3 entries" in refused[-1]


async def test_bytes_are_bounded_and_given_back(memories):
    bounds = MemoryBounds(entries=10, bytes=12)
    await write(memories, call="c1", key="a", text="12345", bounds=bounds)
    await write(memories, call="c2", key="b", text="12345", bounds=bounds)
    with pytest.raises(MemoryFull):
        await write(memories, call="c3", key="a", text="123456", bounds=bounds)
    await write(memories, call="c4", key="a", text="1", bounds=bounds)
    await write(memories, call="c5", key="b", text="123456789", bounds=bounds)
    narrow = MemoryBounds(entries=1, bytes=6)

    assert (await write(memories, call="c6", key="b", text="12345678", bounds=narrow)).version == 3
    with pytest.raises(MemoryFull):
        await write(memories, call="c7", key="c", text="", bounds=narrow)
    [info] = await memories.list("acme")
    assert (info.entries, info.bytes) == (2, 2 + 9)


async def test_what_expires_is_not_there_and_takes_no_room(memories):
    bounds = MemoryBounds(entries=1, bytes=100)
    await write(memories, call="c1", expires_at=5.0)

    assert await memories.find(ADA, "tea", now=4.9) is not None
    assert await memories.find(ADA, "tea", now=5.0) is None
    assert await memories.entries(ADA, now=5.0) == []
    with pytest.raises(MemoryFull):
        await write(memories, call="c2", key="coffee", at=4.0, bounds=bounds)
    assert (await write(memories, call="c3", at=6.0, expires_at=9.0, bounds=bounds, expected=0)).version == 2
    assert await memories.remove_expired(8.0) == 0
    assert await memories.remove_expired(10.0) == 1
    assert [info.entries for info in await memories.list("acme")] == [0]


async def test_what_is_not_trusted_takes_the_place_of_nothing_that_is(memories):
    await write(memories, call="c1")
    with pytest.raises(MemoryGuarded):
        await write(memories, call="c2", text="poison", integrity="untrusted", guarded=True)

    assert (await memories.find(ADA, "tea", now=2.0)).text == "green"
    assert (await write(memories, call="c3", text="agreed", integrity="untrusted")).version == 2
    assert (await write(memories, call="c4", text="again", integrity="untrusted", guarded=True)).version == 3


async def test_receipts_outlive_their_run(memories, database):
    await SqlRuns(database).add(held(), [])
    await write(memories, call="c1")
    await write(memories, call="c2", run="resp_over", key="coffee")
    await memories.remove_expired(86_400.0)

    async def receipts():
        async with database.connect() as connection:
            return sorted((await connection.execute(select(MEMORY_RECEIPTS.c.call))).scalars())

    assert await receipts() == ["c1", "c2"]
    await memories.remove_expired(90_000.0)
    assert await receipts() == ["c1"]


async def test_people_see_and_take_out_what_is_of_their_tenant(memories):
    globex = msgspec.structs.replace(ADA, tenant="globex")
    await write(memories, call="c1")
    await write(memories, call="c2", key="coffee")
    await write(memories, call="c3", place=globex)
    [mine] = await memories.list("acme")

    assert (mine.place, mine.entries) == (ADA, 2)
    assert len(await memories.list(None)) == 2
    assert await memories.list("acme", name="other") == []
    assert [one.id for one in await memories.list("acme", owner="user:ada")] == [mine.id]
    assert await memories.list("acme", after=mine.id) == []
    assert await memories.info("globex", mine.id) is None
    assert [one.key for one in await memories.page(mine.id, now=2.0, limit=1)] == ["coffee"]
    assert [one.key for one in await memories.page(mine.id, now=2.0, after="coffee")] == ["tea"]
    assert (await memories.take_out(mine.id, "tea", now=2.0), await memories.take_out(mine.id, "tea", now=2.0)) == (
        True,
        False,
    )
    assert await memories.erase(mine.id) == 1
    assert (await memories.info("acme", mine.id)).bytes == 0


async def test_what_a_user_wrote_is_erased_wherever_it_is(memories, database):
    shared = MemoryPlace(tenant="acme", name="team", scope="tenant")
    eve = msgspec.structs.replace(ADA, owner="user:eve")
    globex = msgspec.structs.replace(ADA, tenant="globex")
    await write(memories, call="c1")
    await write(memories, call="c2", place=shared)
    await write(memories, call="c3", place=shared, key="coffee", author="user:eve")
    await write(memories, call="c4", place=eve, author="user:eve")
    await write(memories, call="c5", place=globex)

    assert await memories.erase_of(tenant="acme", user="ada", before=1.0) == 0
    assert await memories.erase_of(tenant="acme", user="ada") == 2
    assert [one.key for one in await memories.entries(shared, now=2.0)] == ["coffee"]
    assert len(await memories.entries(eve, now=2.0)) == 1
    assert await memories.erase_of(tenant="acme", user=None) == 2
    assert len(await memories.entries(globex, now=2.0)) == 1
    async with database.connect() as connection:
        assert set((await connection.execute(select(MEMORIES.c.bytes))).scalars()) == {0, len("teagreen")}
