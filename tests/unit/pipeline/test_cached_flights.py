"""Identical calls in flight: one is asked, whoever leaves or fails, and nobody waits for ever. All in time that passes at once."""

import random

import anyio
import pytest

from gateway.core.cached import CacheWish
from gateway.core.errors import UpstreamTimeout
from gateway.core.events import Cached as Told
from gateway.core.events import Finished
from gateway.core.items import Refusal, Text
from gateway.pipeline.cached_flights import LONGEST_WAIT
from tests.unit.pipeline.caching_doubles import Heard, World
from tests.unit.virtual_time import run_in_virtual_time


class Slowly:
    """A gate that opens by itself after a while: the model takes so long for each call."""

    def __init__(self, seconds):
        self._seconds = seconds

    async def wait(self):
        await anyio.sleep(self._seconds)


async def all_of(world, count, *, gap=0.1, **more):
    """Ask the same so many times, each a little after the one before, and give what each got, or what it raised."""
    found = [None] * count

    async def ask(number):
        await anyio.sleep(number * gap)
        try:
            found[number] = await world.ask(**more)
        except UpstreamTimeout as error:
            found[number] = error

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(ask, number)
    return found


def test_calls_that_are_alike_are_asked_once_and_all_are_answered():
    async def main():
        world = World()
        world.model.gate = Slowly(5)
        found = await all_of(world, 20)
        return world, found, anyio.current_time()

    world, found, took = run_in_virtual_time(main)

    assert len(world.model.asked) == 1
    assert {heard.text for heard in found} == {"answer 1"}
    assert [heard.told for heard in found] == ["miss"] + ["exact"] * 19
    (kept,) = world.store._by_key.values()
    assert {heard.of(Told)[-1].entry for heard in found} == {kept.id}, "whoever says that it was wrong evicts it"
    assert took == pytest.approx(5)
    assert len(world.means.flights) == 0


def test_calls_that_differ_do_not_wait_for_each_other():
    async def main():
        world = World()
        world.model.gate = Slowly(5)
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(world.ask, f"question {number}")
        return world, anyio.current_time()

    world, took = run_in_virtual_time(main)

    assert (len(world.model.asked), took) == (5, pytest.approx(5))


@pytest.mark.parametrize("wish", [CacheWish(mode="write"), CacheWish(mode="off")], ids=str)
def test_who_wants_it_anew_waits_for_nobody(wish):
    async def main():
        world = World()
        world.model.gate = Slowly(5)
        await all_of(world, 3, cache=wish)
        return world

    assert len(run_in_virtual_time(main).model.asked) == 3


def test_where_the_one_that_is_asked_fails_the_others_are_not_made_to_wait_in_a_row():
    """Ten calls of which each fails after 5 s are over after 10 s, not after 50."""

    async def main():
        world = World()
        world.model.gate = Slowly(5)
        world.model.error = UpstreamTimeout("too slow")
        return world, await all_of(world, 10), anyio.current_time()

    world, found, took = run_in_virtual_time(main)

    assert all(isinstance(each, UpstreamTimeout) for each in found)
    assert len(world.model.asked) == 10
    assert took == pytest.approx(10)


def test_an_answer_that_others_cannot_have_makes_them_ask_at_once():
    async def main():
        world = World()
        world.model.gate = Slowly(5)
        world.model.parts = (Text(text="no"), Refusal(text="no"))
        found = await all_of(world, 10)
        return world, found, anyio.current_time()

    world, found, took = run_in_virtual_time(main)

    assert [heard.told for heard in found] == ["miss"] * 10
    assert (len(world.model.asked), took) == (10, pytest.approx(10))


def test_a_client_that_leaves_leaves_the_others_their_answer():
    """The one that is asked has gone: one of the others asks, and all have its answer."""

    async def main():
        world = World()
        world.model.gate = Slowly(5)
        found = []

        async def stay():
            found.append(await world.ask())

        async with anyio.create_task_group() as tasks:
            leaving = anyio.CancelScope()

            async def leave():
                with leaving:
                    await world.ask()

            tasks.start_soon(leave)
            await anyio.sleep(0.1)
            for _ in range(8):
                tasks.start_soon(stay)
            await anyio.sleep(2)
            leaving.cancel()
        return world, found, anyio.current_time()

    world, found, took = run_in_virtual_time(main)

    assert len(world.model.asked) == 2
    assert {heard.text for heard in found} == {"answer 2"}
    assert took == pytest.approx(7.1)


def test_who_waits_and_leaves_has_asked_nobody():
    """What it is told last is that it would have been a hit: nobody is billed for it."""

    async def main():
        world = World()
        world.model.gate = Slowly(5)
        waiting = Heard()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.ask)
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await world.cached(world.call(), waiting)
        return world, waiting

    world, waiting = run_in_virtual_time(main)

    assert waiting.told == "exact"
    assert len(world.model.asked) == 1


def test_a_client_that_reads_slowly_holds_nobody_up_for_long():
    async def main():
        world = World()
        took = []

        async def crawling(event):
            if isinstance(event, Finished):
                await anyio.sleep(10 * LONGEST_WAIT)

        async def other():
            await anyio.sleep(1)
            heard = await world.ask()
            took.append((anyio.current_time(), heard.text))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.cached, world.call(), crawling)
            tasks.start_soon(other)
        return took

    assert run_in_virtual_time(main) == [(pytest.approx(1 + LONGEST_WAIT), "answer 2")]


@pytest.mark.parametrize("seed", range(40))
def test_whoever_leaves_or_fails_at_whatever_moment_everybody_who_stays_is_answered(seed):
    """Chance decides who comes when, who leaves when, which answers fail and how long each takes."""
    chance = random.Random(seed)

    async def main():
        world = World(ttl=chance.choice([0.5, 100]), jitter=0.0)
        world.shelf.store.clear()

        class Fickle:
            async def wait(self):
                world.model.error = UpstreamTimeout("so") if chance.random() < 0.2 else None
                await anyio.sleep(chance.uniform(0, 3))

        world.model.gate = Fickle()
        outcomes = []

        async def client(number):
            await anyio.sleep(chance.uniform(0, 6))
            world.clock.now = 1_700_000_000.0 + anyio.current_time()
            patience = chance.uniform(0, 4) if chance.random() < 0.4 else 1e6
            with anyio.move_on_after(patience) as scope:
                try:
                    heard = await world.ask(f"question {number % 3}")
                except UpstreamTimeout:
                    outcomes.append("failed")
                else:
                    outcomes.append("answered")
                    assert heard.text.startswith("answer ")
                    assert len(heard.of(Finished)) == 1
            if scope.cancelled_caught:
                outcomes.append("left")

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(client, number)
        return world, outcomes, anyio.current_time()

    world, outcomes, took = run_in_virtual_time(main)

    assert len(outcomes) == 30
    assert "answered" in outcomes
    assert len(world.means.flights) == 0
    assert not world.cached._waiting
    assert took < 30
