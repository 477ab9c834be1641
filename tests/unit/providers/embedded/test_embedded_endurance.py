"""An engine that takes memory without end, or falls silent over a grammar, ends its own process and nobody else's."""

import subprocess
import sys

import anyio

from gateway.providers.embedded.endurance import Vigil, bound_memory

TICK = 0.005


def test_memory_beyond_the_bound_is_not_given():
    program = (
        f"from {bound_memory.__module__} import bound_memory\n"
        "bound_memory(64 * 1024**2); bytearray(16 * 1024**2); print('some')\n"
        "bytearray(256 * 1024**2); print('all')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ended.stdout == "some\n"
    assert "MemoryError" in ended.stderr


async def ends(vigil_of, *, constrained, heard=False, ticks=60):
    ended = anyio.Event()
    vigil = vigil_of(ended)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vigil.keep)
        with vigil.over(constrained=constrained), anyio.move_on_after(TICK * ticks):
            while heard:
                vigil.heard()
                await anyio.sleep(TICK / 2)
            await ended.wait()
        tasks.cancel_scope.cancel()
    return ended.is_set()


def three_ticks(ended):
    return Vigil(silence=3, tick=TICK, end=ended.set)


async def test_silence_over_a_grammar_ends_the_process():
    assert await ends(three_ticks, constrained=True, ticks=2000)


async def test_silence_without_a_grammar_and_an_engine_that_is_heard_do_not():
    assert not await ends(three_ticks, constrained=False)
    assert not await ends(lambda ended: Vigil(silence=30, tick=TICK, end=ended.set), constrained=True, heard=True)
