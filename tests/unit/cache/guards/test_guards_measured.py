"""The figures of docs/semantic-guards.md hold: traps answered wrongly, and repeats served, on pairs that nothing was tuned on."""

import asyncio

import numpy as np
import pytest

from gateway.cache.guards import refusal
from gateway.providers.embedded.embedder import load as load_embedder
from tests.unit.cache.guards.labelled import load, sets

THRESHOLD = 0.75


def share(pairs, served):
    return sum(served(pair) for pair in pairs) / len(pairs)


def unrefused(pair):
    return not refusal(pair.asked, pair.kept)


def test_the_set_is_large_and_of_many_kinds():
    pairs = load("pairs_*.jsonl")

    assert len(pairs) >= 800
    assert sum(pair.same for pair in pairs) >= 350
    assert sum(not pair.same for pair in pairs) >= 450
    assert len({pair.category for pair in pairs}) >= 30
    assert len({(pair.asked, pair.kept) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("part", ["held out", "fresh"])
def test_guards_alone_answer_one_trap_in_a_hundred_wrongly_at_most_and_serve_more_than_half_of_the_repeats(part):
    pairs = sets()[part]

    assert share([pair for pair in pairs if not pair.same], unrefused) <= 0.01
    assert share([pair for pair in pairs if pair.same], unrefused) >= 0.60


@pytest.mark.embedded
def test_behind_the_real_embedding_the_same_holds():
    pairs = [*sets()["held out"], *sets()["fresh"]]
    vectors = asyncio.run(
        embedded(load_embedder(), sorted({text for pair in pairs for text in (pair.asked, pair.kept)}))
    )

    def served(pair):
        return float(vectors[pair.asked] @ vectors[pair.kept]) >= THRESHOLD and unrefused(pair)

    assert share([pair for pair in pairs if not pair.same], served) <= 0.01
    # 0.60 here; vectors differ in their last digits from one kind of processor to the next, and a few pairs lie at the threshold.
    assert share([pair for pair in pairs if pair.same], served) >= 0.57


async def embedded(embedder, texts):
    running = asyncio.ensure_future(embedder.run())
    result = await embedder.embed(texts)
    running.cancel()
    return {text: np.frombuffer(vector, "<f4") for text, vector in zip(texts, result.vectors, strict=True)}
