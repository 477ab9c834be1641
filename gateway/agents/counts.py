"""What is counted of the runs that this process executes, and shown as metrics."""

from __future__ import annotations

from gateway.telemetry.metrics import Counter, Histogram, Metric, Reading


class Counts:
    """Counters and gauges. `live` are the runs that this process executes, `followers` those who read one as it happens."""

    def __init__(self) -> None:
        self.live = 0
        self.followers = 0
        self.begun = Counter("switchgear_runs_begun_total", "Runs that were begun here.", ("mode",))
        self.ended = Counter("switchgear_runs_total", "Runs that ended here, by how they ended.", ("status",))
        self.takeovers = Counter(
            "switchgear_run_takeovers_total",
            "Runs that went on here after another process, or an earlier one, left them.",
        )
        self.fenced = Counter(
            "switchgear_run_fenced_total",
            "Writes that were refused because the run had gone to another holder, or ended.",
        )
        self.compacted = Counter(
            "switchgear_compactions_total", "Conversations, or parts of them, that were put into notes."
        )
        self.remembered = Counter(
            "switchgear_memory_calls_total",
            "Calls of agents' memories, by whether what was asked for was done.",
            ("memory", "tool", "outcome"),
        )
        self.writing = Histogram(
            "switchgear_run_journal_seconds",
            "Time to write events of a run to the journal.",
            (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
        )
        self.metrics: tuple[Metric, ...] = (
            self.begun,
            self.ended,
            self.takeovers,
            self.fenced,
            self.compacted,
            self.remembered,
            self.writing,
            Reading("switchgear_runs_live", "Runs that this process executes now.", lambda: {(): self.live}),
            Reading("switchgear_run_followers", "Who reads a run here as it happens.", lambda: {(): self.followers}),
        )
