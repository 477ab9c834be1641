"""The pool alone: order, limit, and slots that are freed exactly once. Connections have no socket here."""

import asyncio

import anyio
import pytest

from gateway.core.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.providers.http.connection import Connection, Owner
from gateway.providers.http.pool import Pool


async def connect(owner: Owner, deadline: float) -> Connection:
    await anyio.lowlevel.checkpoint()
    return Connection(asyncio.get_running_loop(), owner, "test")


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


async def steps(count: int = 5) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def test_the_connection_used_last_is_used_first():
    pool = Pool(connect, limit=3, name="test")
    first, second = await pool.acquire(soon()), await pool.acquire(soon())
    pool.released(first)
    pool.released(second)

    assert pool.take() is second
    assert pool.take() is first
    assert pool.take() is None


async def test_waiters_are_served_in_order():
    pool = Pool(connect, limit=1, name="test")
    served = []

    async def wait(number: int) -> None:
        connection = await pool.acquire(soon())
        served.append(number)
        pool.released(connection)

    held = await pool.acquire(soon())
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(wait, number)
            await steps()
        pool.released(held)

    assert served == [0, 1, 2, 3, 4]
    assert (pool.free_slots, pool.idle_connections) == (0, 1)


async def test_a_closed_connection_gives_its_slot_to_a_waiter():
    pool = Pool(connect, limit=1, name="test")
    held = await pool.acquire(soon())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pool.acquire, soon())
        await steps()
        held.close()
        held.close()

    assert (pool.free_slots, pool.idle_connections) == (0, 0)


async def test_a_connection_that_closes_on_its_way_to_a_waiter_is_replaced():
    pool = Pool(connect, limit=1, name="test")
    held = await pool.acquire(soon())
    got = []

    async def wait() -> None:
        got.append(await pool.acquire(soon()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await steps()
        pool.released(held)
        held.close()

    assert got[0] is not held
    assert not got[0].closed
    assert pool.free_slots == 0


@pytest.mark.parametrize("given", ["connection", "slot"])
async def test_a_waiter_cancelled_in_the_moment_it_is_served_passes_on_what_it_was_given(given):
    pool = Pool(connect, limit=1, name="test")
    held = await pool.acquire(soon())
    async with (
        asyncio.TaskGroup() as tasks
    ):  # anyio spares a task whose wait is over; asyncio's own cancellation does not.
        waiter = tasks.create_task(pool.acquire(soon()))
        await steps()
        if given == "connection":
            pool.released(held)
        else:
            held.close()
        waiter.cancel()

    assert waiter.cancelled()
    assert pool.free_slots + pool.idle_connections == 1
    assert await pool.acquire(soon())


async def test_a_wait_has_a_limit_and_leaves_no_trace():
    pool = Pool(connect, limit=1, name="test")
    held = await pool.acquire(soon())
    with anyio.fail_after(5), pytest.raises(UpstreamTimeout):
        await pool.acquire(asyncio.get_running_loop().time() + 0.02)
    pool.released(held)

    assert (pool.free_slots, pool.idle_connections) == (0, 1)


async def test_a_connection_that_cannot_be_opened_frees_its_slot():
    async def refuse(owner: Owner, deadline: float) -> Connection:
        raise UpstreamUnreachable("refused")

    pool = Pool(refuse, limit=1, name="test")
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable):
            await pool.acquire(soon())

    assert pool.free_slots == 1


async def test_an_idle_connection_makes_room_for_a_new_one():
    pool = Pool(connect, limit=2, name="test")
    first, second = await pool.acquire(soon()), await pool.acquire(soon())
    pool.released(first)
    fresh = await pool.acquire_new(soon())

    assert fresh not in (first, second)
    assert first.closed
    assert (pool.free_slots, pool.idle_connections) == (0, 0)


async def test_a_closed_pool_keeps_nothing():
    pool = Pool(connect, limit=2, name="test")
    idle, busy = await pool.acquire(soon()), await pool.acquire(soon())
    pool.released(idle)
    pool.close()
    assert idle.closed
    assert not busy.closed
    pool.released(busy)

    assert busy.closed
    assert pool.free_slots == 2


def test_a_pool_without_room_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Pool(connect, limit=0, name="test")
