"""Counts how many of a model's semantic hits were wrong, says how sure that is, and switches the layer off when it is too many. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from gateway.cache.evidence import interval, surely_above
from gateway.config.cache_settings import AuditShareSettings

log = structlog.get_logger()

MOST: Final = 2000
"""Audits after which the counting begins anew: what was true of last month's questions need not be of today's."""


class FalseHits:
    """The audits of one model in this process."""

    def __init__(self, model: str, settings: AuditShareSettings) -> None:
        self.settings = settings
        self.off = False
        self._model = model
        self._right = 0
        self._wrong = 0

    @property
    def counted(self) -> tuple[int, int]:
        """How many were right, and how many wrong, since the counting began."""
        return self._right, self._wrong

    def count(self, *, right: bool) -> None:
        """Count an audited hit."""
        if self._right + self._wrong >= MOST:
            self._right = self._wrong = 0
        if right:
            self._right += 1
        else:
            self._wrong += 1
        self._look()

    def switch(self, *, on: bool) -> None:
        """Switch the layer on or off. Who switches it on begins anew: what was counted has been dealt with."""
        if on and self.off:
            self._right = self._wrong = 0
        self.off = not on

    def estimate(self) -> tuple[float | None, float, float]:
        """Give the share of wrong hits, None where none was audited, and the bounds between which it surely is."""
        total = self._right + self._wrong
        low, high = interval(
            self._wrong, total, confidence=self.settings.confidence, expected=min(1.0, 2.5 * self.settings.most_wrong)
        )
        return (self._wrong / total if total else None), low, high

    def _look(self) -> None:
        total, settings = self._right + self._wrong, self.settings
        if self.off or total < settings.samples:
            return
        if surely_above(settings.most_wrong, self._wrong, total, confidence=settings.confidence):
            self.off = True
            log.warning("cache.semantic.switched_off", model=self._model, wrong=self._wrong, audited=total)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a model's false hits. `rate` is None where nothing was audited; `low` and `high` hold at `confidence`."""

    audited: int
    wrong: int
    rate: float | None
    low: float
    high: float
    confidence: float
    most_wrong: float


def told(false_hits: FalseHits) -> Estimate:
    """Give the figures of a model."""
    right, wrong = false_hits.counted
    rate, low, high = false_hits.estimate()
    settings = false_hits.settings
    return Estimate(
        audited=right + wrong,
        wrong=wrong,
        rate=rate,
        low=low,
        high=high,
        confidence=settings.confidence,
        most_wrong=settings.most_wrong,
    )
