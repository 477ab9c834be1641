"""The semantic cache of a process: one index and one memory of vectors, and a layer for each model that asks for one.

It outlives the generations of the configuration; each makes its layers anew, and what was learnt and audited of a model stays as long as
its settings do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio
import msgspec
import structlog

from gateway.cache.asking import Asking, AskModel, Cost
from gateway.cache.background import Background
from gateway.cache.comparison import Comparison
from gateway.cache.embedded_texts import EmbeddedTexts
from gateway.cache.false_hits import told
from gateway.cache.guards import refusal
from gateway.cache.layer import Layer, Shared
from gateway.cache.model_state import ModelState
from gateway.cache.pause import Pause
from gateway.cache.recent_hits import RecentHit, RecentHits
from gateway.cache.refusals import Refusal
from gateway.config.cache_settings import CacheSettings, ModelCacheSettings, SemanticSettings
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.ids import NewId, new_id
from gateway.stores.answers import AnswerStore
from gateway.stores.vectors import VectorIndex
from gateway.telemetry.metrics import Counter, Metric, Reading

log = structlog.get_logger()


class SemanticCache:
    """What `open_semantic` gives. `run` must be running."""

    def __init__(
        self,
        model: str,
        answers: AnswerStore,
        index: VectorIndex,
        hits: RecentHits,
        *,
        guard: Refusal = refusal,
        clock: Clock = SYSTEM_CLOCK,
        chance: Callable[[], float] = random.random,
        ids: NewId = new_id,
    ) -> None:
        self.index = index
        self.background = Background()
        self._answers = answers
        self._clock = clock
        self._new_id = ids
        self._states: dict[str, ModelState] = {}
        self._offered: dict[str, ModelState] = {}
        self._audits = Counter(
            "switchgear_cache_audits_total",
            "Semantic hits that were drawn to be asked again, by what came of it.",
            ("model", "outcome"),
        )
        self._shared = Shared(
            texts=EmbeddedTexts(model),
            index=index,
            answers=answers,
            background=self.background,
            guard=guard,
            wall=clock.wall,
            chance=chance,
            audits=lambda name, outcome: self._audits.add((name, outcome)),
            hits=hits,
            pause=Pause(clock.monotonic),
        )
        self._embedding = ""
        answers.watch(self.removed)
        self.metrics: tuple[Metric, ...] = (*self._readings(), self._audits)

    def layer(self, model: str, settings: SemanticSettings, ask: AskModel, cost: Cost, embedding: str = "") -> Layer:
        """Give the layer of a model. `ask` answers in the operator's name, `cost` gives prices of this generation.

        `embedding` is the revision of what embeds questions: vectors that were made by another are not used.
        """
        if embedding != self._embedding:
            self._embedding = embedding
            texts = EmbeddedTexts(self._shared.texts.model)
            self._shared = msgspec.structs.replace(self._shared, texts=texts)
        state = self._states.get(model)
        if state is None or state.settings != settings:
            state = ModelState(model, settings, clock=self._clock, new_id=self._new_id)
            self._states.setdefault(model, state)
        self._offered[model] = state
        judge = None if settings.audit is None else settings.audit.model
        guard = self._shared.guard if settings.guards else None
        comparison = Comparison(judge, self._shared.texts, guard, budget=state.judging, new_id=self._new_id)
        asking = Asking(ask, cost, now=self._clock.monotonic, new_id=self._new_id)
        return Layer(model, state, asking, comparison, self._shared)

    def opener(self, ask: AskModel, cost: Cost) -> Callable[[str, str, ModelCacheSettings, str], Layer]:
        """Give what opens the layers of models and their versions."""

        def open_layer(model: str, version: str, settings: ModelCacheSettings, embedding: str) -> Layer:
            return self.layer(f"{model}@{version}" if version else model, settings.semantic, ask, cost, embedding)

        return open_layer

    def settle(self, models: Iterable[str]) -> None:
        """The layers that were opened last are in force: forget what was learnt of others. A generation that is refused says nothing."""
        kept = set(models)
        self._states = {name: state for name, state in self._offered.items() if name.partition("@")[0] in kept}

    def switch(self, model: str, on: bool) -> bool:  # noqa: FBT001 - on or off is what it is about
        """Switch a model's layer on or off, until its settings change. False where it has none."""
        state = self._states.get(model)
        if state is None:
            return False
        state.false_hits.switch(on=on)
        log.info("cache.semantic.switched", model=model, on=on)
        return True

    def scored(self, hit: RecentHit, *, right: bool) -> None:
        """Somebody said of an answer from the cache whether it was right."""
        state = self._states.get(hit.model)
        if state is None:
            return
        state.reported += not right
        if hit.similarity is not None:
            state.sample(hit.entry, hit.similarity, right=right)

    def removed(self, entries: Sequence[str]) -> None:
        """Forget entries that the store of answers no longer has."""
        self.index.remove(entries)

    def figures(self) -> list[dict[str, Any]]:
        """Give what is known of each model's layer, for administrators."""
        return [{"model": name, **_figures(state)} for name, state in sorted(self._states.items())]

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.index.run)
            tasks.start_soon(self.background.run)

    async def aclose(self) -> None:
        """Close the index."""
        await self.index.aclose()

    def _readings(self) -> tuple[Reading, ...]:
        by = ("model",)
        return (
            Reading(
                "switchgear_cache_semantic_searches_total",
                "Searches for a similar question, by what came of them: hit, or why there is none.",
                lambda: {
                    (name, why): count for name, state in self._states.items() for why, count in state.looked.items()
                },
                labels=("model", "outcome"),
                kind="counter",
            ),
            Reading(
                "switchgear_cache_false_hit_rate",
                "Share of audited semantic hits that were wrong, and the bounds between which it surely lies (low, high).",
                self._rates,
                labels=("model", "bound"),
            ),
            Reading(
                "switchgear_cache_semantic_off",
                "1 where a model's semantic layer is switched off.",
                lambda: {(name,): float(state.false_hits.off) for name, state in self._states.items()},
                labels=by,
            ),
            Reading(
                "switchgear_cache_reported_total",
                "Answers from the cache that a score called bad.",
                lambda: {(name,): state.reported for name, state in self._states.items()},
                labels=by,
                kind="counter",
            ),
            Reading("switchgear_cache_vectors", "Questions whose vectors are kept.", lambda: {(): self.index.size}),
        )

    def _rates(self) -> Mapping[tuple[str, ...], float]:
        rates: dict[tuple[str, ...], float] = {}
        for name, state in self._states.items():
            rate, low, high = state.false_hits.estimate()
            if rate is not None:
                rates |= {(name, "estimate"): rate, (name, "low"): low, (name, "high"): high}
        return rates


