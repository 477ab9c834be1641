"""The key ring over a real database: what one replica does to a key holds on the other within a second, database or not."""

import stat
import time

import anyio
import pytest

from gateway.api.identity import Identity
from gateway.api.identity.bootstrap import bootstrap
from gateway.config.access_settings import AccessSettings
from gateway.config.database_settings import PostgresSettings
from gateway.config.secret import Secret
from gateway.core.errors import KeyRevoked, StoreUnavailable, Unauthenticated
from gateway.stores.database import open_database
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.key_material import make_key
from gateway.stores.key_ring import KeyRing
from tests.unit.api.identity_keys import PEPPER, virtual_key

ANYWHERE = ("203.0.113.7", 1)


class Replica:
    """One gateway's part: its own connections, its own ring."""

    def __init__(self, database) -> None:
        self.directory = SqlDirectory(database)
        self.ring = KeyRing(self.directory.keys, PEPPER, poll=0.5, store_timeout=1.0)
        self.identity = Identity(ring=self.ring, access=AccessSettings(bad_keys_per_minute=0))

    async def make(self, key_id="key_1", **fields):
        text = make_key()
        await self.directory.keys.create(virtual_key(text, id=key_id, tenant="default", **fields))
        await self.ring.refresh()
        return text

    def opens(self, text):
        try:
            return self.identity.caller(b"Bearer " + text.encode(), None, ANYWHERE).id
        except Unauthenticated as error:
            return type(error)


@pytest.fixture
async def replicas(database_settings):
    """Two replicas on one database, that keep up with it."""
    databases = [await open_database(database_settings) for _ in range(2)]
    pair = [Replica(database) for database in databases]
    async with anyio.create_task_group() as tasks:
        for replica in pair:
            await replica.ring.load()
            tasks.start_soon(replica.ring.run)
        yield pair
        tasks.cancel_scope.cancel()
    for database in databases:
        await database.aclose()


async def until(condition, seconds=1.0):
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.01)


async def test_a_new_key_opens_at_once_here_and_within_a_second_there(replicas):
    here, there = replicas
    text = await here.make()

    assert here.opens(text) == "key_1"
    await until(lambda: there.opens(text) == "key_1")


async def test_a_revoked_key_is_shut_at_once_here_and_within_a_second_there(replicas):
    here, there = replicas
    text = await here.make()
    await until(lambda: there.opens(text) == "key_1")
    await here.directory.keys.revoke("key_1", tenant="default", at=time.time())
    await here.ring.refresh()

    assert here.opens(text) is KeyRevoked
    await until(lambda: there.opens(text) is KeyRevoked)


async def test_a_deleted_key_is_not_known_within_a_second(replicas):
    here, there = replicas
    text = await here.make()
    await until(lambda: there.opens(text) == "key_1")
    await here.directory.keys.delete("key_1", tenant="default")

    await until(lambda: there.opens(text) is Unauthenticated)
    await until(lambda: here.opens(text) is Unauthenticated)


async def test_a_rotated_key_works_beside_its_successor(replicas):
    here, there = replicas
    old, new = await here.make(), make_key()
    successor = virtual_key(new, id="key_2", tenant="default", name="two")
    await here.directory.keys.rotate("key_1", successor, tenant="default", overlap_ends_at=time.time() + 1)

    await until(lambda: (there.opens(old), there.opens(new)) == ("key_1", "key_2"))
    await until(lambda: there.opens(old) is not None and there.opens(old) != "key_1", seconds=3)
    assert there.opens(new) == "key_2"


async def test_last_uses_reach_the_database(replicas):
    here, there = replicas
    text = await here.make()
    await until(lambda: there.opens(text) == "key_1")
    before = time.time()
    for replica in replicas:
        replica.opens(text)
        await replica.ring.write_uses()

    kept = await here.directory.keys.find("key_1", tenant=None)
    assert before - 1 <= kept.last_used_at <= time.time()


@pytest.fixture
async def on_postgres(postgres_server):
    url = Secret(postgres_server.new_database(), source="env:URL")
    database = await open_database(PostgresSettings(url=url, timeout=0.5))
    yield postgres_server, Replica(database)
    postgres_server.resume()
    await database.aclose()


async def test_known_keys_open_while_the_database_is_dead_and_it_recovers_by_itself(on_postgres):
    server, replica = on_postgres
    await replica.ring.load()
    text = await replica.make()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replica.ring.run)
        await anyio.to_thread.run_sync(server.kill)
        try:
            await until(lambda: not replica.ring.healthy, seconds=5)
            assert replica.opens(text) == "key_1"
            assert replica.opens(make_key()) is Unauthenticated
            assert not replica.identity.open
            assert replica.ring.reason
        finally:
            await anyio.to_thread.run_sync(server.start)
        await until(lambda: replica.ring.healthy, seconds=10)
        await replica.directory.keys.revoke("key_1", tenant="default", at=time.time())
        await until(lambda: replica.opens(text) is KeyRevoked)
        tasks.cancel_scope.cancel()


async def test_a_database_that_hangs_does_not_hang_the_look_up(on_postgres):
    server, replica = on_postgres
    await replica.ring.load()
    text = await replica.make()
    server.pause()

    with anyio.fail_after(5):
        assert not await replica.ring.refresh()
        await replica.ring.write_uses()
        assert replica.opens(text) == "key_1"
    server.resume()
    await replica.ring.refresh()
    assert replica.ring.healthy


async def test_a_ring_cannot_be_loaded_without_its_database(on_postgres):
    server, replica = on_postgres
    server.pause()

    with anyio.fail_after(5), pytest.raises(StoreUnavailable):
        await replica.ring.load()
    assert not replica.identity.open


async def test_the_first_start_makes_one_owners_key_and_later_ones_none(database, tmp_path):
    directory = SqlDirectory(database)
    file = tmp_path / "new" / "first.key"
    key = await bootstrap(directory, PEPPER, file=file)
    replica = Replica(database)
    await replica.ring.load()

    assert file.read_text() == f"{key}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    caller = replica.identity.caller(b"Bearer " + key.encode(), None, ANYWHERE)
    assert (caller.tenant, caller.role, caller.kind) == ("default", "owner", "key")
    assert await bootstrap(directory, PEPPER, file=file) is None
    assert file.read_text() == f"{key}\n"


async def test_who_has_locked_himself_out_gets_a_new_first_key(database):
    directory = SqlDirectory(database)
    first = await bootstrap(directory, PEPPER)
    await directory.keys.revoke("key_bootstrap_1", tenant="default", at=time.time())
    second = await bootstrap(directory, PEPPER)

    assert None not in (first, second)
    assert first != second


async def test_replicas_that_start_at_once_make_one_first_key(database_settings, tmp_path):
    databases = [await open_database(database_settings) for _ in range(4)]
    made = []

    async def start(number, database):
        made.append(await bootstrap(SqlDirectory(database), PEPPER, file=tmp_path / f"first-{number}.key"))

    async with anyio.create_task_group() as tasks:
        for number, database in enumerate(databases):
            tasks.start_soon(start, number, database)
    for database in databases:
        await database.aclose()

    (key,) = [key for key in made if key is not None]
    assert [path.read_text() for path in tmp_path.glob("first-*")] == [f"{key}\n"]
