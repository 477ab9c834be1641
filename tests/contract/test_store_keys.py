"""Virtual keys in the directory, on every database: revoked for good, rotated once, and no change that anybody misses."""

import anyio
import pytest

from gateway.core.errors import Conflict, InvalidRequest
from gateway.stores.directory import Directory, KeyChanges
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.directory_tables import KEY_REVISION, VIRTUAL_KEYS
from tests.contract.directory_records import MADE, key, user


@pytest.fixture
def directory(database) -> Directory:
    return SqlDirectory(database)


@pytest.mark.parametrize(("noun", "field"), [("users", "user"), ("service_accounts", "service_account")])
async def test_keys_go_with_their_owner_and_everybody_learns_of_it(directory, noun, field):
    owner = await getattr(directory, noun).create(MADE[noun]())
    await directory.keys.create(key("a", **{field: owner.id}))
    await directory.keys.create(key("b"))
    before = (await directory.keys.changed_since(0)).revision

    await getattr(directory, noun).delete(owner.id, tenant="default")

    changes = await directory.keys.changed_since(before)
    assert (changes.keys, changes.removed) == ((), ("key_a",))
    assert [one.id for one in (await directory.keys.changed_since(0)).keys] == ["key_b"]


async def test_no_key_outlives_an_owner_who_is_deleted_at_the_same_moment(directory):
    for turn in range(10):
        await directory.users.create(user())

        async def make(turn=turn) -> None:
            try:
                await directory.keys.create(key(f"k{turn}", user="user_ada"))
            except InvalidRequest:
                return  # the owner was gone first

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            tasks.start_soon(lambda: directory.users.delete("user_ada", tenant="default"))

        assert (await directory.keys.list(tenant=None)).items == ()


async def test_revocation_is_once_and_for_all(directory):
    await directory.keys.create(key())

    await directory.keys.revoke("key_one", tenant="default", at=100.0)
    again = await directory.keys.revoke("key_one", tenant="default", at=200.0)

    assert again.revoked_at == 100.0
    assert (again.works_at(99.0), again.works_at(100.0)) == (True, False)
    with pytest.raises(Conflict):
        await directory.keys.rotate("key_one", key("two"), tenant="default", overlap_ends_at=300.0)


async def test_both_keys_of_a_rotation_work_until_the_overlap_ends(directory):
    await directory.keys.create(key(expires_at=500.0))
    before = await directory.keys.revision()

    new = await directory.keys.rotate("key_one", key("two", created_at=50.0), tenant="default", overlap_ends_at=100.0)
    old = await directory.keys.find("key_one", tenant="default")

    assert old is not None
    assert (old.replaced_by, old.overlap_ends_at, old.expires_at) == ("key_two", 100.0, 500.0)
    assert [old.works_at(99.0), old.works_at(100.0), new.works_at(100.0)] == [True, False, True]
    assert {one.id for one in (await directory.keys.changed_since(before)).keys} == {"key_one", "key_two"}


async def test_a_key_is_rotated_once_however_many_try(directory):
    await directory.keys.create(key())
    outcomes = []

    async def attempt(name: str) -> None:
        try:
            await directory.keys.rotate("key_one", key(name), tenant="default", overlap_ends_at=100.0)
            outcomes.append(name)
        except Conflict:
            outcomes.append(None)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(attempt, f"successor{number}")

    (winner,) = (name for name in outcomes if name)
    assert [one.id for one in (await directory.keys.list(tenant=None)).items] == ["key_one", f"key_{winner}"]


async def test_a_rotation_that_fails_changes_nothing(directory):
    await directory.keys.create(key())
    before = await directory.keys.changed_since(0)

    with pytest.raises(Conflict):
        await directory.keys.rotate("key_one", key("one"), tenant="default", overlap_ends_at=100.0)

    assert await directory.keys.changed_since(0) == before


async def test_every_change_to_a_key_is_told_of_and_use_is_none(directory):
    assert await directory.keys.changed_since(0) == KeyChanges(revision=0)
    seen = 0

    async def news() -> tuple[set[str], set[str]]:
        nonlocal seen
        changes = await directory.keys.changed_since(seen)
        assert changes.revision == await directory.keys.revision()
        seen = changes.revision
        return {one.id for one in changes.keys}, set(changes.removed)

    await directory.keys.create(key("a"))
    await directory.keys.create(key("b"))
    assert await news() == ({"key_a", "key_b"}, set())
    await directory.keys.update("key_a", {"name": "new"}, tenant="default")
    assert await news() == ({"key_a"}, set())
    await directory.keys.revoke("key_b", tenant="default", at=5.0)
    assert await news() == ({"key_b"}, set())
    await directory.keys.touch({"key_a": 7.0, "key_absent": 7.0})
    assert await news() == (set(), set())
    await directory.keys.delete("key_a", tenant="default")
    assert await news() == (set(), {"key_a"})


async def test_the_last_use_never_goes_back(directory):
    await directory.keys.create(key("a"))
    await directory.keys.create(key("b"))

    async with anyio.create_task_group() as tasks:
        for at in (5.0, 9.0, 7.0, 3.0):
            tasks.start_soon(directory.keys.touch, {"key_b": at, "key_a": at, "'; DROP TABLE virtual_keys": at})

    found = (await directory.keys.list(tenant=None)).items
    assert [one.last_used_at for one in found] == [9.0, 9.0]


async def test_who_polls_misses_no_change_of_many_writers_at_once(directory):
    """A number is seen only when every change up to it is: a change that commits late does not hide behind a later one."""
    known, revisions, done = set(), [0], anyio.Event()

    async def write(writer: int) -> None:
        for number in range(5):
            await directory.keys.create(key(f"w{writer}n{number}"))

    async def poll() -> None:
        while True:
            last = done.is_set()
            changes = await directory.keys.changed_since(revisions[-1])
            known.update(one.id for one in changes.keys)
            revisions.append(changes.revision)
            if last:
                return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        async with anyio.create_task_group() as writers:
            for writer in range(6):
                writers.start_soon(write, writer)
        done.set()

    assert len(known) == 30
    assert revisions == sorted(revisions)
    assert revisions[-1] == 30


async def test_a_thousand_keys_are_read_in_whole(directory, database):
    made = [key(f"n{number}", tags=(("a", "b"),)) for number in range(1001)]
    async with database.begin() as connection:
        rows = [{**directory.keys._row(one), "revision": 1} for one in made]
        await connection.execute(VIRTUAL_KEYS.insert(), rows)
        await connection.execute(KEY_REVISION.update().values(revision=1))

    changes = await directory.keys.changed_since(0)

    assert {one.id: one for one in changes.keys} == {one.id: one for one in made}
