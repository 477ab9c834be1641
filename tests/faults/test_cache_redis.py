"""The cache through what becomes of Redis: stopped, killed, emptied, full, and with somebody else's things under its keys."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from uuid import uuid4

import anyio
import pytest
from redis.asyncio import Redis

from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import StoreUnavailable
from gateway.stores.answers import Entry, Selection
from gateway.stores.answers_listing import tidy
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_redis import FIND_SECONDS, RedisAnswers
from gateway.stores.answers_shared import MOST_WAITING, SharedAnswers
from tests.servers import RedisServer

PATIENT = 10.0  # for what must not be lost, on a machine with other things to do
SLACK = 0.1  # the same machine, at one moment


@asynccontextmanager
async def replica(
    server: RedisServer, name: str, *, find_timeout: float = FIND_SECONDS, timeout: float = PATIENT, waits: bool = True
) -> AsyncIterator[SharedAnswers]:
    redis = RedisAnswers(server.url, clock=SYSTEM_CLOCK, timeout=timeout, find_timeout=find_timeout, name=name)
    local = MemoryAnswers(most_bytes=2**26, entry_bytes=2**20, clock=SYSTEM_CLOCK, chance=lambda: 0.0)
    shared = SharedAnswers(redis, local, clock=SYSTEM_CLOCK, chance=lambda: 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.run)
        if waits:
            await until_up(shared)
        yield shared
        tasks.cancel_scope.cancel()


async def until_up(store: SharedAnswers, *, up: bool = True) -> None:
    with anyio.fail_after(15):
        while store.up is not up:
            await anyio.sleep(0.005)


async def written(store: SharedAnswers) -> None:
    with anyio.fail_after(15):
        while store._waiting or store._writing:
            await anyio.sleep(0.001)


async def until(store: SharedAnswers, key: str, *, found: bool) -> float:
    """Wait until something is found, or no longer; the seconds that took."""
    began = time.perf_counter()
    with anyio.fail_after(15):
        while (await store.find(key) is not None) is not found:
            await anyio.sleep(0.001)
    return time.perf_counter() - began


def key_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def entry(name: str, ttl: float = 600.0, **rest) -> Entry:
    now = time.time()
    given = {
        "id": f"ce_{name}",
        "key": key_of(name),
        "tenant": "acme",
        "model": "chat",
        "dialect": "openai_chat",
        "operation": "chat",
        "target": "scripted",
        "made": now,
        "fresh_until": now + ttl,
        "kept_until": now + ttl,
        "answer": name.encode(),
    }
    return Entry(**(given | rest))


async def timed(store: SharedAnswers, names: list[str]) -> list[float]:
    """Find them one after the other; how long each took."""
    waits: list[float] = []
    for name in names:
        began = time.perf_counter()
        await store.find(key_of(name))
        waits.append(time.perf_counter() - began)
    return waits


async def test_a_redis_that_is_stopped_costs_one_short_wait_and_then_nothing(server):
    async with replica(server, uuid4().hex) as store:
        for number in range(100):
            store.keep(entry(f"n{number}"))
        await written(store)
        server.pause()
        try:
            waits: list[float] = []

            async def call(number: int) -> None:
                waits.extend(await timed(store, [f"unknown{number}"]))

            async with anyio.create_task_group() as tasks:
                for number in range(800):
                    tasks.start_soon(call, number)
            assert not store.up
            assert max(waits) < FIND_SECONDS + SLACK

            after = sorted(await timed(store, [f"n{number}" for number in range(100)] * 10))
            assert after[-10] < 0.001
            assert (await store.find(key_of("n7"))).answer == b"n7"
        finally:
            server.resume()
        await until_up(store)

        assert (await store.find(key_of("n7"))).answer == b"n7"
        again = sorted(await timed(store, [f"n{number}" for number in range(100)] * 10))
        assert again[-10] < 0.02
        assert (store.losses, store.held().away) == (1, False)


async def test_a_killed_redis_is_done_without_and_found_again(server):
    async with replica(server, uuid4().hex) as store:
        store.keep(entry("before"))
        await written(store)
        await anyio.to_thread.run_sync(server.kill)
        await until_up(store, up=False)

        store.keep(entry("meanwhile"))
        assert (await store.find(key_of("before"))).answer == b"before"
        assert (await store.find(key_of("meanwhile"))).answer == b"meanwhile"
        assert store.held().let_go["dropped"] == 1
        with pytest.raises(StoreUnavailable):
            await store.select(Selection(), limit=10)

        await anyio.to_thread.run_sync(server.start)
        await until_up(store)
        # What was acknowledged is there, as Redis keeps it on disk; what was kept alone is not.
        assert (await store.find(key_of("before"))).answer == b"before"
        assert await store.find(key_of("meanwhile")) is None
        store.keep(entry("after"))
        await written(store)
        assert await store.find(key_of("after")) is not None


async def test_a_replica_that_starts_without_redis_keeps_alone_until_it_comes(server):
    await anyio.to_thread.run_sync(server.kill)
    async with replica(server, uuid4().hex, waits=False) as store:
        store.keep(entry("alone"))
        assert await store.find(key_of("alone")) is not None

        await anyio.to_thread.run_sync(server.start)
        await until_up(store)
        store.keep(entry("together"))
        await written(store)
        assert await store.find(key_of("together")) is not None


async def test_what_one_replica_removes_all_forget_at_once(server):
    """Also what stands in their front, which is served without asking Redis."""
    name = uuid4().hex
    async with replica(server, name) as first, replica(server, name) as second:
        heard: list[str] = []
        second.watch(heard.extend)
        first.keep(entry("a", tags=("faq",)))
        first.keep(entry("b"))
        await written(first)
        assert await second.find(key_of("a")) is not None

        assert await first.remove(Selection(tenant="acme", tag="faq")) == ("ce_a",)

        assert await first.find(key_of("a")) is None
        assert await until(second, key_of("a"), found=False) < 1.0
        assert await second.find(key_of("b")) is not None
        with anyio.fail_after(5):
            while "ce_a" not in heard:
                await anyio.sleep(0.001)


async def test_a_replica_that_misses_the_message_serves_a_removed_answer_two_seconds_at_most(server):
    name = uuid4().hex
    async with replica(server, name) as first, replica(server, name) as second:
        first.keep(entry("a"))
        await written(first)
        assert await second.find(key_of("a")) is not None
        redis = Redis.from_url(server.url)
        await redis.client_kill_filter(_type="pubsub")
        await redis.unlink(*await redis.keys(f"{name}:*"))
        await redis.aclose()

        # Its connection is gone as well, so it forgets as soon as it has another.
        assert await until(second, key_of("a"), found=False) < 2.0 + 1.0
        await until_up(second)
        assert second._local.peek(key_of("a")) is None


async def test_what_was_removed_while_a_replica_was_alone_does_not_come_back(server):
    name = uuid4().hex
    async with replica(server, name) as first, replica(server, name) as second:
        first.keep(entry("a"))
        await written(first)
        assert await second.find(key_of("a")) is not None
        second._lose(StoreUnavailable("As if only this one could not reach it."))
        assert await second.find(key_of("a")) is not None
        await first.remove(Selection(entry="ce_a"))

        await until_up(second)

        second._lose(StoreUnavailable("Once more, before anybody has asked."))
        assert await second.find(key_of("a")) is None


async def test_a_full_redis_takes_no_more_and_gives_what_it_has(server):
    async with replica(server, uuid4().hex) as store:
        store.keep(entry("before"))
        await written(store)
        assert server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction") == "+OK"
        assert server.ask("CONFIG", "SET", "maxmemory", "1mb") == "+OK"
        for number in range(40):
            store.keep(entry(f"n{number}"))
        await written(store)

        assert store.up
        assert store.held().let_go["dropped"] == 40
        store._local.clear()
        assert (await store.find(key_of("before"))).answer == b"before"
        assert await store.find(key_of("n7")) is None

        server.ask("CONFIG", "SET", "maxmemory", "0")
        store.keep(entry("after"))
        await written(store)
        store._local.clear()
        assert (await store.find(key_of("after"))).answer == b"after"


async def put(server: RedisServer, *commands: tuple) -> None:
    redis = Redis.from_url(server.url)
    for words in commands:
        await redis.execute_command(*words)
    await redis.aclose()


@pytest.mark.parametrize("half", ["c", "t"])
@pytest.mark.parametrize(
    "value", [b"", b"garbage", b"\x01", b"\x01\x93\xa1a", b"\x02\x93\xa4ce_a\xa0\xc4\x00", b"\x01\x93\xc1\xc1\xc1"]
)
async def test_a_value_that_is_not_readable_is_not_found(server, half, value):
    name = uuid4().hex
    async with replica(server, name, find_timeout=PATIENT) as store:
        store.keep(entry("a"))
        await written(store)
        store._local.clear()
        await put(server, ("SET", f"{name}:{{answers}}:{half}:{key_of('a')}", value))

        assert await store.find(key_of("a")) is None
        assert await store.entries(["ce_a"]) == ()
        assert store.up
        # What replaces it heals it.
        store.keep(entry("a"))
        await written(store)
        store._local.clear()
        assert await store.find(key_of("a")) is not None


async def test_another_type_under_a_key_is_not_found_and_harms_no_other(server):
    name = uuid4().hex
    async with replica(server, name, find_timeout=PATIENT) as store:
        for one in "ab":
            store.keep(entry(one))
        await written(store)
        store._local.clear()
        for half in "ct":
            key = f"{name}:{{answers}}:{half}:{key_of('a')}"
            await put(server, ("DEL", key), ("LPUSH", key, "x"))

        assert await store.find(key_of("a")) is None
        assert (await store.find(key_of("b"))).answer == b"b"
        assert [one.entry.id for one in (await store.select(Selection(), limit=10)).entries] == ["ce_b"]
        assert store.up


async def test_an_answer_that_cannot_be_listed_is_not_kept(server):
    """For then no selection could remove it."""
    name = uuid4().hex
    async with replica(server, name, find_timeout=PATIENT) as store:
        await put(server, ("SET", f"{name}:{{answers}}:groups:", "somebody else's"))
        store.keep(entry("a"))
        await written(store)
        store._local.clear()

        assert await store.find(key_of("a")) is None
        assert (store.held().let_go["dropped"], store.up) == (1, True)


async def test_what_waits_to_be_written_is_bounded(server):
    async with replica(server, uuid4().hex, timeout=1.0) as store:
        server.pause()
        try:
            for number in range(MOST_WAITING + 100):
                store.keep(entry(f"n{number}"))
            assert len(store._waiting) == MOST_WAITING
            assert store.held().let_go["dropped"] == 100
            for number in range(40):
                store.keep(entry(f"large{number}", answer=bytes(2**20)))
            assert store._waiting_bytes <= 32 * 2**20
            await until_up(store, up=False)
            assert (len(store._waiting), store._waiting_bytes) == (0, 0)
        finally:
            server.resume()


async def test_what_redis_lets_go_by_itself_leaves_its_lists(server):
    name = uuid4().hex
    async with replica(server, name) as store:
        made = time.time()
        for number in range(450):
            store.keep(entry(f"n{number}", made=made, ttl=0.2 if number % 3 else 600.0))
        await written(store)
        await anyio.sleep(0.25)

        async for _ in tidy(store._redis):
            pass

        groups = [member for member, _ in await store._redis.groups()]
        assert await store._redis.count(groups) == 150
        await store.remove(Selection(tenant="acme"))
        assert await store._redis.count(groups) == 0
        assert await store._redis.groups() == []
        redis = Redis.from_url(server.url)
        left = [key for key in await redis.keys(f"{name}:*") if b":first:" not in key]
        await redis.aclose()
        assert left == []


async def test_many_entries_are_removed_some_at_a_time_and_none_is_left(server):
    """All made at the same moment, and while others are kept."""
    async with replica(server, uuid4().hex, find_timeout=PATIENT) as store:
        made = time.time()
        for number in range(1500):
            store.keep(entry(f"n{number}", made=made, tenant="acme" if number % 2 else "other"))
            if number % 100 == 0:
                await written(store)
        await written(store)

        removed = await store.remove(Selection(tenant="acme"))

        assert len(removed) == 750
        page = await store.select(Selection(), limit=1000)
        assert {one.entry.tenant for one in page.entries} == {"other"}
        assert len(page.entries) == 750


async def test_a_caller_that_leaves_while_redis_is_asked_disturbs_nobody(server):
    async with replica(server, uuid4().hex, find_timeout=PATIENT) as store:
        for number in range(60):
            store.keep(entry(f"n{number}"))
        await written(store)
        store._local.clear()
        found: list[bytes] = []

        async def call(number: int, patience: float) -> None:
            with anyio.move_on_after(patience):
                one = await store.find(key_of(f"n{number}"))
                if one is not None and patience > 1:
                    found.append(one.answer)

        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(call, number, 60.0)
                tasks.start_soon(call, 59 - number, number / 10_000)

        assert sorted(found) == sorted(f"n{number}".encode() for number in range(60))
        assert store.losses == 0
