"""One contract for all who count: in this process, in Redis, and in Redis behind its breaker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import pytest

from gateway.core.clock import SYSTEM_CLOCK
from gateway.stores.counter_windows import Calendar, Rolling
from gateway.stores.counters import Bucket, Count, CounterStore
from gateway.stores.counters_memory import MemoryCounters
from gateway.stores.counters_redis import RedisCounters
from gateway.stores.counters_shared import SharedCounters
from tests.servers import missing_servers

KINDS = ["memory", *(["redis"] if "redis" not in missing_servers() else [])]
Observed = list[tuple[str, int]]


class Store:
    """A store, and what it was seen to say."""

    def __init__(self, counters: CounterStore, told: Callable[[], Awaitable[None]], observed: Observed) -> None:
        self.counters = counters
        self.told = told
        self.observed = observed

    async def take(self, name: str, buckets: list[Bucket], amounts: list[int]) -> bool:
        return (await self.counters.reserve(name, buckets, amounts)).refused is None

    async def used(self, *buckets: Bucket) -> tuple[int, ...]:
        await self.told()
        return await self.counters.used(buckets)


@asynccontextmanager
async def shared_counters(url: str, name: str, observed: Observed, **options) -> AsyncIterator[SharedCounters]:
    def observe(bucket, slot, used):
        del slot
        observed.append((bucket.key, used))

    redis = RedisCounters(url, clock=SYSTEM_CLOCK, name=name, observe=observe, **options)
    shared = SharedCounters(redis, MemoryCounters(SYSTEM_CLOCK), clock=SYSTEM_CLOCK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.run)
        yield shared
        tasks.cancel_scope.cancel()


@pytest.fixture(params=KINDS)
async def store(request) -> AsyncIterator[Store]:
    observed: Observed = []
    if request.param == "memory":

        async def nothing() -> None:
            """It is told at once."""

        counters = MemoryCounters(SYSTEM_CLOCK, observe=lambda bucket, slot, used: observed.append((bucket.key, used)))
        yield Store(counters, nothing, observed)
        return
    server = request.getfixturevalue("redis_server")
    async with shared_counters(server.url, uuid4().hex, observed, timeout=2.0) as shared:

        async def told() -> None:
            with anyio.fail_after(5):
                while shared._waiting:
                    await anyio.sleep(0.001)

        yield Store(shared, told, observed)


MINUTE = Rolling(seconds=60.0)


def bucket(key="k", limit=10, window=MINUTE, **rest) -> Bucket:
    return Bucket(key=key, table="t", limit=limit, window=window, **rest)


WINDOWS = [Rolling(seconds=60.0), Rolling(seconds=86_400.0), Calendar(unit="month", zone="Europe/Berlin"), None]


@pytest.mark.parametrize("window", WINDOWS)
async def test_a_limit_admits_what_it_says_and_no_more(store, window):
    one = bucket(limit=3, window=window)

    admitted = [await store.take(f"r{number}", [one], [1]) for number in range(5)]

    assert admitted == [True, True, True, False, False]
    assert await store.used(one) == (3,)


@pytest.mark.parametrize("window", WINDOWS)
async def test_of_many_at_once_no_more_are_admitted(store, window):
    one = bucket(limit=100, window=window)

    admitted = await asyncio.gather(*(store.take(f"r{number}", [one], [1]) for number in range(300)))

    assert sum(admitted) == 100


async def test_all_is_taken_or_nothing(store):
    wide, narrow = bucket("wide", 10), bucket("narrow", 1)
    await store.take("first", [wide, narrow], [1, 1])

    outcome = await store.counters.reserve("second", [wide, narrow], [1, 1])

    assert outcome.refused == 1
    assert outcome.used[1] == 1
    assert await store.used(wide, narrow) == (1, 1)


@pytest.mark.parametrize("window", WINDOWS[:3])
@pytest.mark.parametrize(("actual", "left"), [(3, 3), (12, 12), (0, 0), (None, 8)])
async def test_a_settlement_puts_what_was_used_in_place_of_the_estimate(store, window, actual, left):
    one = bucket(limit=10, window=window)
    await store.take("r", [one], [8])

    store.counters.settle("r", [actual])

    assert await store.used(one) == (left,)
    assert store.observed == [("k", left)]


async def test_a_settlement_counts_once(store):
    one = bucket()
    await store.take("r", [one], [8])

    store.counters.settle("r", [3])
    store.counters.settle("r", [0])
    store.counters.settle("never heard of", [0])

    assert await store.used(one) == (3,)


async def test_the_same_reservation_takes_once(store):
    one = bucket()

    assert await store.take("r", [one], [4])
    assert await store.take("r", [one], [4])

    assert await store.used(one) == (4,)


async def test_a_place_is_given_back_whatever_was_used(store):
    held, counted = bucket("held", 1, None), bucket("counted", 10)
    await store.take("r", [held, counted], [1, 5])
    assert not await store.take("s", [held, counted], [1, 1])

    store.counters.settle("r", [None, None])

    assert await store.used(held, counted) == (0, 5)
    assert await store.take("t", [held, counted], [1, 1])


async def test_a_soft_limit_counts_and_refuses_nobody(store):
    soft = bucket(limit=2, hard=False)

    assert [await store.take(f"r{number}", [soft], [2]) for number in range(3)] == [True] * 3

    assert await store.used(soft) == (6,)


async def test_amounts_of_money_are_exact(store):
    money = bucket(limit=9 * 10**15, window=Calendar(unit="month"))

    assert await store.take("r", [money], [8_999_999_999_999_998])
    assert await store.take("s", [money], [1])
    assert await store.take("t", [money], [1])
    assert not await store.take("u", [money], [1])

    assert await store.used(money) == (9 * 10**15,)


async def test_a_refusal_says_when_there_is_room(store):
    rolling, monthly = bucket("r", 1, Rolling(seconds=60.0)), bucket("m", 1, Calendar(unit="minute"))
    await store.take("a", [rolling], [1])
    await store.take("b", [monthly], [1])

    in_rolling = (await store.counters.reserve("c", [rolling], [1])).retry_after
    in_monthly = (await store.counters.reserve("d", [monthly], [1])).retry_after

    assert 59 <= in_rolling <= 61.1
    assert 0 < in_monthly <= 60


async def test_room_comes_back_when_the_window_has_passed(store):
    short = bucket(limit=2, window=Rolling(seconds=1.0))
    await store.take("a", [short], [2])
    refused = await store.counters.reserve("b", [short], [1])

    with anyio.fail_after(3):
        await anyio.sleep(refused.retry_after + 0.02)

        assert await store.take("c", [short], [2])


@pytest.mark.parametrize("key", ["a b", "ключ", "{x}", "line\nbreak", "\x1f\x00", "'; FLUSHALL"])
async def test_a_key_may_be_any_text(store, key):
    odd, other = bucket(key, 1), bucket(key + "2", 1)

    assert await store.take("r" + key, [odd], [1])

    assert await store.used(odd, other) == (1, 0)


async def test_an_announcement_is_first_once(store):
    names = [await store.counters.first("share of a limit", 60.0) for _ in range(2)]

    assert names[0] is True
    # In one process nobody else could say it.
    assert names[1] is isinstance(store.counters, MemoryCounters)


async def test_nothing_is_less_than_what_was_kept_of_it():
    one = bucket(window=Calendar(unit="month"))
    before = MemoryCounters(SYSTEM_CLOCK, snapshots=True)
    await before.reserve("r", [one], [7])
    (count,) = before.counts()

    after = MemoryCounters(SYSTEM_CLOCK)
    after.restore([count, Count(key="k", slot=count.slot, amount=2, expires=count.expires)])

    assert await after.used([one]) == (7,)
    assert before.counts() == []