def open_semantic(
    settings: CacheSettings, answers: AnswerStore, hits: RecentHits, *, clock: Clock = SYSTEM_CLOCK
) -> SemanticCache | None:
    """Give the semantic cache of a process; None where no model embeds questions."""
    if settings.embedding is None:
        return None
    if settings.qdrant is not None:
        from gateway.stores.vectors_qdrant import open_qdrant  # noqa: PLC0415 - heavy: Qdrant's client

        index: VectorIndex = open_qdrant(settings.qdrant, model=settings.embedding, clock=clock)
    else:
        from gateway.stores.vectors_embedded import EmbeddedVectors  # noqa: PLC0415 - heavy: numpy

        index = EmbeddedVectors(settings.entries)
    return SemanticCache(settings.embedding, answers, index, hits, clock=clock)


def _figures(state: ModelState) -> dict[str, Any]:
    looked = state.looked.total()
    shown: dict[str, Any] = {
        "on": not state.false_hits.off,
        "searches": looked,
        "hits": state.looked["hit"],
        "hit_rate": state.looked["hit"] / looked if looked else None,
        "misses": {why: count for why, count in sorted(state.looked.items()) if why != "hit"},
        "reported": state.reported,
        "false_hits": msgspec.to_builtins(told(state.false_hits)),
    }
    if state.learnt is not None:
        shown["samples"] = state.learnt.samples
    if state.verifier is not None:
        shown["verifier_usd_today"] = state.verifier.spent / 1e9
    return shown
