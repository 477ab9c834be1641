"""Makes the caches of models. What is kept, and who is being answered, outlives the generations of the configuration."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Final
from zoneinfo import ZoneInfo

import anyio
import msgspec

from gateway.cache.key import Depends, Keys
from gateway.cache.semantic import SemanticLayer
from gateway.config.cache_settings import ModelCacheSettings
from gateway.config.settings import Settings
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.ids import NewId, new_id
from gateway.pipeline.cached import Beside, Cached, Means
from gateway.pipeline.cached_flights import Flights
from gateway.pipeline.cached_plan import CachePlan, is_wanted
from gateway.pipeline.cached_replay import Documents, Pacing
from gateway.pipeline.cached_shelf import Shelf
from gateway.routing.choosing.call_facts import Surroundings
from gateway.routing.choosing.outside import outside_of
from gateway.stores.answers import AnswerStore
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_open import open_answers

_DOCUMENT_SHARE: Final = 16
"""What part of the cache's bytes documents that are written already may take beside it."""
_MOST_DOCUMENT_BYTES: Final = 32 * 1024**2

OpenSemantic = Callable[[str, str, ModelCacheSettings, str], SemanticLayer | None]
"""Gives the layer of similar questions of a model (and version), None where it has none; by the revision of what embeds questions."""


class Caching(msgspec.Struct, kw_only=True):
    """What the caches of all models and generations have in common. `open_semantic` is set by who has such a layer."""

    store: AnswerStore
    means: Means
    entry_bytes: int
    new_id: NewId = new_id
    open_semantic: OpenSemantic | None = None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a cache in its generation: see `Surroundings`. `policy` is the version of the documents that judge calls.

    `remembers` says whether one of the targets speaks the Responses API, whose upstreams keep answers.
    """

    clock: Clock
    chance: Callable[[], float]
    beside: Beside | None
    policy: str
    touched: Callable[[str], bool]
    remembers: bool = False


def open_caching(settings: Settings, clock: Clock) -> Caching:
    """Open the store. Where no model has a cache there is one all the same: a reload may want it; it is then this process's own."""
    cache = settings.cache
    store = open_answers(cache, settings.redis if is_wanted(settings) else None, clock=clock, chance=random.random)
    most = min(cache.bytes // _DOCUMENT_SHARE, _MOST_DOCUMENT_BYTES)
    means = Means(flights=Flights(), documents=Documents(most), renewing=set())
    store.watch(means.documents.forget)
    return Caching(store=store, means=means, entry_bytes=cache.entry_bytes)


def open_shelf(
    model: str, version: str, plan: CachePlan, targets: Collection[str], caching: Caching, around: Around
) -> Shelf:
    """Give a model's place in the cache."""
    depends = Depends(model=model, version=version, revision=plan.revision, policy=around.policy)
    around_rules = Surroundings(input_tokens=_not_counted, wall=around.clock.wall, zone=ZoneInfo(plan.time_zone))
    outside = outside_of(plan.rules, around_rules)
    opens = caching.open_semantic if plan.settings.mode == "semantic" else None
    return Shelf(
        store=caching.store,
        depends=depends,
        settings=plan.settings,
        keys=Keys(depends, plan.settings.scope, outside),
        targets=frozenset(targets),
        entry_bytes=caching.entry_bytes,
        wall=around.clock.wall,
        chance=around.chance,
        new_id=caching.new_id,
        touched=around.touched,
        remembers=around.remembers,
        embedding=plan.embedding,
        peek=caching.store.peek if isinstance(caching.store, MemoryAnswers) else None,
        semantic=None if opens is None else opens(model, version, plan.settings, plan.embedding),
    )


def open_cached(shelf: Shelf, caching: Caching, around: Around) -> Cached:
    """Give the stage of a model's cache; what it surrounds is told later."""
    pacing = Pacing(pace=shelf.settings.pace, now=around.clock.monotonic, sleep=anyio.sleep)
    return Cached(shelf, caching.means, pacing, around.beside)


def _not_counted(call: Call) -> int:
    del call
    return 0  # how many tokens a body has is no fact from outside it
