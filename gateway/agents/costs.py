"""What the calls of runs have cost: heard from their records, and taken up by the run when it writes next."""

from __future__ import annotations

from typing import Final

from gateway.core.record import Record

MOST_RUNS: Final = 10_000
"""Of which something was not taken up: such as ended before the records of their calls came."""


class Costs:
    """Holds nano-dollars by run."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def hear(self, record: Record) -> None:
        """Note what a call cost that a run made, with what other targets used for it. What has no price costs nothing here."""
        if not record.run:
            return
        nano = (record.cost_nano or 0) + sum(each.cost_nano or 0 for each in record.beside)
        if nano:
            if len(self._held) >= MOST_RUNS:
                del self._held[next(iter(self._held))]
            self._held[record.run] = self._held.get(record.run, 0) + nano

    def take(self, run: str) -> int:
        """Give what was noted of a run since this was asked last."""
        return self._held.pop(run, 0)
