"""Waiting for a server: a deadline that the slowness of this process does not use up."""

import time

import anyio
import pytest

from gateway.stores.patience import Patience


async def test_it_ends_what_takes_too_long():
    began = time.monotonic()
    with pytest.raises(TimeoutError), Patience(0.05):
        await anyio.sleep_forever()

    assert 0.05 <= time.monotonic() - began < 5


async def test_a_turn_of_the_loop_that_takes_long_does_not_use_it_up():
    came = anyio.Event()

    async def answer():
        await anyio.sleep(0.02)
        came.set()

    async def be_busy():
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            """The whole loop stands still: that is the promise."""

    async with anyio.create_task_group() as tasks:
        with Patience(0.1) as patience:
            tasks.start_soon(answer)
            tasks.start_soon(be_busy)
            await came.wait()

    assert patience.waited < 0.1


async def test_who_cancels_it_is_not_told_of_a_timeout():
    with anyio.CancelScope() as scope:
        with Patience(60):
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_an_error_within_it_is_that_error():
    with pytest.raises(KeyError), Patience(60):
        raise KeyError
