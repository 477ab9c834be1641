"""Limits through the death of the process that counts: killed at any moment, it has forgotten nothing that it admitted."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.clock import SYSTEM_CLOCK
from gateway.stores.counter_windows import Calendar, Rolling
from gateway.stores.counters import Bucket
from gateway.stores.counters_board import open_board
from gateway.stores.counters_memory import MemoryCounters

ROOT = Path(__file__).resolve().parents[2]
LIMIT, RESERVED, USED = 60_000, 50, 30
KILLS = 5
CHILD = """
import asyncio, os, sys
from pathlib import Path
from tests.faults.test_limits_crash import BUCKETS, RESERVED, USED, counters

async def spend():
    store, name = counters(Path(sys.argv[1])), 0
    while True:
        name += 1
        outcome = await store.reserve(str(name), BUCKETS, [RESERVED] * len(BUCKETS))
        if outcome.refused is not None:
            os.write(1, b"full\\n")
            return
        os.write(1, b"admitted\\n")
        if name % 3:
            # Told before it is done: what is said to be spent is never more than what was counted.
            os.write(1, b"used\\n")
            store.settle(str(name), [USED] * len(BUCKETS))

asyncio.run(spend())
"""
BUCKETS = [
    Bucket(key="month", table="m", limit=LIMIT, window=Calendar(unit="month")),
    Bucket(key="day", table="d", limit=LIMIT, window=Rolling(seconds=86_400.0)),
]


def counters(path: Path) -> MemoryCounters:
    board = open_board(path, SYSTEM_CLOCK.wall)
    assert board is not None
    return MemoryCounters(SYSTEM_CLOCK, board=board)


def spend(path: Path, lines: int | None) -> list[str]:
    """Spend until the limit refuses, or until killed after so many lines; what was said until then."""
    said = []
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if lines is not None and len(said) == lines:
                process.send_signal(signal.SIGKILL)
    return said


def spent(said: list[str]) -> int:
    return said.count("admitted") * RESERVED - said.count("used") * (RESERVED - USED)


@pytest.mark.parametrize("seed", [1, 2])
def test_through_kill_9_no_more_is_admitted_than_the_budget(tmp_path, seed):
    chance, path = random.Random(seed), tmp_path / "counts"
    told = [spend(path, chance.randint(1, 300)) for _ in range(KILLS)]
    killed = sum(map(spent, told))

    last = spend(path, None)

    assert last[-1] == "full"
    # Not a call too many, and no more lost than one reservation for each death.
    assert LIMIT - (KILLS + 1) * RESERVED <= killed + spent(last) <= LIMIT


async def test_what_a_killed_process_had_reserved_stays_counted(tmp_path):
    path = tmp_path / "counts"
    said = spend(path, 50)

    used = await counters(path).used(BUCKETS)

    assert all(spent(said) <= one <= spent(said) + RESERVED for one in used)
