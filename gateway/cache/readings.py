"""What metrics tell of the store of cached answers. It counts nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from gateway.stores.answers import AnswerStore, Held
from gateway.telemetry.metrics import Metric, Reading


def readings(store: AnswerStore) -> tuple[Metric, ...]:
    """Give what metrics tell of a store."""
    held = store.held
    found: tuple[Metric, ...] = (
        Reading("switchgear_cache_entries", "Answers kept in this process.", lambda: {(): held().entries}),
        Reading("switchgear_cache_bytes", "What they take in its memory, in bytes.", lambda: {(): held().bytes}),
        Reading(
            "switchgear_cache_let_go_total",
            "Answers that were let go by this process, by reason: full, expired, removed, refused, dropped.",
            lambda: {(reason,): count for reason, count in held().let_go.items()},
            ("reason",),
            kind="counter",
        ),
    )
    return found if held().away is None else (*found, *_of_redis(held))


def _of_redis(held: Callable[[], Held]) -> tuple[Metric, ...]:
    return (
        Reading(
            "switchgear_cache_redis_up",
            "Whether answers are shared in Redis (1), or kept alone while it is lost (0).",
            lambda: {(): int(not held().away)},
        ),
        Reading(
            "switchgear_cache_redis_losses_total",
            "How often Redis was lost by the cache.",
            lambda: {(): held().losses},
            kind="counter",
        ),
        Reading(
            "switchgear_cache_shared_entries",
            "Answers that Redis has for all replicas, counted twice a minute; absent while it is not known.",
            lambda: {} if (shared := held().shared) is None else {(): shared},
        ),
    )
