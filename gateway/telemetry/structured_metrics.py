"""What Prometheus is told about answers that were to have a form: by which step, and what became of them. Read off the records."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.cached import HITS
from gateway.core.record import Record
from gateway.telemetry.metrics import Counter, Metric

_INVALID = "invalid_output"
_UNFINISHED = ("length", "content_filter", "refusal", "pause")


class StructuredMetrics:
    """Counts answers by step and outcome, and the repairs of those that went out or were given up."""

    def __init__(self) -> None:
        self._answers = Counter(
            "switchgear_structured_total",
            "Answers that were to have a form: valid, invalid, unfinished (cut short or refused) or failed.",
            ("model", "step", "outcome"),
        )
        self._repairs = Counter(
            "switchgear_structured_repairs_total", "Times that such an answer was asked for again.", ("model", "step")
        )
        self.metrics: tuple[Metric, ...] = (self._answers, self._repairs)

    def take(self, records: Sequence[Record]) -> None:
        """Count a batch of records."""
        for record in records:
            if not record.structured or record.cache in HITS:
                continue  # what is given again was counted when it was made
            step, _, repairs = record.structured.partition("; repairs=")
            self._answers.add((record.known_model, step, _outcome(record)))
            if repairs:
                self._repairs.add((record.known_model, step), int(repairs))


def _outcome(record: Record) -> str:
    if record.error is not None:
        return "invalid" if record.error == _INVALID else "failed"
    return "unfinished" if record.finish_reason in _UNFINISHED else "valid"
