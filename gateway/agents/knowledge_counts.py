"""What is counted of searches in knowledge bases, and shown as metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.retrieval.library import Library
from gateway.telemetry.metrics import Counter, Histogram, Metric, Reading


class KnowledgeCounts:
    """Counters and gauges. `library` gives the bases in force when the metrics are read."""

    def __init__(self, library: Callable[[], Library]) -> None:
        self._library = library
        self._calls = Counter(
            "switchgear_knowledge_calls_total",
            "Searches and readings in knowledge bases, by how they ended: found, nothing, invalid or error.",
            ("tool", "outcome"),
        )
        self._seconds = Histogram(
            "switchgear_knowledge_call_seconds",
            "Time from a search or a reading in knowledge bases to its end.",
            (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
            ("tool",),
        )
        self.metrics: tuple[Metric, ...] = (
            self._calls,
            self._seconds,
            Reading(
                "switchgear_knowledge_passages",
                "Passages that a knowledge base holds.",
                self._passages,
                ("base",),
            ),
        )

    def take(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call."""
        self._calls.add((tool, outcome))
        self._seconds.observe((tool,), seconds)

    def _passages(self) -> Mapping[tuple[str, ...], float]:
        return {(name,): float(base.held.passages) for name, base in self._library().bases.items()}
