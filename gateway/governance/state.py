"""What the stores say of themselves: metrics for Prometheus, and their state for /readyz. It asks nobody: it reads what is known.

The words for /readyz are our own, because anybody may read it; a driver's, with addresses in them, are in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.accounting.ledger_metrics import ledger_readings
from gateway.accounting.limits.opening import Limits
from gateway.telemetry.metrics import Metric, Reading

if TYPE_CHECKING:
    from gateway.governance.kept import Kept

State = dict[str, str]
"""`state`, and where it is not ready a `detail`."""

_READY: State = {"state": "ready"}


def store_metrics(kept: Kept) -> tuple[Metric, ...]:
    """Give what there is to measure of a database and of what works on it."""
    database, ring, audit = kept.database, kept.ring, kept.audit
    return (
        Reading(
            "switchgear_database_up",
            "Whether the latest use of the database went well (1), or it is away (0).",
            lambda: {(): int(database.healthy)},
        ),
        Reading("switchgear_keys", "Virtual keys in memory, whatever their state.", lambda: {(): len(ring)}),
        Reading(
            "switchgear_keys_age_seconds",
            "Time since the keys in memory were last known to be those of the database.",
            lambda: {(): ring.age},
        ),
        Reading(
            "switchgear_audit_entries_waiting",
            "Entries of the audit log that wait on disk for the database.",
            lambda: {(): audit.waiting},
        ),
        Reading(
            "switchgear_audit_entries_lost",
            "Entries that found the queue full and of which the audit log does not tell yet.",
            lambda: {(): audit.lost},
        ),
        Reading(
            "switchgear_audit_anchor_failures_total",
            "Heads of the audit log that could not be written to the anchor.",
            lambda: {(): audit.anchor_failures},
            kind="counter",
        ),
        *ledger_readings(kept.ledger),
    )


def store_states(limits: Limits, kept: Kept | None) -> dict[str, State]:
    """Give the state of each store that is configured: `database`, `keys` and `redis`."""
    states: dict[str, State] = {}
    if kept is not None:
        states |= {"database": _of_database(kept), "keys": _of_keys(kept)}
    if limits.redis_up is not None:
        states["redis"] = (
            _READY if limits.redis_up else _away("Each replica goes by itself, as `on_loss` of each limit says.")
        )
    return states


def _of_database(kept: Kept) -> State:
    if kept.database.healthy:
        return _READY
    rows, entries = kept.ledger.counts.waiting, kept.audit.waiting
    return _away(
        f"Calls go on, administration does not. Rows of the ledger that wait: {rows}; entries of the audit log: {entries}."
    )


def _of_keys(kept: Kept) -> State:
    ring = kept.ring
    if not ring.loaded:
        return _away("No key has been read yet: every virtual key is refused.")
    if ring.healthy:
        return _READY
    return _away(f"Those of {ring.age:.0f} s ago are in force: what was changed since is not known.")


def _away(detail: str) -> State:
    return {"state": "away", "detail": detail}
