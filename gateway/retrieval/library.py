"""The knowledge bases of one generation of the configuration, searched together. It does not know who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.config.knowledge_settings import KnowledgeSettings
from gateway.retrieval.passages import Passage, Retriever


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """All bases by name, and what the configuration says of each. `digests` are the folders', by name."""

    settings: Mapping[str, KnowledgeSettings] = {}
    bases: Mapping[str, Retriever] = {}
    digests: Mapping[str, bytes] = {}

    async def search(self, query: str, wanted: Mapping[str, int], limit: int) -> Sequence[Passage]:
        """Give the best passages of several bases; `wanted` says how many each may give at most.

        Scores are each base's own: a word that is rare in one may be common in another. Those of equal score stand in the order of `wanted`.
        """
        found: list[Passage] = []
        for name, most in wanted.items():
            base = self.bases.get(name)
            if base is not None:
                found += await base.search(query, min(most, limit))
        return sorted(found, key=lambda passage: -passage.score)[:limit]


NO_KNOWLEDGE = Library()
