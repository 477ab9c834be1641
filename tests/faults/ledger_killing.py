"""Workers that make calls as a gateway does, and are killed with SIGKILL at random moments; two share a spool.

    python -m tests.faults.ledger_killing FOLDER TRIALS SEED

Each worker notes in FOLDER/upstream.log, with one write each, the calls that its upstream has seen, and in FOLDER/answered.log those
whose rows it has handed over. It prints the number of workers that were killed.
"""

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import anyio
import structlog

from gateway.accounting.ledger import Ledger
from gateway.config.database_settings import SqliteSettings
from gateway.config.ledger_settings import LedgerSettings
from gateway.core.ids import new_id
from gateway.stores.database import open_database
from gateway.stores.ledger_sql import SqlLedger
from tests.unit.accounting.memory_ledger import OneDollarAToken, call, record

TARGETS = ("up/big",)


async def work(folder: Path, seed: int, told: int) -> None:
    """Make calls until killed. Some take long, so that segments hold open calls."""
    database = await open_database(SqliteSettings(path=str(folder / "switchgear.db")))
    ledger = Ledger(
        SqlLedger(database), LedgerSettings(spool=str(folder / "spool")), pricing=OneDollarAToken, segment_bytes=8192
    )
    upstream = os.open(folder / "upstream.log", os.O_WRONLY | os.O_APPEND)
    answered = os.open(folder / "answered.log", os.O_WRONLY | os.O_APPEND)
    chance = random.Random(seed)

    async def answer() -> None:
        name = new_id("call_")
        made = call(0, id=name)
        ledger.open(made, TARGETS)
        os.write(upstream, f"{name}\n".encode())
        os.write(told, b".")
        await anyio.sleep(chance.choice((0, 0.001, 0.01, 0.2)))
        ledger.take([record(0, id=name)])
        os.write(answered, f"{name}\n".encode())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        while True:
            for _ in range(chance.randrange(1, 12)):
                tasks.start_soon(answer)
            await anyio.sleep(0.002)


def main() -> None:
    folder, trials, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    chance = random.Random(seed)
    killed = 0
    for trial in range(trials):
        workers = [fork(folder, seed + 2 * trial + number) for number in range(2)]
        for worker, calls in workers:
            read_all(calls, chance.randrange(1, 60))
            spin(chance.uniform(0, 0.01))
            os.kill(worker, signal.SIGKILL)
            os.close(calls)
        for worker, _ in workers:
            _, status = os.waitpid(worker, 0)
            killed += os.WIFSIGNALED(status)
    sys.stdout.write(f"{killed}\n")


def read_all(calls: int, wanted: int) -> None:
    """Wait until so many calls have reached the upstream: how long a worker takes to start is the machine's business."""
    while wanted > 0 and (read := os.read(calls, wanted)):
        wanted -= len(read)


def spin(seconds: float) -> None:
    """Let a worker go on to any point of its work."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def fork(folder: Path, seed: int) -> tuple[int, int]:
    """Start a worker; its process, and where it tells of each call."""
    calls, told = os.pipe()
    worker = os.fork()
    if worker == 0:
        with contextlib.suppress(BaseException):
            anyio.run(work, folder, seed, told)
        os._exit(1)
    os.close(told)
    return worker, calls


if __name__ == "__main__":
    main()
