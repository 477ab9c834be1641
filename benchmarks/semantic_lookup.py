"""Times the search for similar questions: p50 and p99 in milliseconds, alone and while others write, with how often the right one is found.

    python benchmarks/semantic_lookup.py [--entries 100000] [--partitions 1] [--edge]

The vectors are made here: 384 numbers of which 60 directions matter, as sentences' embeddings have them. Each question lies at a
cosine of 0.8 to one that is kept. `--edge` measures qdrant-edge beside it
(HNSW with a filter; it wants the package qdrant-edge-py), with what its index takes to build.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from typing import Any

import numpy as np

from gateway.stores.vectors_embedded import EmbeddedVectors

DIMENSIONS = 384
ASKED = 1000
NEAR = 0.8


def make(entries: int, chance: np.random.Generator) -> Any:
    """Make vectors of length 1."""
    directions = chance.standard_normal((60, DIMENSIONS)).astype(np.float32)
    vectors = chance.standard_normal((entries, 60)).astype(np.float32) @ directions / 7.7
    vectors += 0.6 * chance.standard_normal((entries, DIMENSIONS)).astype(np.float32)
    vectors += 0.3 * chance.standard_normal(DIMENSIONS).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def near(vector: Any, chance: np.random.Generator) -> Any:
    """Make a vector at a cosine of NEAR to another."""
    off = chance.standard_normal(DIMENSIONS).astype(np.float32)
    off -= (off @ vector) * vector
    off /= np.linalg.norm(off)
    return (NEAR * vector + (1 - NEAR**2) ** 0.5 * off).astype(np.float32)


def told(name: str, seconds: list[float], found: int) -> None:
    """Print the figures of one run."""
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000
    print(f"{name:28} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   found {found / len(ordered):.3f}")


async def embedded(vectors: Any, partitions: int, chance: np.random.Generator) -> None:
    """Measure the index of this product."""
    entries = len(vectors)
    index = EmbeddedVectors(entries)
    begun = time.perf_counter()
    for at in range(entries):
        index.keep(str(at), vectors[at].tobytes(), tenant="t", partition=str(at % partitions), until=0.0)
    print(f"kept {entries} in {time.perf_counter() - begun:.1f} s, {partitions} partitions")

    async def ask(name: str, *, writing: bool) -> None:
        seconds, found = [], 0
        for at in range(ASKED):
            asked = near(vectors[at], chance).tobytes()
            if writing:
                for more in range(10):
                    row = entries - 1 - (at * 10 + more) % (entries - ASKED)
                    index.keep(str(row), vectors[row].tobytes(), tenant="t", partition=str(row % partitions), until=0.0)
            begun = time.perf_counter()
            matches = await index.find(asked, tenant="t", partition=str(at % partitions), most=5)
            seconds.append(time.perf_counter() - begun)
            found += bool(matches) and matches[0].entry == str(at)
        told(name, seconds, found)

    await ask("signs, then cosines", writing=False)
    await ask("the same, ten writes each", writing=True)
    await index.aclose()


def edge(vectors: Any, partitions: int, chance: np.random.Generator) -> None:
    """Measure Qdrant's core in process."""
    import qdrant_edge as q  # noqa: PLC0415 - only for the comparison

    with tempfile.TemporaryDirectory() as folder:
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(size=DIMENSIONS, distance=q.Distance.Cosine),
            hnsw_config=q.HnswIndexConfig(m=16, payload_m=16, ef_construct=100, full_scan_threshold=10_000),
            wal_enabled=False,
        )
        shard = q.EdgeShard.create(folder, config)
        shard.update(q.UpdateOperation.create_field_index("p", q.PayloadSchemaType.Keyword))
        for start in range(0, len(vectors), 1000):
            rows = range(start, min(start + 1000, len(vectors)))
            points = [q.Point(row, vectors[row].tolist(), {"p": str(row % partitions)}) for row in rows]
            shard.update(q.UpdateOperation.upsert_points(points))
        begun = time.perf_counter()
        shard.optimize()
        print(f"qdrant-edge built its index in {time.perf_counter() - begun:.1f} s")
        seconds, found = [], 0
        for at in range(ASKED):
            asked = near(vectors[at], chance).tolist()
            within = q.Filter(must=[q.FieldCondition("p", match=q.MatchValue(str(at % partitions)))])
            begun = time.perf_counter()
            hits = shard.query(q.QueryRequest(limit=5, query=q.Query.Nearest(asked), filter=within, with_payload=True))
            seconds.append(time.perf_counter() - begun)
            found += bool(hits) and hits[0].id == at
        told("qdrant-edge, HNSW + filter", seconds, found)
        shard.close()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--edge", action="store_true")
    options = parser.parse_args()
    chance = np.random.default_rng(1)
    vectors = make(options.entries, chance)
    asyncio.run(embedded(vectors, options.partitions, chance))
    if options.edge:
        edge(vectors, options.partitions, chance)


if __name__ == "__main__":
    main()
