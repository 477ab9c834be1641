"""Answers in this process: what goes first, what is counted, and that those who look through many let others have their turn."""

import asyncio
from sys import getsizeof

import pytest

from gateway.core.clock import Clock
from gateway.core.usage import Usage
from gateway.stores import answers_memory
from gateway.stores.answers import Entry, Selection
from gateway.stores.answers_memory import AT_ONCE, MemoryAnswers, cost_of

NOW = 1_800_000_000.0


class World:
    """A store whose clock is moved by hand, and whom it told of what."""

    def __init__(self, most_bytes: int = 2**24) -> None:
        self.now = NOW
        clock = Clock(monotonic=lambda: self.now, wall=lambda: self.now)
        self.store = MemoryAnswers(most_bytes=most_bytes, entry_bytes=2**20, clock=clock, chance=lambda: 0.0)
        self.told: list[str] = []
        self.store.watch(self.told.extend)

    def keep(self, *names: str, **rest) -> None:
        for name in names:
            self.store.keep(entry(name, **rest))

    async def found(self, *names: str) -> str:
        return "".join([name for name in names if await self.store.find(name) is not None])


def entry(name: str, *, ttl: float = 100.0, **rest) -> Entry:
    given = {
        "id": f"entry_{name}", "key": name, "tenant": "acme", "model": "chat", "dialect": "openai_chat", "operation": "generate",
        "target": "t", "made": NOW, "fresh_until": NOW + ttl, "kept_until": NOW + ttl, "answer": bytes(1000),
    }  # fmt: skip
    return Entry(**(given | rest))


async def test_what_was_used_longest_ago_goes_first():
    world = World(most_bytes=3 * cost_of(entry("a")))
    world.keep("a", "b", "c")
    assert await world.found("a") == "a"

    world.keep("d")

    assert await world.found("a", "b", "c", "d") == "acd"
    assert world.told == ["entry_b"]
    assert world.store.held().let_go == {"full": 1}


async def test_a_large_entry_takes_the_place_of_several_small_ones():
    world = World(most_bytes=4 * cost_of(entry("a")))
    world.keep("a", "b", "c", "d")

    world.keep("e", answer=bytes(2500))

    assert await world.found("a", "b", "c", "d", "e") == "cde"
    assert world.store.held().bytes <= 4 * cost_of(entry("a"))


async def test_one_that_is_larger_than_all_the_room_is_refused_and_the_others_stay():
    world = World(most_bytes=2 * cost_of(entry("a")))
    world.keep("a", "b")

    world.keep("c", answer=bytes(10_000))

    assert await world.found("a", "b", "c") == "ab"
    assert world.store.held().let_go == {"refused": 1}


async def test_what_comes_and_goes_leaves_no_bytes_behind():
    """Whatever it holds: a text that somebody has encoded meanwhile takes more than before."""
    world = World()
    texts = ["plain", "é", "なに" * 50, "🔌" * 20]
    for number, text in enumerate(texts * 10):
        world.keep(str(number), question=text, namespace=text, tags=(text,), partition="p", usage=Usage(input=number))
    for text in texts:
        text.encode()
    for number in range(40):
        world.keep(str(number), answer=bytes(number))

    await world.store.remove(Selection())

    assert world.store.held().bytes == 0
    assert world.store.held().entries == 0


def test_no_less_is_counted_than_an_entry_takes():
    one = entry("k" * 64, question="なに" * 100, namespace="n" * 50, tags=("a=b", "c=d"), partition="p" * 64)
    for text in (one.question, one.namespace):
        text.encode()
    parts = (
        one.id,
        one.key,
        one.question,
        one.namespace,
        one.partition,
        *one.tags,
        one.tags,
        one.answer,
        0.1,
        0.2,
        0.3,
        one,
    )

    assert cost_of(one) >= sum(map(getsizeof, parts)) + 150


async def test_what_is_over_is_swept_away_though_nobody_asks_for_it():
    world = World()
    world.keep("a", "b", ttl=10.0)
    world.keep("c", ttl=30.0)
    await world.store.sweep()
    assert world.store.held().entries == 3

    world.now = NOW + 10.0
    await world.store.sweep()

    assert world.store.held().entries == 1
    assert sorted(world.told) == ["entry_a", "entry_b"]
    assert world.store.held().let_go == {"expired": 2}
    world.now = NOW + 30.0
    await world.store.sweep()
    assert world.store.held().entries == 0


async def test_nothing_is_looked_through_while_nothing_can_be_over(monkeypatch):
    world = World()
    world.keep("a", ttl=10.0)
    monkeypatch.setattr(answers_memory.lowlevel, "checkpoint", None)

    await world.store.sweep()

    assert await world.found("a") == "a"


async def test_who_watches_is_not_told_of_an_answer_that_a_newer_one_replaces():
    world = World()
    world.keep("a")
    world.store.keep(entry("a", id="entry_newer"))

    assert world.told == []
    assert world.store.held().entries == 1


@pytest.mark.parametrize("looking", ["select", "remove", "sweep"])
async def test_looking_through_many_lets_others_have_their_turn(looking):
    world = World()
    world.keep(*(f"{number}" for number in range(AT_ONCE * 4)), ttl=10.0)
    if looking == "sweep":
        world.now = NOW + 20.0
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    if looking == "select":
        await world.store.select(Selection(tenant="nobody"), limit=10)
    elif looking == "remove":
        await world.store.remove(Selection(tenant="acme"))
    else:
        await world.store.sweep()
    task.cancel()

    assert turns >= 4


async def test_what_comes_and_goes_while_somebody_looks_disturbs_nobody():
    world = World(most_bytes=AT_ONCE * 3 * cost_of(entry("0000")))
    world.keep(*(f"{number:04}" for number in range(AT_ONCE * 3)))

    async def churn() -> None:
        for number in range(AT_ONCE * 6):
            world.keep(f"{5000 + number}")
            if number % 100 == 0:
                await asyncio.sleep(0)

    page, _ = await asyncio.gather(world.store.select(Selection(), limit=1000), churn())

    assert len(page.entries) <= 1000
    assert world.store.held().entries == AT_ONCE * 3
