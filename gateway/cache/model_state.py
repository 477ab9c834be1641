"""What is known of one model's semantic cache beyond a generation of the configuration: what was learnt, audited, refused and counted."""

from __future__ import annotations

from collections import Counter, OrderedDict
from hashlib import blake2b
from typing import Final

from gateway.cache.budget import Budget
from gateway.cache.false_hits import FalseHits
from gateway.cache.pause import Pause
from gateway.cache.thresholds import Thresholds
from gateway.cache.verifier import Verifier
from gateway.config.cache_settings import AuditShareSettings, SemanticSettings
from gateway.core.clock import Clock
from gateway.core.ids import NewId

MOST_PAIRS: Final = 10_000
MOST_WHYS: Final = 100


class ModelState:
    """Of a model whose settings are these; with others there is another. `looked` counts searches by what came of them."""

    def __init__(self, model: str, settings: SemanticSettings, *, clock: Clock, new_id: NewId) -> None:
        self.settings = settings
        self.learnt = None if settings.error_bound is None else Thresholds(settings.error_bound)
        audit = settings.audit
        self.false_hits = FalseHits(model, audit or AuditShareSettings(share=0.0))
        self.auditing = Budget(clock, calls_per_minute=60 if audit is None else audit.calls_per_minute)
        self.judging = Budget(clock, calls_per_minute=60 if audit is None else audit.calls_per_minute)
        self.comparing = Budget(clock, calls_per_minute=60 if audit is None else audit.calls_per_minute)
        self.verifier: Verifier | None = None
        if settings.verifier is not None:
            spending = Budget(
                clock,
                calls_per_minute=settings.verifier.calls_per_minute,
                usd_per_day=settings.verifier.usd_per_day,
            )
            self.verifier = Verifier(settings.verifier, spending, Pause(clock.monotonic), new_id=new_id)
        self.looked: Counter[str] = Counter()
        self.reported = 0
        self._wrong_pairs: OrderedDict[bytes, None] = OrderedDict()

    def count(self, outcome: str) -> None:
        """Count a search."""
        self.looked[outcome if outcome in self.looked or len(self.looked) < MOST_WHYS else "other"] += 1

    def sample(self, entry: str, similarity: float, *, right: bool) -> None:
        """Learn from an answer that was judged."""
        if self.learnt is not None:
            self.learnt.sample(entry, similarity, right=right)

    def forbid(self, question: str, entry: str) -> None:
        """An entry was wrong for this question: it is not served for it again."""
        self._wrong_pairs[_pair(question, entry)] = None
        if len(self._wrong_pairs) > MOST_PAIRS:
            self._wrong_pairs.popitem(last=False)

    def forbids(self, question: str, entry: str) -> bool:
        """Whether it was found to be wrong for this question."""
        return bool(self._wrong_pairs) and _pair(question, entry) in self._wrong_pairs


def _pair(question: str, entry: str) -> bytes:
    return blake2b(f"{entry}\n{question}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
