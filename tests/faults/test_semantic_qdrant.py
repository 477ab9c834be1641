"""Qdrant is stopped, slow, broken or absent: no call fails for it, it soon costs nothing, and it is used again when it is back."""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.config.cache_settings import QdrantSettings
from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores.vectors_qdrant import MOST_FAILURES, MOST_WAITING, QdrantVectors, collection_name, open_qdrant
from tests.contract.test_store_vectors import found, keep, vector
from tests.qdrant_double import Double, qdrant_double
from tests.unit.cache.semantic_world import World


@asynccontextmanager
async def asked_at(url: str, *, timeout: float = 0.25) -> AsyncIterator[QdrantVectors]:
    index = open_qdrant(QdrantSettings(url=url, timeout=timeout), model="minilm", clock=Clock())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(index.run)
        yield index
        tasks.cancel_scope.cancel()
    await index.aclose()


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    async with qdrant_double() as running:
        yield running


async def lose(index: QdrantVectors) -> list[float]:
    """Ask until it is not asked any more; how long each search took."""
    took = []
    for _ in range(MOST_FAILURES + 3):
        begun = time.perf_counter()
        with pytest.raises(StoreUnavailable):
            await index.find(vector(1), tenant="acme", partition="p", most=5)
        took.append(time.perf_counter() - begun)
    return took


async def back(index: QdrantVectors) -> None:
    with anyio.fail_after(20):
        while not index.up:
            await anyio.sleep(0.02)


async def test_over_the_wire_as_in_the_contract(double):
    async with asked_at(double.url) as index:
        keep(index, "mine", vector(1))
        keep(index, "theirs", vector(1), tenant="other")
        keep(index, "far", vector(1, 1))
        assert await found(index, vector(1), ["mine", "far"]) == pytest.approx([1.0, 0.707], abs=0.002)

        index.remove(["mine"])

        await found(index, vector(1), ["far"])


@pytest.mark.parametrize("mode", ["error", "garbage", "odd"])
async def test_a_server_that_answers_badly_is_not_asked_for_a_while_and_then_again(double, mode):
    async with asked_at(double.url) as index:
        keep(index, "entry", vector(1))
        await found(index, vector(1), ["entry"])
        await double.answer(mode)
        await lose(index)
        assert not index.up

        await double.answer("ok")
        await back(index)

        await found(index, vector(1), ["entry"])


async def test_a_server_that_is_stopped_soon_costs_nothing_and_is_found_again(double):
    async with asked_at(double.url, timeout=0.1) as index:
        keep(index, "entry", vector(1))
        await found(index, vector(1), ["entry"])
        double.process.send_signal(signal.SIGSTOP)
        took = await lose(index)
        keep(index, "later", vector(0, 1))
        assert max(took[:MOST_FAILURES]) < 2
        assert max(took[MOST_FAILURES:]) < 0.02

        double.process.send_signal(signal.SIGCONT)
        await back(index)

        await found(index, vector(0, 1), ["later", "entry"])


async def test_many_searches_that_are_under_way_when_it_stops_wait_their_time_once(double):
    async with asked_at(double.url, timeout=0.2) as index:
        keep(index, "entry", vector(1))
        await found(index, vector(1), ["entry"])
        double.process.send_signal(signal.SIGSTOP)
        begun = time.perf_counter()

        async def ask() -> None:
            with pytest.raises(StoreUnavailable):
                await index.find(vector(1), tenant="acme", partition="p", most=5)

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(ask)

        assert time.perf_counter() - begun < 3
        double.process.send_signal(signal.SIGCONT)
        await back(index)
        await found(index, vector(1), ["entry"])


async def test_a_collection_that_somebody_removed_is_made_again(double):
    async with asked_at(double.url) as index:
        keep(index, "entry", vector(1))
        await found(index, vector(1), ["entry"])
        async with qdrant_double() as empty:
            index._connect = (
                fresh := open_qdrant(QdrantSettings(url=empty.url), model="minilm", clock=Clock())
            )._connect
            assert fresh._client is None
            await index.aclose()
            with pytest.raises(StoreUnavailable):
                await index.find(vector(1), tenant="acme", partition="p", most=5)
            keep(index, "entry", vector(1))

            await found(index, vector(1), ["entry"])


async def test_without_a_server_calls_go_on_and_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.stores.vectors_qdrant.PROBE_SECONDS", 0.01)
    async with asked_at("http://127.0.0.1:9") as index:
        world = World(index=index)
        for number in range(MOST_FAILURES + 1):
            assert (await world.find(f"How do I reset my password? {number}")).why == "index_unavailable"
        for number in range(MOST_WAITING + 50):
            keep(index, str(number), vector(1))
        await anyio.sleep(0.05)

        assert not index.up
        assert len(index._waiting) <= MOST_WAITING


async def test_what_a_server_says_of_another_tenant_is_not_believed(double):
    """Should a filter ever not be applied: what comes back is looked at again."""
    async with asked_at(double.url) as index:
        keep(index, "theirs", vector(1), tenant="other")
        await found(index, vector(1), ["theirs"], tenant="other")
        await double.answer("unfiltered")

        assert await index.find(vector(1), tenant="acme", partition="p", most=5) == ()


def test_each_embedding_model_has_a_collection_of_its_own():
    names = {collection_name("cache", model) for model in ("minilm", "a/b", "a_b", "x" * 300)}

    assert len(names) == 4
    assert all(len(name) < 70 and name.replace("_", "").isalnum() for name in names)
