"""What a million distinct answers do to memory, and what one costs: the cache of one process, without the rest of a gateway.

    python -m benchmarks.cache_memory [--entries 1000000] [--bytes 268435456] [--answer 1536]

An answer of 1,536 bytes is the vector of an embedded text with 384 numbers.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from hashlib import sha256

import anyio
import psutil

from gateway.core.clock import SYSTEM_CLOCK
from gateway.stores.answers import Entry, Selection
from gateway.stores.answers_memory import MemoryAnswers

READINGS = 10


def entries(count: int, answer: int, now: float) -> Iterator[Entry]:
    """Give distinct entries, as the cache of embedded texts keeps them."""
    for number in range(count):
        key = sha256(number.to_bytes(8)).hexdigest()
        yield Entry(
            id=f"entry_{key[:24]}", key=key, tenant="default", model="embedder", dialect="openai_embeddings", operation="embed",
            target="house/embedder", made=now + number * 1e-6, fresh_until=now + 3600.0, kept_until=now + 3600.0,
            answer=number.to_bytes(8) * (answer // 8),
        )  # fmt: skip


class Measured:
    """Figures of one run: `curve` is (entries that passed, bytes of memory more than before, bytes that the store counts)."""

    def __init__(self) -> None:
        self.curve: list[tuple[int, int, int]] = []
        self.first_full = 0.0
        self.keep_us = 0.0
        self.find_us = 0.0
        self.select_s = 0.0
        self.kept = 0


async def measure(count: int, most_bytes: int, answer: int) -> Measured:
    """Let `count` entries pass, then look some up."""
    measured = Measured()
    store = MemoryAnswers(most_bytes=most_bytes, entry_bytes=1 << 20, clock=SYSTEM_CLOCK, chance=random.random)
    process = psutil.Process()
    before = process.memory_info().rss
    spent, last = 0.0, ""
    for number, entry in enumerate(entries(count, answer, time.time()), 1):
        began = time.perf_counter()
        store.keep(entry)
        spent += time.perf_counter() - began
        last = entry.key
        held = (
            store.held()
            if number % (count // READINGS) == 0 or (not measured.first_full and number % 1000 == 0)
            else None
        )
        if held is not None and not measured.first_full and (held.let_go or number == count):
            # Before anything was let go every byte is in its place: this is what one entry costs.
            measured.first_full = (process.memory_info().rss - before) / held.entries
        if held is not None and number % (count // READINGS) == 0:
            measured.curve.append((number, process.memory_info().rss - before, held.bytes))
            measured.kept = held.entries
    measured.keep_us = spent / count * 1e6
    began = time.perf_counter()
    for _ in range(100_000):
        await store.find(last)
    measured.find_us = (time.perf_counter() - began) * 10
    began = time.perf_counter()
    await store.select(Selection(tenant="default"), limit=100)
    measured.select_s = time.perf_counter() - began
    return measured


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=256 * 1024**2)
    parser.add_argument("--answer", type=int, default=1536)
    args = parser.parse_args()
    measured = anyio.run(measure, args.entries, args.bytes, args.answer)
    print("passed      memory, MiB   counted, MiB")
    for number, memory, counted in measured.curve:
        print(f"{number:>9,}   {memory / 2**20:>11.1f}   {counted / 2**20:>12.1f}")
    print(f"kept {measured.kept:,}; one costs {measured.first_full - args.answer:.0f} bytes beside its answer")
    print(f"keep {measured.keep_us:.1f} us, find {measured.find_us:.2f} us, a page {measured.select_s * 1000:.0f} ms")


if __name__ == "__main__":
    main()
