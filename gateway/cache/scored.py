"""What scores do to the cache: a bad one of an answer that came from there evicts its entry. Who may score a call, others decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from gateway.cache.recent_hits import RecentHit, RecentHits
from gateway.core.errors import StoreUnavailable
from gateway.core.record import Record
from gateway.stores.answers import AnswerStore, Selection

log = structlog.get_logger()

BAD: Final = 0.5
"""A score below this is a thumbs-down."""


class Learns(Protocol):
    """Who learns from what is said of hits."""

    def scored(self, hit: RecentHit, *, right: bool) -> None:
        """Somebody said of an answer from the cache whether it was right."""
        ...


class ScoredAnswers:
    """The scores of answers from the cache, of the latest calls of this process."""

    def __init__(self, answers: AnswerStore, hits: RecentHits, learns: Learns | None = None) -> None:
        self.hits = hits
        self._answers = answers
        self._learns = learns

    def take(self, records: Sequence[Record]) -> None:
        """Note which calls were answered from the cache. Implements Sink."""
        self.hits.take(records)

    async def scored(self, call: str, value: float) -> str:
        """Take a score of a call, from 0 to 1. Gives the id of the entry that went for it, empty where none did."""
        hit = self.hits.find(call)
        if hit is None:
            return ""
        if self._learns is not None:
            self._learns.scored(hit, right=value >= BAD)
        return "" if value >= BAD else await self._evict(call, hit)

    async def thought_better(self, call: str, value: float) -> str:
        """Take a score of a call that had a better one: as `scored`, but what evicts nothing any more teaches nothing."""
        hit = self.hits.find(call)
        if hit is None or value >= BAD:
            return ""
        evicted = await self._evict(call, hit)
        if evicted and self._learns is not None:
            self._learns.scored(hit, right=False)
        return evicted

    async def _evict(self, call: str, hit: RecentHit) -> str:
        try:
            gone = await self._answers.remove(Selection(entry=hit.entry, tenant=hit.tenant))
        except StoreUnavailable:
            log.warning("cache.eviction.failed", call=call, entry=hit.entry)
            return ""
        log.info("cache.entry.evicted", call=call, entry=hit.entry, model=hit.model)
        return hit.entry if gone else ""
