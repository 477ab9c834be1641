"""The lazy timer: late enough, often enough, and silent once stopped."""

import asyncio

import anyio

from gateway.providers.http.lazy_timer import LazyTimer


async def test_it_calls_once_the_last_deadline_has_passed():
    loop = asyncio.get_running_loop()
    passed = anyio.Event()
    timer = LazyTimer(loop, passed.set)
    last = loop.time() + 0.05
    for deadline in (last - 0.04, last - 0.02, last):
        timer.set(deadline)
    with anyio.fail_after(5):
        await passed.wait()

    assert loop.time() >= last - 0.002


async def test_a_sooner_deadline_counts_at_once():
    loop = asyncio.get_running_loop()
    passed = anyio.Event()
    timer = LazyTimer(loop, passed.set)
    timer.set(loop.time() + 60)
    timer.set(loop.time() + 0.01)
    with anyio.fail_after(5):
        await passed.wait()


async def test_it_is_silent_once_stopped_and_can_be_set_again():
    loop = asyncio.get_running_loop()
    calls = []
    passed = anyio.Event()
    timer = LazyTimer(loop, lambda: calls.append(loop.time()))
    timer.set(loop.time() + 0.01)
    timer.stop()
    loop.call_later(0.03, passed.set)
    with anyio.fail_after(5):
        await passed.wait()
    assert calls == []

    timer = LazyTimer(loop, passed.set)
    passed = anyio.Event()
    timer = LazyTimer(loop, passed.set)
    timer.stop()
    timer.set(loop.time() + 0.01)
    with anyio.fail_after(5):
        await passed.wait()
