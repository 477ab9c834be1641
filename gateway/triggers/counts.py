"""What is counted of triggers in this process, and shown as metrics."""

from __future__ import annotations

from gateway.telemetry.metrics import Counter, Metric, Reading


class Counts:
    """Counters and gauges. `waiting` are deliveries that are being written down."""

    def __init__(self) -> None:
        self.waiting = 0
        self.deliveries = Counter(
            "switchgear_trigger_deliveries_total",
            "Deliveries and times of schedules, by what became of them: accepted, joined, repeated, resolved, ignored, skipped, duplicate, refused.",
            ("trigger", "outcome"),
        )
        self.alerts = Counter("switchgear_trigger_alerts_total", "Alerts in deliveries that were taken.", ("trigger",))
        self.runs = Counter(
            "switchgear_trigger_runs_total",
            "Runs of triggers, by what became of their beginning: begun, postponed, refused.",
            ("trigger", "outcome"),
        )
        self.ended = Counter(
            "switchgear_trigger_runs_ended_total", "Runs of triggers that ended, by how.", ("trigger", "status")
        )
        self.held = Counter(
            "switchgear_trigger_storms_total", "Times that a trigger had more to begin than it may.", ("trigger",)
        )
        self.metrics: tuple[Metric, ...] = (
            *(self.deliveries, self.alerts, self.runs, self.ended, self.held),
            Reading(
                "switchgear_trigger_deliveries_waiting",
                "Deliveries that are being written down now.",
                lambda: {(): self.waiting},
            ),
        )
