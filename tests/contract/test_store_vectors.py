"""Every index of vectors keeps the same promises: Qdrant's client speaks here to its own local mode, for no server is to be had."""

import contextlib
import random
import struct
import threading
import warnings
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import pytest
from qdrant_client import AsyncQdrantClient

from gateway.core.clock import Clock
from gateway.stores import vectors_embedded
from gateway.stores.vectors import VectorIndex
from gateway.stores.vectors_embedded import FEW, EmbeddedVectors
from gateway.stores.vectors_qdrant import QdrantVectors

SIZE = 384


def vector(*numbers: float, size: int = SIZE) -> bytes:
    """A vector of length 1 that begins with these numbers."""
    values = [*numbers, *([0.0] * (size - len(numbers)))]
    length = sum(value * value for value in values) ** 0.5
    return struct.pack(f"<{size}f", *(value / length for value in values))


def scattered(seed: int) -> bytes:
    chance = random.Random(seed)
    return vector(*(chance.gauss(0, 1) for _ in range(SIZE)))


@contextlib.asynccontextmanager
async def local_qdrant() -> AsyncIterator[QdrantVectors]:
    client = AsyncQdrantClient(location=":memory:")
    index = QdrantVectors(lambda: client, name="test", timeout=10, clock=Clock())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(index.run)
            yield index
            tasks.cancel_scope.cancel()
    await index.aclose()


@pytest.fixture(params=["embedded", "qdrant"])
async def index(request: pytest.FixtureRequest) -> AsyncIterator[VectorIndex]:
    if request.param == "qdrant":
        async with local_qdrant() as remote:
            yield remote
        return
    embedded = EmbeddedVectors(100_000)
    yield embedded
    await embedded.aclose()


def keep(index: VectorIndex, entry: str, kept: bytes, *, tenant: str = "acme", partition: str = "p") -> None:
    index.keep(entry, kept, tenant=tenant, partition=partition, until=4e9)


async def found(index: VectorIndex, asked: bytes, expected: list[str], **where: str) -> list[float]:
    """Ask until it is as expected: a server is told a little later."""
    place = {"tenant": "acme", "partition": "p", **where}
    with anyio.move_on_after(5):
        while True:
            matches = await index.find(asked, most=5, **place)
            if [match.entry for match in matches] == expected:
                return [match.similarity for match in matches]
            await anyio.sleep(0.01)
    assert [match.entry for match in matches] == expected
    raise AssertionError


async def test_the_nearest_comes_first_with_its_cosine(index):
    keep(index, "far", vector(0, 1))
    keep(index, "near", vector(1, 0.1))
    keep(index, "same", vector(1))

    cosines = await found(index, vector(1), ["same", "near", "far"])

    assert cosines == pytest.approx([1.0, 0.995, 0.0], abs=0.002)


async def test_no_other_tenant_and_no_other_partition_is_ever_found(index):
    keep(index, "mine", vector(1))
    keep(index, "theirs", vector(1), tenant="other")
    keep(index, "elsewhere", vector(1), partition="q")

    await found(index, vector(1), ["mine"])
    await found(index, vector(1), ["theirs"], tenant="other")
    await found(index, vector(1), ["elsewhere"], partition="q")
    assert await index.find(vector(1), tenant="nobody", partition="p", most=5) == ()


async def test_an_entry_has_one_vector_the_last(index):
    keep(index, "entry", vector(1))
    await found(index, vector(1), ["entry"])
    keep(index, "entry", vector(0, 1))
    keep(index, "mark", vector(0, 0, 1), partition="later")

    await found(index, vector(0, 0, 1), ["mark"], partition="later")
    assert await found(index, vector(0, 1), ["entry"]) == pytest.approx([1.0], abs=0.002)


async def test_what_was_removed_is_not_found(index):
    keep(index, "gone", vector(1))
    keep(index, "there", vector(1, 1))
    await found(index, vector(1), ["gone", "there"])

    index.remove(["gone", "never"])

    await found(index, vector(1), ["there"])


async def test_no_more_are_given_than_were_asked_for(index):
    for number in range(8):
        keep(index, f"entry {number}", vector(1, number / 10))
    await found(index, vector(1), [f"entry {number}" for number in range(5)])

    assert len(await index.find(vector(1), tenant="acme", partition="p", most=2)) == 2


async def test_a_vector_of_another_size_is_found_by_none_of_the_first(index):
    keep(index, "entry", vector(1))
    await found(index, vector(1), ["entry"])

    assert await index.find(vector(1, size=128), tenant="acme", partition="p", most=5) == ()


async def test_the_right_one_of_thousands_is_found():
    """Also where it is looked for by signs first, which is where a partition is large."""
    index = EmbeddedVectors(100_000)
    for seed in range(4 * FEW):
        keep(index, str(seed), scattered(seed))
        keep(index, f"other {seed}", scattered(seed), tenant="other")

    for seed in range(0, 4 * FEW, 97):
        matches = await index.find(scattered(seed), tenant="acme", partition="p", most=5)
        assert matches[0].entry == str(seed)
        assert {match.tenant for match in matches} == {"acme"}
    await index.aclose()


async def test_the_oldest_goes_where_there_is_no_room():
    index = EmbeddedVectors(3)
    for number in range(5):
        keep(index, str(number), vector(1, number), partition=str(number % 2))

    kept = [
        match.entry for place in "01" for match in await index.find(vector(1), tenant="acme", partition=place, most=9)
    ]

    assert sorted(kept) == ["2", "3", "4"]
    assert index.size == 3
    await index.aclose()


async def test_what_was_written_over_while_it_was_read_is_not_given_out(monkeypatch):
    """A search reads in a thread while others write: an entry that has another's row by then is not what was compared."""
    read, written = threading.Event(), threading.Event()
    search = vectors_embedded._search

    def slow(*args):
        result = search(*args)
        read.set()
        written.wait(10)
        return result

    monkeypatch.setattr(vectors_embedded, "_search", slow)
    index = EmbeddedVectors(4 * FEW)
    for seed in range(4 * FEW):
        keep(index, str(seed), scattered(seed))
    found_then: list[str] = []

    async def ask() -> None:
        found_then.extend(match.entry for match in await index.find(scattered(0), tenant="acme", partition="p", most=2))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.to_thread.run_sync(read.wait, 10)
        index.remove(["0"])
        keep(index, "thief", scattered(9999), tenant="other", partition="x")
        written.set()

    assert len(found_then) == 1
    assert not {"thief", "0"} & set(found_then)
    await index.aclose()


async def test_what_nobody_needs_any_more_leaves_the_server():
    now = 1000.0
    client = AsyncQdrantClient(location=":memory:")
    index = QdrantVectors(lambda: client, name="test", timeout=10, clock=Clock(wall=lambda: now))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(index.run)
            index.keep("old", vector(1), tenant="acme", partition="p", until=900)
            index.keep("new", vector(1, 1), tenant="acme", partition="p", until=1100)
            await found(index, vector(1), ["old", "new"])
            await index.tidy()
            await found(index, vector(1), ["new"])
            tasks.cancel_scope.cancel()
    await index.aclose()
