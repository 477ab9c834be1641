"""Answers that replicas share, where messages, reads and writes meet in an order that no real Redis can be made to keep to.

What becomes of real servers is tried in tests/faults/test_cache_redis.py.
"""

import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest
import structlog

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores import answers_shared
from gateway.stores.answers import Entry, Selection
from gateway.stores.answers_coding import Removal, decode_card, decode_entry, encode_entry, encode_group, encode_removal
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_shared import FRONT_SECONDS, MOST_SLOW, SharedAnswers

NOW = 1_800_000_000.0


class ScriptedRedis:
    """A double of RedisAnswers: a mapping, messages in a queue, and reads and writes that can be held up."""

    def __init__(self):
        self.kept: dict[str, Entry] = {}
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.writes = asyncio.Event()
        self.reads.set()
        self.writes.set()
        self.asked: list[str] = []
        self.written: list[list[str]] = []
        self.down = False
        self.slow_in_a_row = 0

    def _check(self):
        if self.down:
            raise StoreUnavailable("It is down.")

    async def run(self):
        await asyncio.Event().wait()

    async def find(self, key):
        self.asked.append(key)
        found = self.kept.get(key)
        await self.reads.wait()
        self._check()
        return found

    async def entries(self, ids):
        return [one for one in self.kept.values() if one.id in ids]

    async def write(self, entries):
        self.written.append([one.key for one in entries])
        await self.writes.wait()
        self._check()
        self.kept.update({one.key: one for one in entries})
        return 0

    async def remove(self, group, keys_and_ids):
        for key, _ in keys_and_ids:
            del self.kept[key]

    async def subscribe(self):
        self._check()

    async def leave(self, pubsub):
        """Nobody hears any more."""

    async def hear(self, pubsub, seconds):
        while self.messages.empty():
            self._check()
            await asyncio.sleep(0)
        return self.messages.get_nowait()

    async def policy(self):
        return "noeviction"

    async def ping(self):
        self._check()

    async def publish(self, removal):
        self.messages.put_nowait(encode_removal(removal))

    async def groups(self):
        return []

    async def count(self, groups):
        return 0

    async def first(self, name, seconds):
        return False

    async def aclose(self):
        """It has no connections."""


class World:
    """A store over such a double, with a clock that is moved by hand."""

    def __init__(self):
        self.now = NOW
        clock = Clock(monotonic=lambda: self.now, wall=lambda: self.now)
        self.redis = ScriptedRedis()
        self.local = MemoryAnswers(most_bytes=2**20, entry_bytes=2**16, clock=clock, chance=lambda: 0.0)
        self.store = SharedAnswers(self.redis, self.local, clock=clock, chance=lambda: 0.0)

    async def until(self, holds):
        with anyio.fail_after(5):
            while not holds():
                await asyncio.sleep(0)


@asynccontextmanager
async def shared():
    world = World()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.store.run)
        await world.until(lambda: world.store.up)
        yield world
        tasks.cancel_scope.cancel()


def entry(name, **rest):
    given = {
        "id": f"entry_{name}", "key": name, "tenant": "acme", "model": "chat", "dialect": "openai_chat", "operation": "generate",
        "target": "t", "made": NOW, "fresh_until": NOW + 100.0, "kept_until": NOW + 100.0, "answer": name.encode(),
    }  # fmt: skip
    return Entry(**(given | rest))


async def test_an_answer_that_was_read_a_moment_ago_is_served_without_asking_again():
    async with shared() as world:
        world.redis.kept["a"] = entry("a")
        for _ in range(3):
            assert await world.store.find("a") == entry("a")
        assert world.redis.asked == ["a"]

        world.now += FRONT_SECONDS + 0.1
        del world.redis.kept["a"]

        assert await world.store.find("a") is None
        assert world.local.peek("a") is None


async def test_what_is_read_while_it_is_removed_does_not_stay():
    """The message overtakes the answer of Redis."""
    async with shared() as world:
        world.redis.kept["a"] = entry("a")
        world.redis.reads.clear()
        reading = asyncio.ensure_future(world.store.find("a"))
        await world.until(lambda: world.redis.asked == ["a"])
        del world.redis.kept["a"]
        await world.redis.publish(Removal(keys=("a",), ids=("entry_a",)))
        await world.until(lambda: world.store._removals == 1)
        world.redis.reads.set()

        await reading

        assert await world.store.find("a") is None
        assert world.local.peek("a") is None


async def test_what_is_kept_while_an_older_one_is_read_stays():
    """Somebody has it made anew (`no-cache`) while another call is being told the old one."""
    async with shared() as world:
        world.redis.kept["a"] = entry("a")
        world.redis.reads.clear()
        world.redis.writes.clear()
        reading = asyncio.ensure_future(world.store.find("a"))
        await world.until(lambda: world.redis.asked == ["a"])
        newer = entry("a", id="entry_newer", made=NOW + 1, answer=b"newer")
        world.store.keep(newer)
        world.redis.reads.set()

        assert await reading == newer
        assert await world.store.find("a") == newer


async def test_keys_that_are_removed_elsewhere_are_forgotten_here():
    async with shared() as world:
        for name in "ab":
            world.redis.kept[name] = entry(name)
            await world.store.find(name)
        del world.redis.kept["a"]
        await world.redis.publish(Removal(keys=("a",), ids=("entry_a",)))
        await world.until(lambda: world.store._removals == 1)

        assert await world.store.find("a") is None
        assert world.redis.asked == ["a", "b", "a"]
        assert await world.store.find("b") == entry("b")


