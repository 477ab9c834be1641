"""Limits through what becomes of Redis: stopped, killed, emptied, slow. Real servers, real signals."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import pytest

from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import Unavailable
from gateway.stores.counter_windows import Calendar, Rolling
from gateway.stores.counters import Bucket
from gateway.stores.counters_memory import MemoryCounters
from gateway.stores.counters_redis import RedisCounters
from gateway.stores.counters_shared import SharedCounters
from tests.servers import RedisServer

MONTH = Calendar(unit="month")
TIMEOUT = 0.25
PATIENT = 10.0  # for what must not be lost, on a machine with other things to do


@asynccontextmanager
async def replica(
    server: RedisServer, name: str, *, replicas: int = 2, lease: float = 30.0, timeout: float = TIMEOUT
) -> AsyncIterator[SharedCounters]:
    redis = RedisCounters(server.url, clock=SYSTEM_CLOCK, timeout=timeout, connections=32, name=name, lease=lease)
    shared = SharedCounters(redis, MemoryCounters(SYSTEM_CLOCK), clock=SYSTEM_CLOCK, replicas=replicas, lease=lease)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.run)
        yield shared
        tasks.cancel_scope.cancel()


def bucket(limit=100, window=MONTH, **rest) -> Bucket:
    return Bucket(key="k", table="t", limit=limit, window=window, **rest)


async def admit(store: SharedCounters, one: Bucket, names: list[str], waits: list[float] | None = None) -> set[str]:
    """Reserve one of each at the same time; the names of those admitted. `waits` takes how long each took."""
    admitted: set[str] = set()

    async def one_call(name: str) -> None:
        began = time.perf_counter()
        outcome = await store.reserve(name, [one], [1])
        if waits is not None:
            waits.append(time.perf_counter() - began)
        if outcome.refused is None:
            admitted.add(name)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(one_call, name)
    return admitted


async def until_up(store: SharedCounters, *, up: bool = True) -> None:
    with anyio.fail_after(10):
        while store.up is not up or (up and store._waiting):
            await anyio.sleep(0.01)


def calls(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.mark.parametrize("window", [Rolling(seconds=60.0), MONTH, None])
async def test_two_replicas_admit_100_of_1000_calls_at_once(server, window):
    name, one, admitted = uuid4().hex, bucket(window=window), []
    async with replica(server, name, timeout=PATIENT) as first, replica(server, name, timeout=PATIENT) as second:

        async def rush(store: SharedCounters, prefix: str) -> None:
            admitted.extend(await admit(store, one, calls(prefix, 500)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rush, first, "a")
            tasks.start_soon(rush, second, "b")
        alone = first.admitted_alone + second.admitted_alone

    assert len(admitted) == 100
    assert alone == 0


async def test_a_redis_that_is_stopped_holds_up_no_call_once_that_is_known(server):
    async with replica(server, uuid4().hex) as store:
        one = bucket(limit=10**6)
        await admit(store, one, calls("before", 50))
        server.pause()
        try:
            await admit(store, one, calls("finding out", 50))
            assert not store.up

            waits: list[float] = []
            for round_ in range(10):
                await admit(store, one, calls(f"after{round_}.", 100), waits)
        finally:
            server.resume()

        assert sorted(waits)[int(len(waits) * 0.99)] < 0.05
        await until_up(store)


async def test_what_was_admitted_alone_is_charged_when_redis_is_back(server):
    name, one = uuid4().hex, bucket()
    async with replica(server, name) as first, replica(server, name) as second:
        before = await admit(first, one, calls("before", 20))
        await second.used([one])
        await admit(second, one, ["seen"])
        server.pause()
        alone = await admit(first, one, calls("a", 100)) | await admit(second, one, calls("b", 100))
        server.resume()
        await until_up(first)
        await until_up(second)
        after = await admit(first, one, calls("c", 100)) | await admit(second, one, calls("d", 100))

        # The first had heard of 20 and takes half of 80; the second had heard of 21 and takes half of 79.
        assert len(before) + 1 + len(alone) == 21 + 40 + 39
        assert len(after) == 0
        assert await first.used([one]) == (100,)


@pytest.mark.parametrize("kept", [True, False])
async def test_through_a_killed_redis_no_more_is_admitted_than_the_budget(server, kept):
    name, one = uuid4().hex, bucket()
    admitted: set[str] = set()
    async with replica(server, name, replicas=1) as store:
        admitted |= await admit(store, one, calls("before", 30))
        await anyio.to_thread.run_sync(server.kill)
        admitted |= await admit(store, one, calls("alone", 30))
        if not kept:
            for file in (server.folder / "appendonlydir").iterdir():
                file.unlink()
        await anyio.to_thread.run_sync(server.start)
        await until_up(store)
        admitted |= await admit(store, one, calls("after", 100))

    assert len(admitted) == 100


async def test_a_call_that_redis_hears_of_too_late_takes_nothing(server):
    async with replica(server, uuid4().hex) as store:
        one, held = bucket(), Bucket(key="h", table="h", limit=5, window=None)
        await store.used([one, held])
        server.pause()
        outcome = await store.reserve("late", [one, held], [1, 1])
        store.settle("late", [0, None])
        server.resume()
        await until_up(store)

        assert outcome.refused is None
        with anyio.fail_after(5):
            while await store.used([one, held]) != (0, 0):
                await anyio.sleep(0.01)


async def test_calls_in_flight_while_redis_comes_and_goes_settle_exactly(server):
    async with replica(server, uuid4().hex) as store:
        one, held = bucket(limit=10**6), Bucket(key="h", table="h", limit=50, window=None)
        both = [one, held]
        await store.reserve("there", both, [10, 1])
        server.pause()
        await store.reserve("here and gone", both, [10, 1])
        await store.reserve("here", both, [10, 1])
        store.settle("here and gone", [4, None])
        store.settle("there", [3, None])
        server.resume()
        await until_up(store)
        assert await store.used(both) == (3 + 4 + 10, 1)

        store.settle("here", [6, None])
        await until_up(store)

        assert await store.used(both) == (3 + 4 + 6, 0)
        assert [*store._there, *store._here, *store._moved] == []


async def test_a_limit_may_refuse_or_admit_while_redis_is_lost(server):
    async with replica(server, uuid4().hex) as store:
        await anyio.to_thread.run_sync(server.kill)

        with pytest.raises(Unavailable) as refused:
            await store.reserve("a", [bucket(on_loss="refuse")], [1])
        admitted = await admit(store, bucket(limit=1, on_loss="admit"), calls("b", 10))

        assert (refused.value.status, refused.value.retry_after) == (503, 1.0)
        assert len(admitted) == 10


async def test_the_place_of_a_replica_that_died_is_free_after_its_lease(server):
    name, one = uuid4().hex, bucket(limit=1, window=None)
    async with replica(server, name, lease=0.5) as living, replica(server, name, lease=0.5) as dying:
        await dying.reserve("held by the dead", [one], [1])
        dying._there.clear()  # as after kill -9: nobody renews it
        assert (await living.reserve("a", [one], [1])).refused == 0

        with anyio.fail_after(5):
            while (await living.reserve("b", [one], [1])).refused is not None:
                await anyio.sleep(0.05)
        # Three leases later the living one still has its place.
        await anyio.sleep(1.6)
        assert (await living.reserve("c", [one], [1])).refused == 0


async def test_a_replica_that_starts_without_redis_serves_its_share(server):
    await anyio.to_thread.run_sync(server.kill)
    async with replica(server, uuid4().hex, replicas=4) as store:
        one = bucket(limit=40)

        assert len(await admit(store, one, calls("a", 50))) == 10

        await anyio.to_thread.run_sync(server.start)
        await until_up(store)
        assert await store.used([one]) == (10,)


async def test_a_settlement_that_cannot_be_told_is_told_later(server):
    async with replica(server, uuid4().hex) as store:
        one = bucket()
        await store.reserve("a", [one], [50])
        server.pause()
        store.settle("a", [2])
        await until_up(store, up=False)
        server.resume()
        await until_up(store)

        assert await store.used([one]) == (2,)


async def test_places_held_in_redis_are_among_those_of_a_replica_that_is_alone(server):
    name, one = uuid4().hex, bucket(limit=10, window=None)
    async with replica(server, name) as first, replica(server, name) as second:
        held = await admit(first, one, calls("a", 4)) | await admit(second, one, calls("b", 2))
        await first.used([one])
        await anyio.to_thread.run_sync(server.kill)
        for store in (first, second):
            await admit(store, Bucket(key="other", table="o", limit=10**6, window=MONTH), ["finding out"])

        # The first had heard of its own 4 and takes half of 6; the second of all 6, and takes half of 4.
        alone = [await admit(store, one, calls(f"{store.losses}c", 100)) for store in (first, second)]
        assert [len(held), *map(len, alone)] == [6, 3, 2]
        first.settle("a0", [None])
        assert len(await admit(first, one, calls("d", 100))) == 0
        first.settle("a1", [None])
        assert len(await admit(first, one, calls("e", 100))) == 1


async def test_a_settlement_that_redis_never_takes_holds_up_no_other(server):
    async with replica(server, uuid4().hex) as store:
        one, odd = bucket(), bucket(window=None)
        await store.reserve("a", [one], [50])
        store._call_off("odd", [odd])  # the same key, counted in another way
        await store.reserve("b", [one], [20])
        store.settle("a", [1])
        store.settle("b", [2])
        await until_up(store)

        with anyio.fail_after(5):
            while await store.used([one]) != (3,):
                await anyio.sleep(0.01)
        assert store.losses == 0


async def test_a_client_that_leaves_while_redis_is_asked_disturbs_nobody(server):
    async with replica(server, uuid4().hex, timeout=PATIENT) as store:
        one = bucket(limit=120)  # room for all, or those who leave take it from those who stay for a moment
        admitted: list[str] = []

        async def call(name: str, patience: float) -> None:
            with anyio.move_on_after(patience):
                if (await store.reserve(name, [one], [1])).refused is None:
                    admitted.append(name)

        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(call, f"stays{number}", 60.0)
                tasks.start_soon(call, f"leaves{number}", number / 10_000)
        await until_up(store)
        gone = [name for name in admitted if name.startswith("leaves")]

        assert store.losses == 0
        assert await store.used([one]) == (60 + len(gone),)
