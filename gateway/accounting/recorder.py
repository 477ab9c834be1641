"""Takes records in and hands them on in batches, after the answers have left. What is made of them, the sinks know."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from anyio import sleep

from gateway.core.record import Record

log = structlog.get_logger()

BATCH_SECONDS = 0.05
MAX_WAITING = 100_000

Sink = Callable[[Sequence[Record]], None]
"""Takes a batch of records. It is quick, does not block, and what it raises is logged and loses only its own view."""


class Recorder:
    """A bounded queue in front of the sinks. `dropped` counts what did not fit: it is a metric, never silence."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._waiting: list[Record] = []
        self.dropped = 0

    def take(self, record: Record) -> None:
        """Accept one record. Costs next to nothing; never raises."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(record)
        else:
            self.dropped += 1

    async def run(self) -> None:
        """Hand batches on until cancelled, and once more then."""
        try:
            while True:
                await sleep(BATCH_SECONDS)
                self.flush()
        finally:
            self.flush()

    def flush(self) -> None:
        """Hand on what is waiting."""
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        for sink in self._sinks:
            try:
                sink(batch)
            except Exception:
                log.exception("record.sink.failed", sink=getattr(sink, "__qualname__", repr(sink)), records=len(batch))
