"""What Prometheus is told about cascades and votes: which answers passed, and which won. Read off the records."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.decision import Considered
from gateway.core.record import Record
from gateway.telemetry.metrics import Counter, Metric

_LABELS = ("model", "target", "outcome")


class EnsembleMetrics:
    """Counts what became of each target that was asked."""

    def __init__(self) -> None:
        self._cascades = Counter(
            "switchgear_cascade_total",
            "Targets asked in cascades: answered, failed, or the check that the answer did not pass.",
            _LABELS,
        )
        self._votes = Counter("switchgear_votes_total", "Targets asked for their vote: won, lost or failed.", _LABELS)
        self.metrics: tuple[Metric, ...] = (self._cascades, self._votes)

    def take(self, records: Sequence[Record]) -> None:
        """Count a batch of records."""
        for record in records:
            decision = record.decision
            if decision is None or decision.strategy not in ("cascade", "vote"):
                continue
            for one in decision.considered:
                if decision.strategy == "cascade" and (outcome := _cascaded(one, record)):
                    self._cascades.add((record.model, one.target, outcome))
                elif decision.strategy == "vote" and one.verdict in ("won", "lost", "failed"):
                    self._votes.add((record.model, one.target, one.verdict))


def _cascaded(one: Considered, record: Record) -> str:
    if one.verdict == "escalated":
        return one.why.partition(":")[0]
    if one.verdict == "failed":
        return "failed"
    if one.verdict != "chosen":
        return ""
    return "answered" if record.error is None else "failed"
