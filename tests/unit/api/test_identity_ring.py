"""The key ring apart from any database: what it does with what it is told."""

import anyio
import pytest
import structlog

from gateway.core.errors import StoreUnavailable
from gateway.stores.key_material import digest_key, make_key
from gateway.stores.key_ring import KeyRing
from tests.security.jwt_issuer import Time
from tests.unit.api.identity_keys import PEPPER, Held, KeysInMemory, virtual_key


@pytest.fixture
def time():
    return Time()


def found(ring, text):
    return ring.find(digest_key(text.encode(), PEPPER))


async def test_a_ring_survives_everything_that_its_store_does(time):
    class Failing(KeysInMemory):
        async def revision(self):
            raise ZeroDivisionError

        async def touch(self, used):
            raise ZeroDivisionError

    ring = KeyRing(store := Failing(), PEPPER, clock=time.clock)
    text = make_key()
    store.put(virtual_key(text))
    await ring.load()

    with structlog.testing.capture_logs() as logs:
        assert not await ring.refresh()
        ring.note_use("key_1", 1.0)
        await ring.write_uses()
    assert "key_ring.crashed" in [entry["event"] for entry in logs]
    assert not ring.healthy
    assert found(ring, text).caller.id == "key_1"


async def test_a_loss_is_told_once_and_so_is_its_end(time):
    held = Held(time.clock)
    await held.ring.load()
    with structlog.testing.capture_logs() as logs:
        held.store.away = True
        for _ in range(5):
            await held.ring.refresh()
        held.store.away = False
        for _ in range(5):
            await held.ring.refresh()

    assert [entry["event"] for entry in logs] == ["key_ring.lost", "key_ring.in_step"]


async def test_a_ring_that_cannot_be_loaded_says_so(time):
    held = Held(time.clock)
    held.store.away = True

    with pytest.raises(StoreUnavailable):
        await held.ring.load()
    assert (held.ring.loaded, held.ring.healthy, held.ring.locked) == (False, False, True)


async def test_a_directory_restored_from_a_backup_is_believed(time):
    """Keys made after the backup are gone; those revoked after it open again, as the operator's backup says."""
    held = Held(time.clock)
    old = await held.make("key_1")
    new = await held.make("key_2")
    assert len(held.ring) == 2

    restored = KeysInMemory()
    restored.put(held.store.kept["key_1"][1])
    held.ring._keys = restored
    await held.ring.refresh()

    assert found(held.ring, old).caller.id == "key_1"
    assert found(held.ring, new) is None
    assert len(held.ring) == 1


async def test_a_key_whose_places_cannot_be_read_opens_nowhere(time):
    held = Held(time.clock)
    text = await held.make(ips=("10.0.0.0/8", "nonsense"), origins=("nonsense",))
    key = found(held.ring, text)

    assert (key.networks, key.origins) == ((), frozenset())
    assert not key.admits(None, None)


async def test_look_ups_go_on_while_thousands_of_keys_come_in(time):
    held = Held(time.clock)
    first = await held.make("key_0")
    for number in range(1, 5000):
        held.store.put(virtual_key(f"key {number}", id=f"key_{number}"))
    seen = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.ring.refresh)
        while len(held.ring) < 5000:
            await anyio.lowlevel.checkpoint()
            assert found(held.ring, first).caller.id == "key_0"
            seen += 1

    assert seen >= 9


async def test_uses_that_were_not_written_are_kept_for_later(time):
    held = Held(time.clock)
    held.ring.note_use("key_1", 5.0)
    held.ring.note_use("key_2", 6.0)
    held.store.away = True
    await held.ring.write_uses()
    held.ring.note_use("key_1", 7.0)
    held.store.away = False
    await held.ring.write_uses()

    assert held.store.used == {"key_1": 7.0, "key_2": 6.0}


async def test_the_last_uses_are_written_when_the_server_stops(time):
    held = Held(time.clock)
    await held.ring.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.ring.run)
        await anyio.wait_all_tasks_blocked()
        held.ring.note_use("key_1", 5.0)
        tasks.cancel_scope.cancel()

    assert held.store.used == {"key_1": 5.0}
