"""Measures the guards of the semantic cache on the development set: `python benchmarks/semantic_guards.py`. Needs the embedded extra.

For each part of the set (tuned on, held out, fresh): which share of the traps would be answered wrongly, and which share of
rightful repeats served, by a threshold on the cosine of all-MiniLM-L6-v2 alone, by the guards alone, and by both.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable

import numpy as np

from gateway.cache.guards import read, refusal
from gateway.providers.embedded.embedder import load
from tests.unit.cache.guards.labelled import Pair, sets

THRESHOLDS = (0.0, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)


async def embedded(texts: list[str]) -> dict[str, np.ndarray]:
    """Give each text's vector, of length 1."""
    embedder = load()
    running = asyncio.ensure_future(embedder.run())
    try:
        result = await embedder.embed(texts)
    finally:
        running.cancel()
    return {text: np.frombuffer(vector, "<f4") for text, vector in zip(texts, result.vectors, strict=True)}


def share(pairs: list[Pair], served: Callable[[Pair], bool]) -> float:
    """Give the share of the pairs that is served."""
    return sum(served(pair) for pair in pairs) / len(pairs) if pairs else 0.0


def report(name: str, pairs: list[Pair], likeness: dict[tuple[str, str], float]) -> None:
    """Print the curve of one part of the set."""
    traps, repeats = [pair for pair in pairs if not pair.same], [pair for pair in pairs if pair.same]
    passed = {(pair.asked, pair.kept): refusal(pair.asked, pair.kept) == "" for pair in pairs}
    print(f"\n## {name}: {len(repeats)} repeats, {len(traps)} traps\n")
    print(
        "| threshold | alone: traps wrong | alone: repeats served | with guards: traps wrong | with guards: repeats served |"
    )
    print("|---|---|---|---|---|")
    for threshold in THRESHOLDS:

        def alone(pair: Pair, least: float = threshold) -> bool:
            return likeness[pair.asked, pair.kept] >= least

        def both(pair: Pair, least: float = threshold) -> bool:
            return passed[pair.asked, pair.kept] and likeness[pair.asked, pair.kept] >= least

        figures = (share(traps, alone), share(repeats, alone), share(traps, both), share(repeats, both))
        label = f"{threshold:.2f}" if threshold else "none"
        print(f"| {label} | " + " | ".join(f"{figure:.1%}" for figure in figures) + " |")


def by_category(pairs: list[Pair], likeness: dict[tuple[str, str], float], threshold: float) -> None:
    """Print, for each kind of pair, what the threshold serves alone and with the guards."""
    print(
        f"\n## By category, all parts, at {threshold:.2f}\n\n| category | pairs | served by the threshold | served with guards |\n|---|---|---|---|"
    )
    for same in (False, True):
        for category in sorted({pair.category for pair in pairs if pair.same is same}):
            some = [pair for pair in pairs if pair.category == category and pair.same is same]
            near = [pair for pair in some if likeness[pair.asked, pair.kept] >= threshold]
            kept = [pair for pair in near if not refusal(pair.asked, pair.kept)]
            print(
                f"| {'repeats' if same else 'traps'}: {category} | {len(some)} | {len(near) / len(some):.0%} | {len(kept) / len(some):.0%} |"
            )


def speed(pairs: list[Pair]) -> None:
    """Print how long a pair takes when the kept question was read before."""
    kept = [read(pair.kept) for pair in pairs]
    times = []
    for pair, reading in zip(pairs, kept, strict=True):
        began = time.perf_counter()
        refusal(read(pair.asked), reading)
        times.append((time.perf_counter() - began) * 1e6)
    print(
        f"\nRead and compared: median {statistics.median(times):.0f} µs, 99th percentile {np.percentile(times, 99):.0f} µs a pair"
    )


def main() -> None:
    """Print the report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threshold", type=float, default=0.8, help="for the table by category")
    arguments = options.parse_args()
    parts = sets()
    every = [pair for pairs in parts.values() for pair in pairs]
    vectors = asyncio.run(embedded(sorted({text for pair in every for text in (pair.asked, pair.kept)})))
    likeness = {(pair.asked, pair.kept): float(vectors[pair.asked] @ vectors[pair.kept]) for pair in every}
    for name, pairs in parts.items():
        report(name, pairs, likeness)
    by_category(every, likeness, arguments.threshold)
    speed(every)


if __name__ == "__main__":
    main()