async def test_what_was_removed_while_it_was_alone_and_did_not_hear_is_not_served_again(monkeypatch):
    monkeypatch.setattr(answers_shared, "PROBE_SECONDS", 0.0)
    async with shared() as world:
        world.store.keep(entry("a"))
        await world.until(lambda: "a" in world.redis.kept)
        world.redis.down = True
        await world.until(lambda: not world.store.up)
        assert await world.store.find("a") == entry("a")
        del world.redis.kept["a"]
        world.redis.down = False
        await world.until(lambda: world.store.up)

        world.redis.down = True
        await world.until(lambda: not world.store.up)
        assert await world.store.find("a") is None


async def test_what_waits_to_be_written_when_it_is_removed_is_not_written():
    async with shared() as world:
        world.redis.writes.clear()
        world.store.keep(entry("first"))
        await world.until(lambda: world.redis.written == [["first"]])
        world.store.keep(entry("a", tags=("x=y",)))
        world.store.keep(entry("b"))

        await world.redis.publish(Removal(selection=Selection(tenant="acme", tag="x=y")))
        await world.until(lambda: "a" not in world.store._waiting)
        world.redis.writes.set()
        await world.until(lambda: "b" in world.redis.kept)

        assert sorted(world.redis.kept) == ["b", "first"]
        assert await world.store.find("a") is None


async def test_what_is_being_written_when_it_is_removed_is_taken_back():
    async with shared() as world:
        world.redis.writes.clear()
        world.store.keep(entry("a", model="small"))
        world.store.keep(entry("b"))
        await world.until(lambda: world.redis.written == [["a", "b"]])
        await world.redis.publish(Removal(selection=Selection(model="small")))
        await world.until(lambda: world.local.peek("a") is None)
        world.redis.writes.set()

        await world.until(lambda: sorted(world.redis.kept) == ["b"])
        assert await world.store.find("a") is None


async def test_what_is_being_written_is_found_though_redis_does_not_have_it_yet():
    async with shared() as world:
        world.redis.writes.clear()
        world.store.keep(entry("a"))
        assert await world.store.find("a") == entry("a")
        await world.until(lambda: world.redis.written == [["a"]])
        assert await world.store.find("a") == entry("a")
        assert await world.store.entries(["entry_a"]) == (entry("a"),)
        assert world.redis.asked == []


async def test_those_that_are_kept_at_nearly_the_same_time_are_written_together():
    async with shared() as world:
        for name in "abc":
            world.store.keep(entry(name))
        world.store.keep(entry("a", id="entry_newer"))
        await world.until(lambda: len(world.redis.kept) == 3)

        assert world.redis.written == [["b", "c", "a"]]
        assert world.redis.kept["a"].id == "entry_newer"


async def test_who_watches_is_not_told_of_what_only_this_process_has_no_room_for():
    """It is still in Redis."""
    async with shared() as world:
        told: list[str] = []
        world.store.watch(told.extend)
        for number in range(30):
            world.store.keep(entry(f"n{number}", answer=bytes(60_000)))
        await world.until(lambda: len(world.redis.kept) == 30)
        assert world.local.held().let_go["full"] > 0
        assert told == []

        world.local.drop_keys(["n29"])
        assert told == ["entry_n29"]


async def test_a_redis_that_was_never_there_is_told_of_once(monkeypatch):
    monkeypatch.setattr(answers_shared, "PROBE_SECONDS", 0.0)
    world, asked = World(), 0

    async def subscribe():
        nonlocal asked
        asked += 1
        raise StoreUnavailable("Redis cannot be asked (AuthenticationError).")

    world.redis.subscribe = subscribe
    with structlog.testing.capture_logs() as logged:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.store.run)
            await world.until(lambda: asked > 5)
            tasks.cancel_scope.cancel()

    assert [line["event"] for line in logged] == ["cache.redis.not_found"]
    assert (world.store.up, world.store.losses) == (False, 0)


async def test_many_slow_answers_in_a_row_are_as_bad_as_none():
    async with shared() as world:
        world.redis.kept["a"] = entry("a")
        world.redis.slow_in_a_row = MOST_SLOW

        assert await world.store.find("a") == entry("a")

        assert (world.store.up, world.store.losses) == (False, 1)


@pytest.mark.parametrize("message", [b"", b"nonsense", b"\x02\x93", 7, None])
async def test_a_message_that_is_none_is_passed_over(message):
    async with shared() as world:
        world.store.keep(entry("a"))
        world.redis.messages.put_nowait(message)
        await world.redis.publish(Removal(keys=("b",)))
        await world.until(lambda: world.store._removals == 1)

        assert await world.store.find("a") == entry("a")


def test_an_entry_of_another_version_is_not_read():
    card, text = encode_entry(entry("a"))

    assert decode_card(card).id == "entry_a"
    assert decode_card(b"\x02" + card[1:]) is None
    assert decode_card(text) is None


def test_a_card_with_the_text_of_another_entry_is_none():
    (card, text), (_, other) = encode_entry(entry("a")), encode_entry(entry("b"))

    assert decode_entry(card, text) == entry("a")
    assert decode_entry(card, other) is None
    assert decode_entry(card, None) is None
    assert decode_entry(None, text) is None


def test_groups_have_different_names():
    assert encode_group("a", "b") != encode_group("a\x1fb", "")
