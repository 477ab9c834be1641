"""Which entry a call was answered from, for who judges the answer later. A bounded number of the latest calls of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.record import Record

MOST: Final = 20_000


class RecentHit(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that answered a call of this model, and whose call it was. `similarity` is that of a semantic hit.

    `model` may name a version as well (model@version). `at` is when the call began, in seconds since 1970.
    """

    model: str
    entry: str
    caller: str
    tenant: str
    at: float
    similarity: float | None = None


class RecentHits:
    """Filled by the layers, which know more, and by records."""

    def __init__(self) -> None:
        self._hits: OrderedDict[str, RecentHit] = OrderedDict()

    def find(self, call: str) -> RecentHit | None:
        """Give the hit of a call."""
        return self._hits.get(call)

    def note(self, call: str, hit: RecentHit) -> None:
        """Note a hit, unless more is known of it."""
        self._hits.setdefault(call, hit)
        if len(self._hits) > MOST:
            self._hits.popitem(last=False)

    def take(self, records: Sequence[Record]) -> None:
        """Note the hits among calls that are over. Implements Sink."""
        for record in records:
            if record.cache_entry and record.saved is not None:
                hit = RecentHit(
                    model=record.model,
                    entry=record.cache_entry,
                    caller=record.caller,
                    tenant=record.tenant,
                    at=record.started_at,
                )
                self.note(record.id, hit)
