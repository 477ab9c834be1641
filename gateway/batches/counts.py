"""What is counted of the batches that this process runs, and shown as metrics."""

from __future__ import annotations

from gateway.telemetry.metrics import Counter, Metric, Reading


class Counts:
    """Counters and gauges. `running` are the batches that run here, `in_flight` and `waiting` their lines."""

    def __init__(self) -> None:
        self.running = 0
        self.in_flight = 0
        self.waiting = 0
        self.lines = Counter(
            "switchgear_batch_lines_total",
            "Lines of batches that are done here: completed, failed, expired, cancelled.",
            ("outcome",),
        )
        self.retries = Counter(
            "switchgear_batch_retries_total",
            "Lines that wait to be asked again, by the status of the answer.",
            ("status",),
        )
        self.ended = Counter("switchgear_batches_total", "Batches that ended here, by how they ended.", ("status",))
        self.metrics: tuple[Metric, ...] = (
            self.lines,
            self.retries,
            self.ended,
            Reading("switchgear_batches_running", "Batches that this process runs.", lambda: {(): self.running}),
            Reading(
                "switchgear_batch_lines_in_flight", "Lines that are being answered now.", lambda: {(): self.in_flight}
            ),
            Reading(
                "switchgear_batch_lines_waiting",
                "Lines that wait for the end of a limit's window, or to be tried again.",
                lambda: {(): self.waiting},
            ),
        )
