"""What Prometheus is told about the ledger: read when metrics are asked for, nothing between."""

from __future__ import annotations

from gateway.accounting.ledger import Ledger
from gateway.telemetry.metrics import Reading

_STATES = ("written", "replayed", "interrupted", "dropped", "refused", "unreadable")


def ledger_readings(ledger: Ledger) -> list[Reading]:
    """Give the ledger's metrics."""
    counts = ledger.counts
    return [
        Reading(
            "switchgear_ledger_rows_total",
            "Rows of the ledger, by what became of them; dropped ones are lost.",
            lambda: {(state,): getattr(counts, state) for state in _STATES},
            labels=("state",),
            kind="counter",
        ),
        Reading(
            "switchgear_ledger_calls_unopened_total",
            "Calls that could not be noted before they went out.",
            lambda: {(): counts.unopened},
            kind="counter",
        ),
        Reading(
            "switchgear_ledger_rows_waiting", "Rows that are not yet in the database.", lambda: {(): counts.waiting}
        ),
        Reading("switchgear_ledger_spool_bytes", "Bytes of this process's spool.", lambda: {(): ledger.spool_bytes}),
    ]
